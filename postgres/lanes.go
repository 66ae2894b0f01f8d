package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// pauseLane keeps jobs of a lane from being published until it is resumed. What
// is published already goes on.
func pauseLane(ctx context.Context, tx pgx.Tx, lane string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO lanes AS l (name, paused_at)
		VALUES ($1, now())
		ON CONFLICT (name) DO UPDATE SET paused_at = coalesce(l.paused_at, now())`, lane)
	return err
}

// resumeLane lets jobs of a lane be published again, and tells the relay.
func resumeLane(ctx context.Context, tx pgx.Tx, lane string) error {
	if _, err := tx.Exec(ctx, `UPDATE lanes SET paused_at = NULL WHERE name = $1`, lane); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT pg_notify('`+JobsChannel+`', '')`)
	return err
}
