package postgres

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

const jobColumns = `
	j.id, j.document_id, j.kind, j.queue, j.state, j.stage, j.attempts, j.given_back, j.deliveries, j.progress,
	j.processed, j.total, j.error_code, j.error_message, j.run_at, j.created_at, j.started_at, j.completed_at,
	j.parent_id, j.first, j.last, j.generation, j.gate, j.lane`

// unfinished are the jobs of a document that a new one of the same kind joins.
// It is the predicate of the index jobs_unfinished_key.
const unfinished = `state IN ('pending', 'running', 'waiting') AND parent_id IS NULL`

func scanJob(row pgx.CollectableRow) (voiceassist.Job, error) {
	var j voiceassist.Job
	err := row.Scan(
		&j.ID, &j.DocumentID, &j.Kind, &j.Queue, &j.State, &j.Stage, &j.Attempts, &j.GivenBack, &j.Deliveries, &j.Progress,
		&j.Processed, &j.Total, &j.ErrorCode, &j.ErrorMessage, &j.RunAt, &j.CreatedAt, &j.StartedAt, &j.CompletedAt,
		&j.ParentID, &j.First, &j.Last, &j.Generation, &j.Gate, &j.Lane)
	return j, err
}

// JobsChannel is the channel on which a transaction that adds a job tells the
// relay so.
const JobsChannel = "voiceassist_jobs"

// newJob is a job to be added.
type newJob struct {
	document uuid.UUID
	kind     voiceassist.JobKind
	queue    voiceassist.Queue // "" is QueueDefault
	lane     string
}

// addJob adds a job, or returns the unfinished one of the same kind that the
// document has already. The relay is told unless it owes the queue another job of
// the same lane: then it looks soon, at the latest after its idle second, or the
// lane is paused, or the window is full and a look would be for nothing.
func addJob(ctx context.Context, tx pgx.Tx, new newJob) (voiceassist.Job, error) {
	rows, err := tx.Query(ctx, `
		WITH added AS (
			INSERT INTO jobs AS j (id, document_id, kind, queue, lane)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (document_id, kind) WHERE `+unfinished+` DO NOTHING
			RETURNING `+jobColumns+`
		), told AS (
			SELECT pg_notify('`+JobsChannel+`', '')
			WHERE NOT EXISTS (
				SELECT 1
				FROM jobs
				WHERE state = 'pending' AND published_at IS NULL AND queue = $4 AND lane = $5 AND gate = '' AND run_at <= now()
			)
		)
		SELECT j.* FROM added j LEFT JOIN told ON true
		UNION ALL
		SELECT `+jobColumns+`
		FROM jobs j
		WHERE j.document_id = $2 AND j.kind = $3 AND `+unfinished+`
		LIMIT 1`,
		uuid.Must(uuid.NewV7()), new.document, new.kind, cmp.Or(new.queue, voiceassist.QueueDefault), new.lane)
	if err != nil {
		return voiceassist.Job{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanJob)
}

// addJobs adds an index job in a lane to every document, or finds the one it
// has.
func addJobs(ctx context.Context, tx pgx.Tx, documents []uuid.UUID, lane string) ([]voiceassist.Job, error) {
	jobs := make([]uuid.UUID, len(documents))
	for i := range jobs {
		jobs[i] = uuid.Must(uuid.NewV7())
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO jobs (id, document_id, kind, queue, lane)
		SELECT job, document, 'index', 'bulk', $3
		FROM unnest($1::uuid[], $2::uuid[]) AS new (job, document)
		ON CONFLICT (document_id, kind) WHERE `+unfinished+` DO NOTHING`, jobs, documents, lane); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_notify('`+JobsChannel+`', '')`); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT `+jobColumns+`
		FROM jobs j
		WHERE j.document_id = ANY($1) AND j.kind = 'index' AND `+unfinished+`
		ORDER BY j.document_id`, documents)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanJob)
}

// cancelJobs ends the unfinished jobs of some kinds of a document, and with an
// index job its parts. A worker that has one under way learns of it at its next
// write.
func cancelJobs(ctx context.Context, tx pgx.Tx, documentID uuid.UUID, why string, kinds ...voiceassist.JobKind) error {
	_, err := tx.Exec(ctx, `
		WITH ended AS (
			UPDATE jobs
			SET state = 'cancelled', lease_until = NULL, completed_at = now(), error_code = 'cancelled', error_message = $2
			WHERE document_id = $1 AND (kind = ANY($3) OR parent_id IS NOT NULL AND 'index' = ANY($3))
				AND state IN ('pending', 'running', 'waiting')
			RETURNING id, attempts, stage
		)
		INSERT INTO job_events (job_id, attempt, stage, result, detail)
		SELECT id, attempts, stage, 'cancelled', $2 FROM ended`, documentID, why, kinds)
	return err
}

// Job returns a job with its timeline, in which its parts' events are, or
// NotFound.
func (db *DB) Job(ctx context.Context, id uuid.UUID) (j voiceassist.Job, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		j, err = job(ctx, tx, id)
		return err
	})
	return j, err
}

func job(ctx context.Context, tx pgx.Tx, id uuid.UUID) (voiceassist.Job, error) {
	rows, err := tx.Query(ctx, `SELECT `+jobColumns+` FROM jobs j WHERE j.id = $1`, id)
	if err != nil {
		return voiceassist.Job{}, err
	}
	j, err := pgx.CollectExactlyOneRow(rows, scanJob)
	if err != nil {
		return j, notFound(err, "job")
	}
	rows, err = tx.Query(ctx, `
		SELECT `+eventColumns+`
		FROM job_events e
		JOIN jobs j ON j.id = e.job_id
		WHERE j.id = $1 OR j.parent_id = $1
		ORDER BY e.id
		LIMIT 500`, id)
	if err != nil {
		return j, err
	}
	j.Timeline, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (voiceassist.JobEvent, error) { return scanEvent(row) })
	return j, err
}

// eventColumns are read by scanEvent, of the event e of the job j; more may
// follow them.
const eventColumns = `e.attempt, e.stage, e.result, e.detail, e.took_us, e.at, j.id, j.parent_id IS NOT NULL, j.first, j.last`

func scanEvent(row pgx.CollectableRow, more ...any) (voiceassist.JobEvent, error) {
	var e voiceassist.JobEvent
	var us int64
	var part voiceassist.Part
	var isPart bool
	err := row.Scan(append([]any{&e.Attempt, &e.Stage, &e.Result, &e.Detail, &us, &e.At, &part.JobID, &isPart, &part.First, &part.Last}, more...)...)
	e.Took = time.Duration(us) * time.Microsecond
	if isPart {
		e.Part = &part
	}
	return e, err
}

// Jobs returns the jobs that f selects, newest first, and how many there are
// in all. Parts and timelines are left out; a job that waits for its parts counts
// as running.
func (db *DB) Jobs(ctx context.Context, f voiceassist.JobFilter) (jobs []voiceassist.Job, total int, err error) {
	const where = ` j.parent_id IS NULL AND ($1::uuid IS NULL OR j.document_id = $1) AND ($2 = '' OR j.state = $2 OR $2 = 'running' AND j.state = 'waiting') `
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM jobs j WHERE`+where, f.DocumentID, string(f.State)).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+jobColumns+`
			FROM jobs j
			WHERE`+where+`
			ORDER BY j.created_at DESC, j.id DESC
			LIMIT $3 OFFSET $4`, f.DocumentID, string(f.State), f.Limit, f.Offset)
		if err != nil {
			return err
		}
		jobs, err = pgx.CollectRows(rows, scanJob)
		return err
	})
	return jobs, total, err
}

// CancelJob ends an unfinished index job; its document is cancelled, or stays
// indexed if an earlier generation is. Any other job is a Conflict.
func (db *DB) CancelJob(ctx context.Context, id uuid.UUID) (j voiceassist.Job, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockJob(ctx, tx, id); err != nil {
			return err
		}
		var document uuid.UUID
		err := tx.QueryRow(ctx, `
			SELECT document_id
			FROM jobs
			WHERE id = $1 AND `+unfinished+` AND kind = 'index'`, id).Scan(&document)
		if err != nil {
			return conflictUnlessMissing(ctx, tx, id, err, "the job cannot be cancelled: it has ended, or is no indexing")
		}
		if err := cancelJobs(ctx, tx, document, "cancelled by an administrator", voiceassist.JobIndex); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE documents
			SET state = CASE WHEN generation > 0 THEN 'indexed' ELSE 'cancelled' END,
				stage = '', error_code = 'cancelled', error_message = 'Cancelled by an administrator.', updated_at = now()
			WHERE id = $1 AND deleted_at IS NULL`, document); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutDocument("job.cancelled", document, map[string]any{"job_id": id})); err != nil {
			return err
		}
		j, err = job(ctx, tx, id)
		return err
	})
	return j, err
}

// RetryJob starts a job anew for the document of one that failed or was
// cancelled, and returns the new job, in the same lane. If the document has failed
// or was cancelled, its batches go on, as after RetryBatch. Any other job is a
// Conflict.
func (db *DB) RetryJob(ctx context.Context, id uuid.UUID) (j voiceassist.Job, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		var document uuid.UUID
		if err := tx.QueryRow(ctx, `SELECT document_id FROM jobs WHERE id = $1`, id).Scan(&document); err != nil {
			return notFound(err, "job")
		}
		batches, err := lockBatchesOf(ctx, tx, document)
		if err != nil {
			return err
		}
		if err := lockJob(ctx, tx, id); err != nil {
			return err
		}
		var retryable, ended bool
		var lane string
		if err := tx.QueryRow(ctx, `
			SELECT j.state IN ('failed', 'cancelled') AND j.kind = 'index' AND d.deleted_at IS NULL,
				d.state IN ('failed', 'cancelled'),
				CASE WHEN d.state IN ('failed', 'cancelled') OR j.lane NOT LIKE 'batch:%' THEN j.lane ELSE '' END
			FROM jobs j
			JOIN documents d ON d.id = j.document_id
			WHERE j.id = $1`, id).Scan(&retryable, &ended, &lane); err != nil {
			return notFound(err, "job")
		}
		if !retryable {
			return voiceassist.Errorf(voiceassist.Conflict, "only a failed or cancelled job of an existing document can be retried")
		}
		if ended {
			if err := runAgain(ctx, tx, []uuid.UUID{document}, batches); err != nil {
				return err
			}
		}
		if j, err = addJob(ctx, tx, newJob{document: document, kind: voiceassist.JobIndex, queue: voiceassist.QueueInteractive, lane: lane}); err != nil {
			return err
		}
		return addAudit(ctx, tx, aboutDocument("job.retried", document, map[string]any{"job_id": j.ID, "of": id}))
	})
	return j, err
}

// runAgain makes documents that failed or were cancelled ones that wait, and lets
// their batches go on.
func runAgain(ctx context.Context, tx pgx.Tx, documents, batches []uuid.UUID) error {
	if err := reopenBatches(ctx, tx, batches); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE documents
		SET state = 'uploaded', stage = '', progress = 0, error_code = '', error_message = '', updated_at = now()
		WHERE id = ANY($1)`, documents)
	return err
}

// conflictUnlessMissing says why a job was not selected for a change.
func conflictUnlessMissing(ctx context.Context, tx pgx.Tx, id uuid.UUID, cause error, message string) error {
	if err := notFound(cause, "job"); voiceassist.CodeOf(err) != voiceassist.NotFound {
		return err
	}
	if _, err := job(ctx, tx, id); err != nil {
		return err
	}
	return voiceassist.Errorf(voiceassist.Conflict, "%s", message)
}
