package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Republish adds a job that makes the points of a document's active generation
// what they should be. As long as vectors of the generation's profile are the
// ones in use the job writes them again from what is stored; otherwise, and where
// the stored text is in doubt, the document is indexed anew. reread has its
// original read again, too. It does nothing for a document that is not living.
func (db *DB) Republish(ctx context.Context, id uuid.UUID, anew, reread bool) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		d, err := lockDocument(ctx, tx, id)
		if voiceassist.CodeOf(err) == voiceassist.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		kind := voiceassist.JobRefresh
		if anew || reread || d.Generation == 0 {
			kind = voiceassist.JobIndex
		}
		if reread {
			if _, err := tx.Exec(ctx, `DELETE FROM extractions WHERE sha256 = $1`, d.SHA256); err != nil {
				return err
			}
		}
		if d.Generation == 0 {
			if _, err := tx.Exec(ctx, `UPDATE documents SET state = 'uploaded', stage = '', progress = 0 WHERE id = $1`, id); err != nil {
				return err
			}
		}
		job, err := addJob(ctx, tx, newJob{document: id, kind: kind, queue: voiceassist.QueueBulk, lane: "reindex"})
		if err != nil {
			return err
		}
		return addAudit(ctx, tx, aboutDocument("document.repaired", id, map[string]any{"job_id": job.ID}))
	})
}

// Mend resolves a contradiction within the ledger: a job that is missing is
// added, one that has no use is cancelled, and one that is stuck runs again.
func (db *DB) Mend(ctx context.Context, a Anomaly) error {
	switch a.Kind {
	case voiceassist.WithoutJob:
		return db.addMissingJob(ctx, a.DocumentID)
	case voiceassist.JobStray:
		return db.cancelStray(ctx, a.ID)
	case voiceassist.JobStuck:
		return db.unstick(ctx, a.ID)
	default:
		return db.Republish(ctx, a.DocumentID, true, false)
	}
}

func (db *DB) addMissingJob(ctx context.Context, document uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		var deleted, purged bool
		if err := tx.QueryRow(ctx, `
			SELECT deleted_at IS NOT NULL, purged_at IS NOT NULL
			FROM documents
			WHERE id = $1
			FOR NO KEY UPDATE`, document).Scan(&deleted, &purged); err != nil {
			return notFound(err, "document")
		}
		if err := addAudit(ctx, tx, aboutDocument("document.repaired", document, nil)); err != nil || purged {
			return err
		}
		if deleted {
			return addPurge(ctx, tx, document)
		}
		_, err := addJob(ctx, tx, newJob{document: document, kind: voiceassist.JobIndex})
		return err
	})
}

// cancelStray ends an unfinished job. Whoever works on it learns of that at the
// next write.
func (db *DB) cancelStray(ctx context.Context, id uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockJob(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			WITH ended AS (
				UPDATE jobs
				SET state = 'cancelled', lease_until = NULL, completed_at = now()
				WHERE id = $1 AND state IN ('pending', 'running', 'waiting')
				RETURNING id, attempts, stage
			)
			INSERT INTO job_events (job_id, attempt, stage, result, detail)
			SELECT id, attempts, stage, 'cancelled', 'it had no use' FROM ended`, id)
		return err
	})
}

// unstick has a job that waits for nothing run again.
func (db *DB) unstick(ctx context.Context, id uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockJob(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			WITH told AS (SELECT pg_notify('`+JobsChannel+`', ''))
			UPDATE jobs
			SET state = 'pending', lease_until = NULL, published_at = NULL, run_at = now()
			FROM told
			WHERE id = $1 AND (state = 'waiting' OR state = 'running' AND lease_until < now())`, id)
		return err
	})
}
