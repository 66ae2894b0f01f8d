package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// PauseBatch keeps work on a batch from beginning. Files may still come. It is
// a Conflict for one that is paused, cancelled or has ended.
func (db *DB) PauseBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error) {
	return db.changeBatch(ctx, id, "batch.paused", func(tx pgx.Tx, b voiceassist.Batch) error {
		if b.State() != voiceassist.BatchOpen && b.State() != voiceassist.BatchClosed {
			return voiceassist.Errorf(voiceassist.Conflict, "the batch is %s", b.State())
		}
		if _, err := tx.Exec(ctx, `UPDATE batches SET paused_at = now() WHERE id = $1`, id); err != nil {
			return err
		}
		return pauseLane(ctx, tx, batchLane(id))
	})
}

// ResumeBatch lets work on a paused batch begin again, or is a Conflict.
func (db *DB) ResumeBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error) {
	return db.changeBatch(ctx, id, "batch.resumed", func(tx pgx.Tx, b voiceassist.Batch) error {
		if b.PausedAt == nil {
			return voiceassist.Errorf(voiceassist.Conflict, "the batch is not paused")
		}
		if _, err := tx.Exec(ctx, `UPDATE batches SET paused_at = NULL WHERE id = $1`, id); err != nil {
			return err
		}
		return resumeLane(ctx, tx, batchLane(id))
	})
}

// CloseBatch says that no more files come: those still awaited stay so for
// good. Closing again changes nothing; a cancelled batch is a Conflict.
func (db *DB) CloseBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error) {
	return db.changeBatch(ctx, id, "batch.closed", func(tx pgx.Tx, b voiceassist.Batch) error {
		if b.CancelledAt != nil {
			return voiceassist.Errorf(voiceassist.Conflict, "the batch was cancelled")
		}
		_, err := tx.Exec(ctx, `UPDATE batches SET closed_at = coalesce(closed_at, now()), more = false WHERE id = $1`, id)
		return err
	})
}

// changeBatch changes a batch that is locked, audits that, and returns it.
func (db *DB) changeBatch(ctx context.Context, id uuid.UUID, action string, change func(pgx.Tx, voiceassist.Batch) error) (b voiceassist.Batch, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if b, err = lockBatch(ctx, tx, id, exclusively); err != nil {
			return err
		}
		if err := change(tx, b); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutBatch(action, id, nil)); err != nil {
			return err
		}
		b, err = batch(ctx, tx, id)
		return err
	})
	return b, err
}

// batchLane is the lane of the jobs of a batch.
func batchLane(id uuid.UUID) string { return voiceassist.DocumentMeta{BatchID: &id}.Lane() }

// batchStep is how many documents of a batch one transaction changes.
const batchStep = 1000

// CancelBatch ends what is unfinished of a batch and closes it: files that have
// not come never do, documents that are not indexed are cancelled, those that are
// stay, and others' work on any of them goes on. It takes the documents some at a
// time, each part in a transaction of its own; if it is broken off, EndBatches goes
// on. Cancelling again changes nothing; a batch that has ended is a Conflict.
func (db *DB) CancelBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error) {
	if err := db.tx(ctx, func(tx pgx.Tx) error {
		b, err := lockBatch(ctx, tx, id, exclusively)
		switch {
		case err != nil || b.CancelledAt != nil:
			return err
		case b.EndedAt != nil:
			return voiceassist.Errorf(voiceassist.Conflict, "the batch has ended")
		}
		if _, err := tx.Exec(ctx, `UPDATE batches SET cancelled_at = now(), closed_at = coalesce(closed_at, now()), paused_at = NULL, more = false WHERE id = $1`, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE batch_files
			SET state = 'cancelled', reason = 'withdrawn', message = 'The batch was cancelled before this file came.'
			WHERE batch_id = $1 AND state = 'awaited'`, id); err != nil {
			return err
		}
		if err := resumeLane(ctx, tx, batchLane(id)); err != nil { // for when it is retried
			return err
		}
		return addAudit(ctx, tx, aboutBatch("batch.cancelled", id, nil))
	}); err != nil {
		return voiceassist.Batch{}, err
	}
	if err := db.cancelBatchWork(ctx, id); err != nil {
		return voiceassist.Batch{}, err
	}
	return db.Batch(ctx, id)
}

// cancelBatchWork cancels the documents of a batch that are not finished, unless
// the batch was retried meanwhile. Those that somebody outside the batch has
// uploaded or reindexed go on: the batch ends after them.
func (db *DB) cancelBatchWork(ctx context.Context, id uuid.UUID) error {
	_, err := db.eachBatchDocument(ctx, id, []string{"uploaded", "processing"}, func(tx pgx.Tx, b voiceassist.Batch, documents []uuid.UUID) error {
		if b.CancelledAt == nil {
			return nil
		}
		documents, err := inLane(ctx, tx, documents, batchLane(id))
		if err != nil || len(documents) == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, `
			WITH ended AS (
				UPDATE jobs
				SET state = 'cancelled', lease_until = NULL, completed_at = now(), error_code = 'cancelled', error_message = $2
				WHERE document_id = ANY($1) AND kind IN ('index', 'extract', 'embed') AND state IN ('pending', 'running', 'waiting')
				RETURNING id, attempts, stage
			)
			INSERT INTO job_events (job_id, attempt, stage, result, detail)
			SELECT id, attempts, stage, 'cancelled', $2 FROM ended`, documents, "its batch was cancelled"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE documents
			SET state = CASE WHEN generation > 0 THEN 'indexed' ELSE 'cancelled' END,
				stage = '', error_code = 'cancelled', error_message = 'Its batch was cancelled.', updated_at = now()
			WHERE id = ANY($1)`, documents); err != nil {
			return err
		}
		return auditDocuments(ctx, tx, "document.cancelled", documents, id)
	})
	return err
}

// inLane returns those of some locked documents on which no other lane works.
func inLane(ctx context.Context, tx pgx.Tx, documents []uuid.UUID, lane string) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT d.id
		FROM unnest($1::uuid[]) AS d (id)
		WHERE NOT EXISTS (SELECT FROM jobs WHERE document_id = d.id AND kind = 'index' AND lane <> $2 AND `+unfinished+`)`, documents, lane)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// RetryBatch runs again every document of a batch that failed or was cancelled,
// and returns how many those are. The batch goes on: it is no longer cancelled,
// and ends again. Files that never came before it was cancelled stay so. It is a
// Conflict if there is nothing to retry.
func (db *DB) RetryBatch(ctx context.Context, id uuid.UUID) (b voiceassist.Batch, n int, err error) {
	n, err = db.eachBatchDocument(ctx, id, []string{"failed", "cancelled"}, func(tx pgx.Tx, _ voiceassist.Batch, documents []uuid.UUID) error {
		return retryDocuments(ctx, tx, id, documents)
	})
	if err != nil {
		return b, n, err
	}
	if n == 0 {
		return b, 0, voiceassist.Errorf(voiceassist.Conflict, "nothing in the batch has failed or was cancelled")
	}
	b, err = db.Batch(ctx, id)
	return b, n, err
}

func retryDocuments(ctx context.Context, tx pgx.Tx, batchID uuid.UUID, documents []uuid.UUID) error {
	if err := runAgain(ctx, tx, documents, []uuid.UUID{batchID}); err != nil {
		return err
	}
	if _, err := addJobs(ctx, tx, documents, batchLane(batchID)); err != nil {
		return err
	}
	return auditDocuments(ctx, tx, "document.retried", documents, batchID)
}

// lockBatchesOf locks the batches that a document came with, in the order of
// their ids, and returns these.
func lockBatchesOf(ctx context.Context, tx pgx.Tx, document uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT b.id
		FROM batches b
		WHERE b.id IN (SELECT f.batch_id FROM batch_files f WHERE f.document_id = $1 AND f.state = 'received')
		ORDER BY b.id
		`+exclusively, document)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// reopenBatches lets batches go on of which failed or cancelled documents are
// retried: they are no longer cancelled, and end again.
func reopenBatches(ctx context.Context, tx pgx.Tx, batches []uuid.UUID) error {
	_, err := tx.Exec(ctx, `UPDATE batches SET ended_at = NULL, cancelled_at = NULL WHERE id = ANY($1)`, batches)
	return err
}

// auditDocuments notes that the same happened to some documents of a batch.
func auditDocuments(ctx context.Context, tx pgx.Tx, action string, documents []uuid.UUID, batchID uuid.UUID) error {
	entries := make([]voiceassist.AuditEntry, len(documents))
	for i, id := range documents {
		entries[i] = aboutDocument(action, id, map[string]any{"batch_id": batchID})
	}
	return addAudits(ctx, tx, entries)
}

// eachBatchDocument calls do with the living documents of a batch that are in one
// of the states, batchStep at a time, each time in a transaction that has locked
// the batch and then them, and returns how many they were.
func (db *DB) eachBatchDocument(ctx context.Context, id uuid.UUID, states []string, do func(pgx.Tx, voiceassist.Batch, []uuid.UUID) error) (total int, err error) {
	for last, more := uuid.Nil, true; more; {
		if err := db.tx(ctx, func(tx pgx.Tx) error {
			b, err := lockBatch(ctx, tx, id, exclusively)
			if err != nil {
				return err
			}
			documents, err := batchDocuments(ctx, tx, id, states, last)
			if more = len(documents) > 0; err != nil || !more {
				return err
			}
			last = documents[len(documents)-1]
			total += len(documents)
			return do(tx, b, documents)
		}); err != nil {
			return total, err
		}
	}
	return total, nil
}

// batchDocuments locks the next living documents of a batch that are in one of
// the states, in the order of their ids: at most batchStep.
func batchDocuments(ctx context.Context, tx pgx.Tx, id uuid.UUID, states []string, after uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT d.id
		FROM documents d
		WHERE d.deleted_at IS NULL AND d.state = ANY($2) AND d.id > $3 AND d.id IN (
			SELECT f.document_id
			FROM batch_files f
			WHERE f.batch_id = $1 AND f.state = 'received'
		)
		ORDER BY d.id
		LIMIT $4
		FOR NO KEY UPDATE OF d`, id, states, after, batchStep)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}
