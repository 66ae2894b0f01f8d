package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Span is a run of pages, from 1, or of passages, from 0. Both ends belong to
// it.
type Span struct{ First, Last int }

// Split says how the work of a job goes on in parts.
type Split struct {
	Kind       voiceassist.JobKind // of the parts
	Gate       voiceassist.Gate    // that they wait at; "" is none
	Parts      []Span              // at least one
	Generation int                 // whose passages the parts embed and with which the job goes on; 0 is none
	Progress   Progress            // of the job before the first of them
}

// Split ends the attempt in good order: its job waits until the parts, jobs of
// their own in the same queue and lane, have ended. The attempt does not count.
func (db *DB) Split(ctx context.Context, a Attempt, s Split, timeline []voiceassist.JobEvent) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if err := addParts(ctx, tx, a.JobID, s); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE jobs
			SET state = 'waiting', lease_until = NULL, given_back = given_back + 1, generation = $2, gate = ''
			WHERE id = $1`, a.JobID, s.Generation); err != nil {
			return err
		}
		var b pgx.Batch
		queueProgress(&b, a, s.Progress)
		queueEvents(&b, a.JobID, timeline)
		return tx.SendBatch(ctx, &b).Close()
	})
}

func addParts(ctx context.Context, tx pgx.Tx, parent uuid.UUID, s Split) error {
	ids, firsts, lasts := make([]uuid.UUID, len(s.Parts)), make([]int, len(s.Parts)), make([]int, len(s.Parts))
	for i, part := range s.Parts {
		ids[i], firsts[i], lasts[i] = uuid.Must(uuid.NewV7()), part.First, part.Last
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO jobs (id, document_id, kind, queue, lane, parent_id, first, last, generation, gate)
		SELECT part.id, j.document_id, $2, j.queue, j.lane, j.id, part.first, part.last, $3, $4
		FROM jobs j, unnest($5::uuid[], $6::integer[], $7::integer[]) AS part (id, first, last)
		WHERE j.id = $1`, parent, string(s.Kind), s.Generation, string(s.Gate), ids, firsts, lasts); err != nil {
		return err
	}
	return tellRelay(ctx, tx)
}

func tellRelay(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_notify('`+JobsChannel+`', '')`)
	return err
}

// Shares are what a job's percentage is before the first and after the last of
// its parts.
type Shares struct{ From, To int }

// CompletePart ends a part well. The last one lets its job go on.
func (db *DB) CompletePart(ctx context.Context, a Attempt, percent Shares, timeline []voiceassist.JobEvent) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			WITH part AS (
				UPDATE jobs
				SET state = 'completed', lease_until = NULL, completed_at = now(), progress = 100, stage = ''
				WHERE id = $1
				RETURNING parent_id, last - first + 1 AS size
			), job AS (
				UPDATE jobs j
				SET processed = least(total, processed + size),
					progress = $2::integer + ($3::integer - $2::integer) * least(total, processed + size) / greatest(total, 1)
				FROM part
				WHERE j.id = part.parent_id AND j.state = 'waiting'
				RETURNING j.document_id, j.progress
			)
			UPDATE documents d
			SET progress = job.progress, updated_at = now()
			FROM job
			WHERE d.id = job.document_id`, a.JobID, percent.From, percent.To); err != nil {
			return err
		}
		if err := addEvents(ctx, tx, a.JobID, timeline); err != nil {
			return err
		}
		return goOn(ctx, tx, a.ParentID)
	})
}

// allPartsEnded holds of a job j that waits for nothing any more.
const allPartsEnded = `
	j.state = 'waiting' AND NOT EXISTS (
		SELECT 1
		FROM jobs part
		WHERE part.parent_id = j.id AND part.state IN ('pending', 'running')
	)`

// goOn lets a job run again if its parts have all ended. The caller has locked
// its document, so of two that end at once the second sees the first.
func goOn(ctx context.Context, tx pgx.Tx, parent uuid.UUID) error {
	tag, err := tx.Exec(ctx, `
		UPDATE jobs j
		SET state = 'pending', published_at = NULL, run_at = now()
		WHERE j.id = $1 AND `+allPartsEnded, parent)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return tellRelay(ctx, tx)
}

// failParent fails the job of a part that has failed, with the part's reason,
// and its document; the other parts are cancelled. The caller has locked the
// document.
func failParent(ctx context.Context, tx pgx.Tx, parent, document uuid.UUID, reason voiceassist.Reason, message string) error {
	if _, err := tx.Exec(ctx, `
		WITH ended AS (
			UPDATE jobs
			SET state = CASE WHEN id = $1 THEN 'failed' ELSE 'cancelled' END, lease_until = NULL, completed_at = now(),
				error_code = CASE WHEN id = $1 THEN $2 ELSE 'cancelled' END, error_message = $3
			WHERE (id = $1 OR parent_id = $1) AND state IN ('pending', 'running', 'waiting')
			RETURNING id, attempts, stage, state
		)
		INSERT INTO job_events (job_id, attempt, stage, result, detail)
		SELECT id, attempts, stage, state, $3 FROM ended`, parent, string(reason), message); err != nil {
		return err
	}
	return failDocuments(ctx, tx, []uuid.UUID{document}, reason, message)
}

// resumeForgotten lets jobs go on that wait though their parts have all ended.
// There should be none: it is the net under goOn. A job that was seen so may have
// gone on, and wait for other parts, before it was locked, so it is looked at again.
func resumeForgotten(ctx context.Context, tx pgx.Tx) (n int, err error) {
	rows, err := tx.Query(ctx, `
		SELECT j.id
		FROM jobs j
		JOIN documents d ON d.id = j.document_id
		WHERE `+allPartsEnded+`
		FOR NO KEY UPDATE OF d, j SKIP LOCKED`)
	if err != nil {
		return 0, err
	}
	forgotten, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(forgotten) == 0 {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE jobs j
		SET state = 'pending', published_at = NULL, run_at = now()
		WHERE j.id = ANY($1) AND `+allPartsEnded, forgotten)
	if err != nil || tag.RowsAffected() == 0 {
		return 0, err
	}
	return int(tag.RowsAffected()), tellRelay(ctx, tx)
}
