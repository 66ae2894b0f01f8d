package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// EraseAudit is eraseAudit in a transaction of its own.
func (db *DB) EraseAudit(ctx context.Context, userID uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error { return eraseAudit(ctx, tx, userID) })
}

// CancelBatchWork is what CancelBatch and EndBatches do after they have seen
// that a batch is cancelled.
func (db *DB) CancelBatchWork(ctx context.Context, id uuid.UUID) error {
	return db.cancelBatchWork(ctx, id)
}

// PauseLane is pauseLane in a transaction of its own.
func (db *DB) PauseLane(ctx context.Context, lane string) error {
	return db.tx(ctx, func(tx pgx.Tx) error { return pauseLane(ctx, tx, lane) })
}

// ResumeLane is resumeLane in a transaction of its own.
func (db *DB) ResumeLane(ctx context.Context, lane string) error {
	return db.tx(ctx, func(tx pgx.Tx) error { return resumeLane(ctx, tx, lane) })
}

// ResumeForgotten is resumeForgotten in a transaction of its own.
func (db *DB) ResumeForgotten(ctx context.Context) (n int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		n, err = resumeForgotten(ctx, tx)
		return err
	})
	return n, err
}
