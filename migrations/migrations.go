// Package migrations holds the schema of the ledger: SQL files named
// NNNN_subject.sql, applied in order, each once and each in a transaction of
// its own. A file that has been released is never changed; a new one follows.
package migrations

import "embed"

// FS holds the migrations, embedded in the program.
//
//go:embed *.sql
var FS embed.FS
