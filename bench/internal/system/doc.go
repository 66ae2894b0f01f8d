// Package system runs the program for the commands of bench, as its operators
// and users do: all of it as `voiceassist up` (Up), or each process type as a
// process of its own (Fleet) over engines that outlive them (Engines). It also
// has the client that speaks to its API, documents to load, and what the
// operating system says of processes. It reads /proc and so wants Linux.
package system
