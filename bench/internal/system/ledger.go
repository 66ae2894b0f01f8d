package system

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// InFlight counts the jobs that have not ended and the documents that will not
// stay as they are.
func (e *Engines) InFlight(ctx context.Context) (n int, err error) {
	conn, err := e.Ledger(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
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
