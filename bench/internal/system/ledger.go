package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// settleEvery is how often it is looked whether anything is in flight.
const settleEvery = 100 * time.Millisecond

// AwaitSettled waits until every job has ended and every document stays as it
// is. When ctx ends first the error tells how many are left.
func (e *Engines) AwaitSettled(ctx context.Context) error {
	ledger, err := e.Ledger(ctx)
	if err != nil {
		return err
	}
	defer ledger.Close(ctx)
	for {
		left, err := ledger.Number(ctx, inFlight)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d jobs and documents are in flight: %w", left, context.Cause(ctx))
		case <-time.After(settleEvery):
		}
	}
}

// inFlight counts the jobs that have not ended and the documents that will not
// stay as they are.
const inFlight = `
	SELECT (SELECT count(*) FROM jobs WHERE state IN ('pending', 'running', 'waiting'))
		+ (SELECT count(*) FROM documents WHERE state IN ('uploaded', 'processing') AND deleted_at IS NULL)`

// Ledger is a connection to the database, to see for oneself.
type Ledger struct{ conn *pgx.Conn }

// Ledger connects to the database. The connection does not outlive Postgres.
func (e *Engines) Ledger(ctx context.Context) (*Ledger, error) {
	conn, err := pgx.Connect(ctx, e.databaseURL())
	if err != nil {
		return nil, err
	}
	return &Ledger{conn}, nil
}

// Close ends the connection.
func (l *Ledger) Close(ctx context.Context) { _ = l.conn.Close(context.WithoutCancel(ctx)) }

// Count is a row of an answer: how many of what.
type Count struct {
	Of string
	N  int
}

// Counts asks for rows of a text and a number.
func (l *Ledger) Counts(ctx context.Context, sql string) ([]Count, error) {
	rows, err := l.conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
}

// Number asks for one number.
func (l *Ledger) Number(ctx context.Context, sql string) (n int, err error) {
	err = l.conn.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

// Strings asks for one column of texts.
func (l *Ledger) Strings(ctx context.Context, sql string) ([]string, error) {
	rows, err := l.conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
