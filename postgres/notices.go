package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// EndBatches ends every batch of which no more files come and nothing is in
// flight or lost, and adds, with the end, the notices of it; compose writes
// their bodies. What was left of a cancelled batch is cancelled first. It
// returns how many ended. Safe to run in several processes at once.
func (db *DB) EndBatches(ctx context.Context, compose func(voiceassist.Batch, voiceassist.NoticeKind) (string, error)) (n int, err error) {
	ids, err := db.endable(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		ended, err := db.endBatch(ctx, id, compose)
		if err != nil {
			return n, err
		}
		if ended {
			n++
		}
	}
	return n, nil
}

// complete are batches b of which no more files come.
const complete = `
	b.ended_at IS NULL
	AND (b.closed_at IS NOT NULL OR b.cancelled_at IS NOT NULL
		OR b.manifest AND NOT b.more AND NOT EXISTS (SELECT 1 FROM batch_files f WHERE f.batch_id = b.id AND f.state = 'awaited'))`

// endable returns the batches of which no more files come, after it has seen to
// it that cancelled ones have no work left.
func (db *DB) endable(ctx context.Context) (ids []uuid.UUID, err error) {
	rows, err := db.pool.Query(ctx, `SELECT b.id, b.cancelled_at IS NOT NULL FROM batches b WHERE `+complete+` ORDER BY b.id`)
	if err != nil {
		return nil, classify(err)
	}
	var id uuid.UUID
	var cancelled bool
	var withdrawn []uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id, &cancelled}, func() error {
		ids = append(ids, id)
		if cancelled {
			withdrawn = append(withdrawn, id)
		}
		return nil
	}); err != nil {
		return nil, classify(err)
	}
	for _, id := range withdrawn {
		if err := db.cancelBatchWork(ctx, id); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (db *DB) endBatch(ctx context.Context, id uuid.UUID, compose func(voiceassist.Batch, voiceassist.NoticeKind) (string, error)) (ended bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		// Uploads and changes of the batch wait, so that the account stands.
		tag, err := tx.Exec(ctx, `SELECT 1 FROM batches b WHERE b.id = $1 AND `+complete+` FOR NO KEY UPDATE OF b SKIP LOCKED`, id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		tag, err = tx.Exec(ctx, `
			UPDATE batches
			SET ended_at = now(), paused_at = NULL
			WHERE id = $1 AND NOT EXISTS (
				SELECT 1 FROM batch_fates f WHERE f.batch_id = $1 AND f.fate IN ('in_flight', 'lost')
			)`, id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := resumeLane(ctx, tx, batchLane(id)); err != nil {
			return err
		}
		ended = true
		b, err := batch(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutBatch("batch.ended", id, map[string]any{"indexed": b.Account.Indexed, "failed": b.Account.Failed})); err != nil {
			return err
		}
		return addNotices(ctx, tx, b, compose)
	})
	return ended && err == nil, err
}

func addNotices(ctx context.Context, tx pgx.Tx, b voiceassist.Batch, compose func(voiceassist.Batch, voiceassist.NoticeKind) (string, error)) error {
	for kind, wanted := range map[voiceassist.NoticeKind]bool{
		voiceassist.NoticeWebhook: b.WebhookURL != "", voiceassist.NoticeMail: b.Notify && b.CreatedBy != nil,
	} {
		if !wanted {
			continue
		}
		body, err := compose(b, kind)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO notices (id, batch_id, kind, body)
			VALUES ($1, $2, $3, $4)`, uuid.Must(uuid.NewV7()), b.ID, string(kind), body); err != nil {
			return err
		}
	}
	return nil
}

// ClaimNotices gives the caller up to limit notices that are due, oldest first,
// and counts an attempt of each. Nobody else gets them for lease.
func (db *DB) ClaimNotices(ctx context.Context, limit int, lease time.Duration) ([]voiceassist.Notice, error) {
	rows, err := db.pool.Query(ctx, `
		WITH due AS (
			SELECT id
			FROM notices
			WHERE delivered_at IS NULL AND given_up_at IS NULL AND next_at <= now()
			ORDER BY next_at
			LIMIT $1
			FOR NO KEY UPDATE SKIP LOCKED
		), claimed AS (
			UPDATE notices n
			SET attempts = attempts + 1, next_at = now() + $2::interval
			FROM due
			WHERE n.id = due.id
			RETURNING n.*
		)
		SELECT c.id, c.batch_id, c.kind, CASE c.kind WHEN 'webhook' THEN b.webhook_url ELSE coalesce(u.email, '') END,
			c.body, c.attempts, c.created_at
		FROM claimed c
		JOIN batches b ON b.id = c.batch_id
		LEFT JOIN users u ON u.id = b.created_by AND u.is_active
		ORDER BY c.created_at`, limit, lease)
	if err != nil {
		return nil, classify(err)
	}
	notices, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n voiceassist.Notice, err error) {
		err = row.Scan(&n.ID, &n.BatchID, &n.Kind, &n.To, &n.Body, &n.Attempts, &n.CreatedAt)
		return n, err
	})
	return notices, classify(err)
}

// NoticeDelivered notes that a notice has arrived.
func (db *DB) NoticeDelivered(ctx context.Context, id uuid.UUID) error {
	_, err := db.pool.Exec(ctx, `UPDATE notices SET delivered_at = now(), last_error = '' WHERE id = $1`, id)
	return classify(err)
}

// NoticeFailed notes why a notice has not arrived; it is due again after a
// while, or given up if after is 0.
func (db *DB) NoticeFailed(ctx context.Context, id uuid.UUID, why string, after time.Duration) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE notices
		SET last_error = $2, next_at = now() + $3::interval, given_up_at = CASE WHEN $3::interval = interval '0' THEN now() END
		WHERE id = $1 AND delivered_at IS NULL`, id, why, after)
	return classify(err)
}

// noticeReports returns how far the notices of a batch have come, oldest first.
func noticeReports(ctx context.Context, tx pgx.Tx, batchID uuid.UUID) ([]voiceassist.NoticeReport, error) {
	rows, err := tx.Query(ctx, `
		SELECT kind, attempts, last_error, created_at, next_at, delivered_at, given_up_at
		FROM notices
		WHERE batch_id = $1
		ORDER BY created_at, kind`, batchID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r voiceassist.NoticeReport, err error) {
		err = row.Scan(&r.Kind, &r.Attempts, &r.LastError, &r.CreatedAt, &r.NextAt, &r.DeliveredAt, &r.GivenUpAt)
		return r, err
	})
}

// WaitingNotices returns how many notices are neither delivered nor given up.
func (db *DB) WaitingNotices(ctx context.Context) (n int, err error) {
	err = db.pool.QueryRow(ctx, `SELECT count(*) FROM notices WHERE delivered_at IS NULL AND given_up_at IS NULL`).Scan(&n)
	return n, classify(err)
}

// Imbalances returns how many files of batches, and how many documents of the
// library, are neither finished nor worked on: 0 and 0, or something is lost.
func (db *DB) Imbalances(ctx context.Context) (batches, library int, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT coalesce(sum(abs(imbalance)), 0) FROM batch_accounts), (SELECT imbalance FROM library_account)`).
		Scan(&batches, &library)
	return batches, library, classify(err)
}

// LibraryAccount returns the account of all documents.
func (db *DB) LibraryAccount(ctx context.Context) (a voiceassist.LibraryAccount, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT accepted, indexed, failed, cancelled, deleted, in_flight, imbalance
		FROM library_account`).
		Scan(&a.Accepted, &a.Indexed, &a.Failed, &a.Cancelled, &a.Deleted, &a.InFlight, &a.Imbalance)
	return a, classify(err)
}
