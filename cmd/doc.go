// Package cmd puts the program together: configuration from the environment,
// engines by URL, and the three components that run on them.
//
//	api        HTTP and sockets: accepts work, answers questions
//	worker     takes jobs from the queue and does them
//	scheduler  feeds the queue from the ledger and sweeps up
//
// The process types are thin mains over this package; `voiceassist up` runs all
// three in one process on embedded engines.
package cmd
