package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

const batchColumns = `
	b.id, b.name, b.manifest, b.more, b.source_type, b.specialty, b.category, b.author, b.webhook_url, b.notify,
	b.created_by, b.created_at, b.paused_at, b.cancelled_at, b.closed_at, b.ended_at`

// scanBatch leaves the account to addAccounts.
func scanBatch(row pgx.CollectableRow) (voiceassist.Batch, error) {
	var b voiceassist.Batch
	d := &b.Defaults
	err := row.Scan(&b.ID, &b.Name, &b.Manifest, &b.More, &d.SourceType, &d.Specialty, &d.Category, &d.Author, &b.WebhookURL, &b.Notify,
		&b.CreatedBy, &b.CreatedAt, &b.PausedAt, &b.CancelledAt, &b.ClosedAt, &b.EndedAt)
	return b, err
}

// addAccounts counts what has become of the files of some batches.
func addAccounts(ctx context.Context, tx pgx.Tx, batches []voiceassist.Batch) error {
	ids, at := make([]uuid.UUID, len(batches)), make(map[uuid.UUID]*voiceassist.BatchAccount, len(batches))
	for i := range batches {
		ids[i] = batches[i].ID
		at[ids[i]] = &batches[i].Account
	}
	rows, err := tx.Query(ctx, `
		SELECT batch_id, declared, awaited, accepted, indexed, duplicate, skipped, failed, cancelled, in_flight, imbalance
		FROM batch_accounts
		WHERE batch_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	var id uuid.UUID
	var a voiceassist.BatchAccount
	_, err = pgx.ForEachRow(rows, []any{
		&id, &a.Declared, &a.Awaited, &a.Accepted, &a.Indexed, &a.Duplicate, &a.Skipped, &a.Failed, &a.Cancelled, &a.InFlight, &a.Imbalance,
	}, func() error {
		*at[id] = a
		return nil
	})
	return err
}

// OpenBatch adds a batch with the first entries of its manifest, at most
// MaxManifestChunk, and returns it with the files of these entries in their
// order. Files that the library has already are duplicates and need not come.
func (db *DB) OpenBatch(ctx context.Context, b voiceassist.Batch, entries []voiceassist.ManifestEntry) (opened voiceassist.Batch, files []voiceassist.BatchFile, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		id := uuid.Must(uuid.NewV7())
		d := b.Defaults
		if _, err := tx.Exec(ctx, `
			INSERT INTO batches (id, name, manifest, more, source_type, specialty, category, author, webhook_url, notify, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			id, b.Name, b.Manifest, b.More, d.SourceType, d.Specialty, d.Category, d.Author, b.WebhookURL, b.Notify, b.CreatedBy); err != nil {
			return err
		}
		if err := list(ctx, tx, id, entries); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutBatch("batch.opened", id, map[string]any{"files": len(entries), "webhook": b.WebhookURL != ""})); err != nil {
			return err
		}
		if files, err = listed(ctx, tx, id, entries); err != nil {
			return err
		}
		opened, err = batch(ctx, tx, id)
		return err
	})
	return opened, files, err
}

// ExtendBatch adds entries to the manifest of a batch that takes files, and
// notes whether more are to come. What is listed already stays as it is, so a
// request may be sent again. It is a Conflict for a batch that has no manifest.
func (db *DB) ExtendBatch(ctx context.Context, id uuid.UUID, entries []voiceassist.ManifestEntry, more bool) (b voiceassist.Batch, files []voiceassist.BatchFile, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if b, err = lockBatch(ctx, tx, id, exclusively); err != nil {
			return err
		}
		if err := b.TakesFiles(); err != nil {
			return err
		}
		if !b.Manifest {
			return voiceassist.Errorf(voiceassist.Conflict, "the batch was opened without a manifest")
		}
		if _, err := tx.Exec(ctx, `UPDATE batches SET more = $2 WHERE id = $1`, id, more); err != nil {
			return err
		}
		if err := list(ctx, tx, id, entries); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutBatch("batch.extended", id, map[string]any{"files": len(entries)})); err != nil {
			return err
		}
		if files, err = listed(ctx, tx, id, entries); err != nil {
			return err
		}
		b, err = batch(ctx, tx, id)
		return err
	})
	return b, files, err
}

// aboutBatch is an audit entry about a batch, without its name.
func aboutBatch(action string, id uuid.UUID, details map[string]any) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{Action: action, ResourceType: "batch", ResourceID: id.String(), Details: details}
}

// list adds entries to a manifest. They are copied into a table of the
// transaction first: COPY takes thousands in one go, and cannot skip those that
// are listed already.
func list(ctx context.Context, tx pgx.Tx, id uuid.UUID, entries []voiceassist.ManifestEntry) error {
	if len(entries) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE manifest (n integer, name text, size bigint, sha256 text) ON COMMIT DROP`); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"manifest"}, []string{"n", "name", "size", "sha256"},
		pgx.CopyFromSlice(len(entries), func(i int) ([]any, error) {
			return []any{i, entries[i].Name, entries[i].Size, entries[i].SHA256}, nil
		})); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `ANALYZE manifest`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO batch_files (batch_id, name, size, sha256, state, document_id, received_at)
		SELECT $1, m.name, m.size, m.sha256,
			CASE WHEN d.id IS NULL THEN 'awaited' ELSE 'duplicate' END, d.id, CASE WHEN d.id IS NOT NULL THEN now() END
		FROM manifest m
		LEFT JOIN documents d ON d.sha256 = m.sha256 AND d.deleted_at IS NULL AND d.state NOT IN ('failed', 'cancelled')
		ORDER BY m.n
		ON CONFLICT (batch_id, name, sha256) DO NOTHING`, id); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM batch_files WHERE batch_id = $1`, id).Scan(&n); err != nil {
		return err
	}
	if n > voiceassist.MaxBatchFiles {
		return voiceassist.FieldError("files", "a batch has at most %d files", voiceassist.MaxBatchFiles)
	}
	return nil
}

// listed returns the files of the entries that list has just added or found, in
// the order of the entries. Of rows that it has no statistics of yet, the planner
// would compare each with each, whatever the query: it is kept from that.
func listed(ctx context.Context, tx pgx.Tx, id uuid.UUID, entries []voiceassist.ManifestEntry) ([]voiceassist.BatchFile, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	ids, err := listedIDs(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT `+batchFileColumns+` FROM batch_fates f WHERE f.id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanBatchFile)
	if err != nil {
		return nil, err
	}
	at := make(map[int64]voiceassist.BatchFile, len(found))
	for _, f := range found {
		at[f.ID] = f
	}
	files := make([]voiceassist.BatchFile, len(ids))
	for i, id := range ids {
		files[i] = at[id]
	}
	return files, nil
}

// listedIDs returns the ids of the files that the table manifest names, in its
// order. A hash join reads each side once.
func listedIDs(ctx context.Context, tx pgx.Tx, id uuid.UUID) ([]int64, error) {
	if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT f.id
		FROM manifest m
		JOIN batch_files f ON f.batch_id = $1 AND f.name = m.name AND f.sha256 = m.sha256
		ORDER BY m.n`, id)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `SET LOCAL enable_nestloop TO DEFAULT`)
	return ids, err
}

// How a batch is locked: its uploads may be at it together, nobody else may.
const (
	together    = "FOR SHARE"
	exclusively = "FOR NO KEY UPDATE"
)

// lockBatch locks a batch for the rest of tx, unless how is "", and returns it
// without its account, or NotFound. It is locked before documents and jobs.
func lockBatch(ctx context.Context, tx pgx.Tx, id uuid.UUID, how string) (voiceassist.Batch, error) {
	rows, err := tx.Query(ctx, `SELECT `+batchColumns+` FROM batches b WHERE b.id = $1 `+how, id)
	if err != nil {
		return voiceassist.Batch{}, err
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBatch)
	if err != nil {
		return b, notFound(err, "batch")
	}
	return b, nil
}

func batch(ctx context.Context, tx pgx.Tx, id uuid.UUID) (voiceassist.Batch, error) {
	rows, err := tx.Query(ctx, `SELECT `+batchColumns+` FROM batches b WHERE b.id = $1`, id)
	if err != nil {
		return voiceassist.Batch{}, err
	}
	found, err := pgx.CollectRows(rows, scanBatch)
	if err != nil {
		return voiceassist.Batch{}, err
	}
	if len(found) == 0 {
		return voiceassist.Batch{}, voiceassist.Errorf(voiceassist.NotFound, "batch not found")
	}
	err = addAccounts(ctx, tx, found)
	return found[0], err
}

// rateOver is how far back the rate of a batch looks.
const rateOver = 5 * time.Minute

// Batch returns a batch with its account, its rate and its notices, or NotFound.
func (db *DB) Batch(ctx context.Context, id uuid.UUID) (b voiceassist.Batch, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if b, err = batch(ctx, tx, id); err != nil {
			return err
		}
		if b.Notices, err = noticeReports(ctx, tx, id); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			SELECT count(*) / greatest(extract(epoch FROM least(now() - $2, $3::interval)) / 60, 1.0 / 60)::float8
			FROM batch_fates
			WHERE batch_id = $1 AND finished_at > now() - $3::interval`, id, b.CreatedAt, rateOver).Scan(&b.Rate)
	})
	return b, err
}

// CheckBatch returns nil if a batch takes files; a Conflict or NotFound if not.
func (db *DB) CheckBatch(ctx context.Context, id uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		b, err := lockBatch(ctx, tx, id, "")
		if err != nil {
			return err
		}
		return b.TakesFiles()
	})
}

// Batches returns the batches that f selects, newest first, and how many there
// are in all.
func (db *DB) Batches(ctx context.Context, f voiceassist.BatchFilter) (batches []voiceassist.Batch, total int, err error) {
	const where = ` ($1 = '' OR b.name = $1) AND (NOT $2 OR b.ended_at IS NULL) `
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM batches b WHERE`+where, f.Name, f.Open).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+batchColumns+`
			FROM batches b
			WHERE`+where+`
			ORDER BY b.created_at DESC, b.id DESC
			LIMIT $3 OFFSET $4`, f.Name, f.Open, f.Limit, f.Offset)
		if err != nil {
			return err
		}
		if batches, err = pgx.CollectRows(rows, scanBatch); err != nil {
			return err
		}
		return addAccounts(ctx, tx, batches)
	})
	return batches, total, err
}
