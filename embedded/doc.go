// Package embedded runs the engines that one machine needs when none is
// installed or configured: PostgreSQL as a child process on a private socket,
// and Redis inside this process. Clients speak to them over the same wire
// protocols as to any other server and only see another URL.
//
// StartPostgres looks for a server that is still alive in the data directory
// and adopts it; else it looks for binaries, makes a database cluster if there
// is none, and starts the server on it:
//
//	alive? ──yes──→ adopt ──────────────────────────┐
//	  └─no→ binaries → initdb (once) → postgres ────┴→ answers → *Postgres
//
// The binaries are the machine's own (PATH, then the usual places), else those
// that the zonky project publishes on Maven Central, fetched once into a cache.
// The major version of a cluster decides which ones fit; a cluster is never
// erased and never upgraded here.
//
// The server listens on a Unix socket only, in a directory that belongs to the
// account it runs as and is closed to all others, and trusts whoever reaches
// the socket: that account and root. There is no password to keep or to leak.
// Started by root it runs as postgres or, where there is no such user, nobody.
// It has a session of its own, so a terminal's Ctrl-C reaches this process and
// not the server, which is stopped when the work has drained.
package embedded
