// Package postgres is the ledger: accounts, documents, jobs, passages and
// conversations in PostgreSQL (15 or later).
//
// An exported method is one transaction. A method that changes a state takes
// the jobs that must follow from it and commits both together; the relay
// publishes them afterwards. Invariants are constraints of the schema, times
// come from now().
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/migrations"
)

// DB is the ledger. It is safe for concurrent use.
type DB struct {
	pool       *pgxpool.Pool
	onSessions atomic.Pointer[func(userID uuid.UUID)]
}

// Options tune the connection pool; the zero value is good.
type Options struct {
	MaxConns int // 0 is 16
}

// Open connects to the database at url and checks that it answers. It does not
// migrate.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse DATABASE_URL: %w", err)
	}
	cfg.MaxConns = 16
	if o.MaxConns > 0 {
		cfg.MaxConns = int32(min(o.MaxConns, 1000))
	}
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["application_name"] = "voiceassist"
	cfg.ConnConfig.RuntimeParams["jit"] = "off" // compiling the account of a batch takes a hundred times as long as counting it
	db := &DB{}
	db.hear(cfg)
	if db.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	if err := db.Ping(ctx); err != nil {
		db.pool.Close()
		return nil, err
	}
	return db, nil
}

// Close closes the pool, waiting for connections in use.
func (db *DB) Close() { db.pool.Close() }

// Stat returns the figures of the connection pool.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// Ping makes one round trip.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.pool.Ping(ctx); err != nil {
		return classify(fmt.Errorf("ping Postgres: %w", err))
	}
	return nil
}

// Version returns the server's version, or is Unavailable when it takes no
// changes.
func (db *DB) Version(ctx context.Context) (version string, err error) {
	var readOnly bool
	err = db.pool.QueryRow(ctx, `
		SELECT current_setting('server_version'), pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean`).
		Scan(&version, &readOnly)
	if err == nil && readOnly {
		err = voiceassist.Errorf(voiceassist.Unavailable, "the database is read-only")
	}
	return version, classify(err)
}

// migrationLock is the advisory lock that keeps two processes from migrating
// at once.
const migrationLock = 0x766f696365 // "voice"

// Migrate applies the migrations that the database does not have yet.
func (db *DB) Migrate(ctx context.Context) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return classify(fmt.Errorf("migrate: %w", err))
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return fmt.Errorf("migrate: take the lock: %w", err)
	}
	defer unlock(ctx, conn.Conn())
	if _, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		name       text PRIMARY KEY,
		applied_at timestamptz NOT NULL DEFAULT now()
	)`); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, name := range names {
		if err := apply(ctx, conn.Conn(), name); err != nil {
			return fmt.Errorf("migrate %s: %w", name, err)
		}
	}
	return nil
}

// MissingMigrations returns the names of the migrations that the database does
// not have yet, in order.
func (db *DB) MissingMigrations(ctx context.Context) ([]string, error) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return nil, err
	}
	var begun bool
	if err := db.pool.QueryRow(ctx, `SELECT to_regclass('schema_migrations') IS NOT NULL`).Scan(&begun); err != nil || !begun {
		return names, classify(err)
	}
	rows, err := db.pool.Query(ctx, `
		SELECT name
		FROM unnest($1::text[]) WITH ORDINALITY AS known (name, n)
		WHERE name NOT IN (SELECT m.name FROM schema_migrations m)
		ORDER BY n`, names)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func unlock(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	// On failure the lock ends with the connection.
	_, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, migrationLock)
}

func apply(ctx context.Context, conn *pgx.Conn, name string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO schema_migrations (name) VALUES ($1) ON CONFLICT DO NOTHING`, name)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		sql, err := migrations.FS.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, string(sql))
		return err
	})
}

// tx runs f in a transaction and gives its error a code.
func (db *DB) tx(ctx context.Context, f func(pgx.Tx) error) error {
	return classify(pgx.BeginFunc(ctx, db.pool, f))
}

// SQLSTATE codes we tell apart (PostgreSQL documentation, appendix A).
const (
	divisionByZero    = "22012"
	invalidText       = "22021" // NUL, or not UTF-8
	uniqueViolation   = "23505"
	deadlockDetected  = "40P01"
	serializationFail = "40001"
	readOnlyTx        = "25006"
	diskFull          = "53100"
	tooManyConns      = "53300"
	adminShutdown     = "57P01"
	crashShutdown     = "57P02"
	cannotConnectNow  = "57P03"
)

// classify gives errors of the database a code where their meaning is known.
// Errors that carry one already pass unchanged.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*voiceassist.Error](err); ok {
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case invalidText:
			return &voiceassist.Error{Code: voiceassist.Invalid, Message: "the text contains characters that cannot be stored", Err: err}
		case deadlockDetected, serializationFail, readOnlyTx, diskFull, tooManyConns, adminShutdown, crashShutdown, cannotConnectNow:
			return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the database cannot take this now", Err: err}
		}
		return err
	}
	_, unreached := errors.AsType[*pgconn.ConnectError](err)
	_, broken := errors.AsType[net.Error](err)
	if unreached || broken && !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the database cannot be reached", Err: err}
	}
	return err
}

// violates reports whether err is the violation of the named unique index.
func violates(err error, index string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == uniqueViolation && pg.ConstraintName == index
}

// notFound turns "no rows" into a NotFound error that names what is missing.
func notFound(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return voiceassist.Errorf(voiceassist.NotFound, "%s not found", what)
	}
	return classify(err)
}

// pageClause is the LIMIT of a page as a number, and its OFFSET, if there is one,
// as a parameter after args. With a LIMIT that it cannot foresee Postgres plans
// the query each time, which for a page of documents is half of its work.
func pageClause(limit, offset int, args []any) (clause string, _ []any) {
	clause = fmt.Sprintf(" LIMIT %d", limit)
	if offset > 0 {
		args = append(args, offset)
		clause += fmt.Sprintf(" OFFSET $%d", len(args))
	}
	return clause, args
}
