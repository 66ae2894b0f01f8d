package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// lateWrites is how long a worker that lost its job may still write to the
// index: no lease is longer.
const lateWrites = 30 * time.Second

// DeleteDocument makes a document invisible at once and returns the job that
// takes it out of the index. Work on the document that is under way is
// cancelled. It can be brought back for keep; then another job removes its text
// and its original. With keep 0 a document that is deleted already, and can be
// brought back, no longer can.
func (db *DB) DeleteDocument(ctx context.Context, id uuid.UUID, keep time.Duration) (jobID uuid.UUID, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE documents
			SET deleted_at = now(), purge_at = now() + $2::interval, updated_at = now()
			WHERE id = $1 AND deleted_at IS NULL`, id, keep)
		switch {
		case err != nil:
			return err
		case tag.RowsAffected() == 1:
			jobID, err = addRemoval(ctx, tx, id, keep)
			return err
		case keep == 0:
			jobID, err = purgeNow(ctx, tx, id)
			return err
		}
		return voiceassist.Errorf(voiceassist.NotFound, "document not found")
	})
	return jobID, err
}

// addRemoval adds what follows from a deletion and returns the job that takes
// the document out of the index.
func addRemoval(ctx context.Context, tx pgx.Tx, id uuid.UUID, keep time.Duration) (uuid.UUID, error) {
	if err := cancelJobs(ctx, tx, id, "the document was deleted",
		voiceassist.JobIndex, voiceassist.JobRefresh, voiceassist.JobExtract, voiceassist.JobEmbed); err != nil {
		return uuid.Nil, err
	}
	remove, err := addJob(ctx, tx, newJob{document: id, kind: voiceassist.JobDelete, queue: voiceassist.QueueInteractive})
	if err != nil {
		return uuid.Nil, err
	}
	if err := addPurge(ctx, tx, id); err != nil {
		return uuid.Nil, err
	}
	if err := addAudit(ctx, tx, aboutDocument("document.deleted", id, map[string]any{"job_id": remove.ID, "keep_seconds": int(keep.Seconds())})); err != nil {
		return uuid.Nil, err
	}
	return remove.ID, corpusChanged(ctx, tx, id)
}

// addPurge adds the job that purges a deleted document when its time has come.
func addPurge(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	job, err := addJob(ctx, tx, newJob{document: id, kind: voiceassist.JobPurge, queue: voiceassist.QueueMaintenance})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE jobs
		SET run_at = coalesce(purge_at, deleted_at)
		FROM documents d
		WHERE jobs.id = $1 AND d.id = jobs.document_id`, job.ID)
	return err
}

// purgeNow ends the time in which a deleted document can be brought back.
func purgeNow(ctx context.Context, tx pgx.Tx, id uuid.UUID) (jobID uuid.UUID, err error) {
	tag, err := tx.Exec(ctx, `
		UPDATE documents
		SET purge_at = now(), updated_at = now()
		WHERE id = $1 AND deleted_at IS NOT NULL AND purge_at > now() AND purged_at IS NULL`, id)
	if err != nil {
		return uuid.Nil, err
	}
	if tag.RowsAffected() == 0 {
		return uuid.Nil, voiceassist.Errorf(voiceassist.NotFound, "document not found")
	}
	if err := tx.QueryRow(ctx, `
		WITH told AS (SELECT pg_notify('`+JobsChannel+`', ''))
		UPDATE jobs
		SET run_at = now()
		FROM told
		WHERE document_id = $1 AND kind = 'purge' AND `+unfinished+`
		RETURNING id`, id).Scan(&jobID); err != nil {
		return uuid.Nil, err
	}
	return jobID, addAudit(ctx, tx, aboutDocument("document.purge_requested", id, map[string]any{"job_id": jobID}))
}

// WorkedOn reports whether an attempt was under way on a document when it was
// deleted: its writes to the index, which cannot be fenced, may still land until
// its lease would have ended.
func (db *DB) WorkedOn(ctx context.Context, documentID uuid.UUID) (workedOn bool, err error) {
	err = db.pool.QueryRow(ctx, workedOnQuery, documentID).Scan(&workedOn)
	return workedOn, classify(err)
}

const workedOnQuery = `
	SELECT EXISTS (
		SELECT 1
		FROM jobs j
		JOIN documents d ON d.id = j.document_id
		WHERE d.id = $1 AND j.kind NOT IN ('delete', 'purge') AND j.started_at IS NOT NULL AND j.completed_at >= d.deleted_at
	)`

// PurgeAt returns when a deleted document is to be purged. It is NotFound for
// one that is not deleted.
func (db *DB) PurgeAt(ctx context.Context, documentID uuid.UUID) (at time.Time, err error) {
	err = db.pool.QueryRow(ctx, `SELECT coalesce(purge_at, deleted_at) FROM documents WHERE id = $1 AND deleted_at IS NOT NULL`, documentID).Scan(&at)
	return at, notFound(err, "deleted document")
}

// keptTexts are the tables of what was read out of bytes, by the SHA-256 of
// those. Pages without their extraction are read again; the other way round an
// upload of the same bytes would find an extraction without pages, so the
// extraction goes first.
var keptTexts = []string{"extractions", "pages", "bad_pages"}

// Purge removes what the ledger holds of a deleted document's text; from then on
// it cannot be brought back. Pages stay while another document that lives, or may
// live again, has the same bytes. The tombstone stays, and so do citations, which
// carry a copy of what they prove. Purging again is fine. It is a Conflict before
// the document's time.
func (db *DB) Purge(ctx context.Context, a Attempt) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		var digest string
		err := tx.QueryRow(ctx, `
			UPDATE documents
			SET purged_at = coalesce(purged_at, now()), updated_at = now()
			WHERE id = $1 AND deleted_at IS NOT NULL AND coalesce(purge_at, deleted_at) <= now()
			RETURNING sha256`, a.DocumentID).Scan(&digest)
		if errors.Is(err, pgx.ErrNoRows) {
			return voiceassist.Errorf(voiceassist.Conflict, "the document may still be brought back")
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM generations WHERE document_id = $1`, a.DocumentID); err != nil {
			return err
		}
		if _, err := forgetTexts(ctx, tx, []string{digest}); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutDocument("document.purged", a.DocumentID, map[string]any{"job_id": a.JobID})); err != nil {
			return err
		}
		return corpusChanged(ctx, tx, a.DocumentID)
	})
}

// forgetTexts removes what was read out of bytes that no document has which
// lives or may live again, and returns how many rows that were.
func forgetTexts(ctx context.Context, tx pgx.Tx, digests []string) (n int, err error) {
	for _, table := range keptTexts {
		tag, err := tx.Exec(ctx, `
			DELETE FROM `+table+` t
			WHERE sha256 = ANY($1)
				AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.sha256 = t.sha256 AND d.purged_at IS NULL)`, digests)
		if err != nil {
			return n, err
		}
		n += int(tag.RowsAffected())
	}
	return n, nil
}

// RestoreDocument brings a deleted document back. If it could be searched
// before, a job writes its points again from the stored passages and vectors;
// if it waited to be indexed, it does so again. Possible ends: success, also for
// a document that is not deleted; NotFound; Gone, when its time is over; Conflict,
// when the same bytes were uploaded again meanwhile.
func (db *DB) RestoreDocument(ctx context.Context, id uuid.UUID) (r voiceassist.Restored, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		r = voiceassist.Restored{}
		deleted, err := lockDeleted(ctx, tx, id)
		if err != nil || !deleted {
			r.Document.ID = id
			return err
		}
		if r.JobID, err = restore(ctx, tx, id); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutDocument("document.restored", id, map[string]any{"job_id": r.JobID})); err != nil {
			return err
		}
		return corpusChanged(ctx, tx, id)
	})
	if violates(err, "documents_sha256_key") { // somebody committed the same bytes a moment ago
		err = voiceassist.Errorf(voiceassist.Conflict, "the same file was uploaded again meanwhile")
	}
	if err != nil {
		return r, err
	}
	r.Document, err = db.Document(ctx, id)
	return r, err
}

// lockDeleted locks a document and reports whether it is deleted and can be
// brought back; it is an error if it is deleted and cannot.
func lockDeleted(ctx context.Context, tx pgx.Tx, id uuid.UUID) (deleted bool, err error) {
	var gone bool
	if err := tx.QueryRow(ctx, `
		SELECT deleted_at IS NOT NULL, coalesce(purged_at IS NOT NULL OR coalesce(purge_at, deleted_at) <= now(), false)
		FROM documents
		WHERE id = $1
		FOR NO KEY UPDATE`, id).Scan(&deleted, &gone); err != nil {
		return false, notFound(err, "document")
	}
	if gone {
		return true, voiceassist.Errorf(voiceassist.Gone, "The document can no longer be brought back")
	}
	if !deleted {
		return false, nil
	}
	var other uuid.UUID
	err = tx.QueryRow(ctx, `
		SELECT other.id
		FROM documents gone
		JOIN documents other ON other.sha256 = gone.sha256 AND other.deleted_at IS NULL
		WHERE gone.id = $1`, id).Scan(&other)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	return true, voiceassist.Errorf(voiceassist.Conflict, "The same file was uploaded again as document %s", other)
}

// restore takes a tombstone away and returns the job that makes the document
// searchable, or uuid.Nil if it has no use for one. The job waits until whoever
// was taking the document out of the index, or working on it, can no longer
// write there.
func restore(ctx context.Context, tx pgx.Tx, id uuid.UUID) (uuid.UUID, error) {
	var after *time.Time
	if err := tx.QueryRow(ctx, `
		SELECT greatest(
			(SELECT max(lease_until) FROM jobs WHERE document_id = $1 AND kind = 'delete' AND state = 'running'),
			CASE WHEN (`+workedOnQuery+`) THEN deleted_at + $2::interval END)
		FROM documents
		WHERE id = $1`, id, lateWrites).Scan(&after); err != nil {
		return uuid.Nil, err
	}
	if err := supersedeRemoval(ctx, tx, id); err != nil {
		return uuid.Nil, err
	}
	var state voiceassist.DocumentState
	var generation int
	if err := tx.QueryRow(ctx, `
		UPDATE documents
		SET deleted_at = NULL, purge_at = NULL, updated_at = now(), stage = '',
			state = CASE
				WHEN generation > 0 THEN 'indexed'
				WHEN state = 'processing' THEN 'uploaded'
				ELSE state
			END
		WHERE id = $1
		RETURNING state, generation`, id).Scan(&state, &generation); err != nil {
		return uuid.Nil, err
	}
	kind := voiceassist.JobRefresh
	if generation == 0 {
		kind = voiceassist.JobIndex
	}
	if state != voiceassist.DocumentIndexed && state != voiceassist.DocumentUploaded {
		return uuid.Nil, nil // it had failed, or was cancelled
	}
	job, err := addJob(ctx, tx, newJob{document: id, kind: kind, queue: voiceassist.QueueInteractive})
	if err != nil {
		return uuid.Nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE jobs SET run_at = greatest(run_at, $2) WHERE id = $1`, job.ID, after)
	return job.ID, err
}

// supersedeRemoval ends the jobs that follow from a deletion.
func supersedeRemoval(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		WITH ended AS (
			UPDATE jobs
			SET state = CASE WHEN state = 'pending' THEN 'superseded' ELSE 'cancelled' END,
				lease_until = NULL, completed_at = now()
			WHERE document_id = $1 AND kind IN ('delete', 'purge') AND state IN ('pending', 'running')
			RETURNING id, attempts, stage
		)
		INSERT INTO job_events (job_id, attempt, stage, result, detail)
		SELECT id, attempts, stage, 'cancelled', 'the document was brought back' FROM ended`, id)
	return err
}

// DeletedDocuments returns a page of the documents that can be brought back,
// the last deleted first, and how many there are.
func (db *DB) DeletedDocuments(ctx context.Context, offset, limit int) (docs []voiceassist.DeletedDocument, total int, err error) {
	const where = ` d.deleted_at IS NOT NULL AND d.purged_at IS NULL AND d.purge_at > now() `
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM documents d WHERE`+where).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+documentColumns+`, d.purge_at
			FROM documents d
			WHERE`+where+`
			ORDER BY d.deleted_at DESC, d.id
			LIMIT $1 OFFSET $2`, limit, offset)
		if err != nil {
			return err
		}
		docs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d voiceassist.DeletedDocument, err error) {
			err = row.Scan(append(documentFields(&d.Document), &d.PurgeAt)...)
			return d, err
		})
		return err
	})
	return docs, total, err
}
