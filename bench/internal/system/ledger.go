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
	conn, err := e.Ledger(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		left, err := inFlight(ctx, conn)
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
func inFlight(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	err = conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM jobs WHERE state IN ('pending', 'running', 'waiting'))
			+ (SELECT count(*) FROM documents WHERE state IN ('uploaded', 'processing') AND deleted_at IS NULL)`).Scan(&n)
	return n, err
}

// Count is one row of a question to the ledger: how many of what.
type Count struct {
	Of string
	N  int
}

// Counts asks the ledger for rows of a text and a number.
func Counts(ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]Count, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
}

// Strings asks the ledger for one column of texts.
func Strings(ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]string, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
