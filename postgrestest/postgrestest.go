// Package postgrestest gives every test a migrated ledger of its own.
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		db := postgrestest.Open(t)
//		…
//	}
//
// The databases are made on the server at TEST_DATABASE_URL, else DATABASE_URL,
// whose role must be allowed to create databases; without either, on a server
// that the first test to ask starts for its process, with the binaries that
// package embedded finds. That server ends with Main or with the process,
// however it ends, and leaves nothing behind.
//
// Tests inside package postgres cannot import this package; those of package
// postgres_test can.
package postgrestest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/postgres"
)

// Main runs the tests of a package, stops the server, and then looks for
// goroutines that the tests left running: a leak fails the run. It returns the
// exit status. The options name goroutines to overlook.
func Main(m *testing.M, overlook ...goleak.Option) int {
	status := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "postgrestest:", err)
		status = cmp.Or(status, 1)
	}
	if status != 0 {
		return status
	}
	if err := goleak.Find(overlook...); err != nil {
		fmt.Fprintln(os.Stderr, "postgrestest:", err)
		return 1
	}
	return 0
}

// Open returns the ledger of a database as URL makes it. It is closed after
// the test.
func Open(t testing.TB) *postgres.DB {
	t.Helper()
	return open(t, URL(t))
}

// OpenWithConn is Open, and a connection for what the ledger has no method for.
func OpenWithConn(t testing.TB) (*postgres.DB, *pgx.Conn) {
	t.Helper()
	url := URL(t)
	db := open(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect to the test's database: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return db, conn
}

func open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatalf("open the test's database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// URL returns the connection string of a new database that is migrated and
// otherwise empty. It is dropped after the test, connections and all.
func URL(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	s, err := shared.started(ctx)
	if err != nil {
		t.Fatalf("a server for the tests: %v", err)
	}
	name, err := s.create(ctx)
	if err != nil {
		t.Fatalf("make the test's database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return s.url(name)
}

// patience is how long anything here may take on a busy machine; a server may
// have to be fetched first.
const patience = 2 * time.Minute

// shared is the server of this test process, started when first asked for.
var shared process

// ephemeral starts a server for this process.
func ephemeral(ctx context.Context) (*embedded.Postgres, error) {
	p, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{Ephemeral: true})
	if err != nil {
		return nil, errors.Join(err, errors.New("set TEST_DATABASE_URL to test on a server of your own"))
	}
	return p, nil
}
