package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	voiceassist "github.com/voiceassist/backend"
)

// StartAttempt gives the job of a delivery to the caller for lease and counts
// an attempt. started is false, without an error, for a delivery that is out of
// date: the job runs, has ended, or waits for a later delivery.
func (db *DB) StartAttempt(ctx context.Context, d voiceassist.Delivery, lease time.Duration) (j voiceassist.Job, doc voiceassist.Document, started bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		var b pgx.Batch
		queueJobLocks(&b, d.JobID)
		b.Queue(`
			UPDATE jobs j
			SET state = 'running', attempts = attempts + 1, lease_until = now() + $3::interval,
				started_at = coalesce(started_at, now()), stage = '', processed = 0, total = 0,
				progress = CASE WHEN attempts = given_back THEN progress ELSE 0 END
			WHERE id = $1 AND deliveries = $2 AND state = 'pending'
			RETURNING `+jobColumns, d.JobID, d.Number, lease).Query(func(rows pgx.Rows) error {
			j, err = pgx.CollectExactlyOneRow(rows, scanJob)
			return err
		})
		err := tx.SendBatch(ctx, &b).Close()
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		doc, err = startDocument(ctx, tx, j)
		started = err == nil
		return err
	})
	return j, doc, started, err
}

func startDocument(ctx context.Context, tx pgx.Tx, j voiceassist.Job) (voiceassist.Document, error) {
	rows, err := tx.Query(ctx, `
		UPDATE documents d
		SET state = CASE WHEN $2 = 'index' THEN 'processing' ELSE state END,
			stage = CASE WHEN $4 THEN stage ELSE '' END, progress = CASE WHEN $4 THEN progress ELSE $3 END,
			error_code = CASE WHEN $2 = 'index' THEN '' ELSE error_code END,
			error_message = CASE WHEN $2 = 'index' THEN '' ELSE error_message END, updated_at = now()
		WHERE id = $1
		RETURNING `+documentColumns, j.DocumentID, string(j.Kind), j.Progress, j.ParentID != nil || j.Kind == voiceassist.JobRefresh)
	if err != nil {
		return voiceassist.Document{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanDocument)
}

// Attempt names the attempt on whose behalf the ledger is written. Every write
// is refused with voiceassist.ErrFenced once it is no longer the current one.
type Attempt struct {
	JobID      uuid.UUID
	DocumentID uuid.UUID
	ParentID   uuid.UUID // of a part: the job that waits for it; zero otherwise
	Number     int
}

// AttemptOf returns the current attempt of a job that StartAttempt gave out.
func AttemptOf(j voiceassist.Job) Attempt {
	a := Attempt{JobID: j.ID, DocumentID: j.DocumentID, Number: j.Attempts}
	if j.ParentID != nil {
		a.ParentID = *j.ParentID
	}
	return a
}

// lockJob locks a job for the rest of tx and, before it, its document.
// Everything that locks both does so in this order, and a part after the job
// that waits for it, so that nobody waits in a circle. It also waits for a relay that is just publishing the job.
func lockJob(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	var b pgx.Batch
	queueJobLocks(&b, id)
	return tx.SendBatch(ctx, &b).Close()
}

func queueJobLocks(b *pgx.Batch, id uuid.UUID) {
	b.Queue(`
		SELECT 1
		FROM documents
		WHERE id = (SELECT document_id FROM jobs WHERE id = $1)
		FOR NO KEY UPDATE`, id)
	b.Queue(`SELECT 1 FROM jobs WHERE id = $1 FOR UPDATE`, id)
}

// fence locks the attempt's job and document for the rest of tx, or returns
// ErrFenced.
func fence(ctx context.Context, tx pgx.Tx, a Attempt) error {
	return sendFenced(ctx, tx, a, func(*pgx.Batch) {})
}

// sender is a pool, where a batch is a transaction, or a transaction.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// sendFenced makes the statements that queue adds in one round trip, with the
// attempt's job and document locked before them. If the attempt is not the current
// one none of them is made and the error is ErrFenced.
func sendFenced(ctx context.Context, to sender, a Attempt, queue func(*pgx.Batch)) error {
	var b pgx.Batch // in the order of lockJob
	b.Queue(`SELECT 1 FROM documents WHERE id = $1 FOR NO KEY UPDATE`, a.DocumentID)
	// The server goes on with a batch until a statement fails. This one does, by
	// dividing by zero, when there is no such row.
	b.Queue(`
		SELECT 1 / count(*)
		FROM (
			SELECT 1
			FROM jobs
			WHERE id = $1 AND attempts = $2 AND state = 'running'
			FOR UPDATE
		) AS current`, a.JobID, a.Number)
	queue(&b)
	err := to.SendBatch(ctx, &b).Close()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == divisionByZero {
		return voiceassist.ErrFenced
	}
	return err
}

// fenced is sendFenced in a transaction of its own, which the server has committed
// before the first answer is looked at: no answer can undo it.
func (db *DB) fenced(ctx context.Context, a Attempt, queue func(*pgx.Batch)) error {
	return classify(sendFenced(ctx, db.pool, a, queue))
}

// Renew extends the attempt's lease.
func (db *DB) Renew(ctx context.Context, a Attempt, lease time.Duration) error {
	tag, err := db.pool.Exec(ctx, `
		UPDATE jobs
		SET lease_until = now() + $3::interval
		WHERE id = $1 AND attempts = $2 AND state = 'running'`, a.JobID, a.Number, lease)
	if err == nil && tag.RowsAffected() == 0 {
		return voiceassist.ErrFenced
	}
	return classify(err)
}

// Progress is how far an attempt has come.
type Progress struct {
	Stage     voiceassist.Stage
	Processed int
	Total     int // 0 while unknown
	Percent   int // of the whole job, 0–100
}

// SetProgress records how far the attempt has come, on the job and, unless it
// is a part, on its document.
func (db *DB) SetProgress(ctx context.Context, a Attempt, p Progress) error {
	return db.fenced(ctx, a, func(b *pgx.Batch) { queueProgress(b, a, p) })
}

func queueProgress(b *pgx.Batch, a Attempt, p Progress) {
	b.Queue(`
		WITH job AS (
			UPDATE jobs
			SET stage = $3, processed = $4, total = $5, progress = $6
			WHERE id = $1
		)
		UPDATE documents
		SET stage = $3, progress = $6, updated_at = now()
		WHERE id = $2 AND $7`, a.JobID, a.DocumentID, string(p.Stage), p.Processed, p.Total, p.Percent, a.ParentID == uuid.Nil)
}

// Complete ends the job well. An index job's document is indexed.
func (db *DB) Complete(ctx context.Context, a Attempt, timeline []voiceassist.JobEvent) error {
	return db.fenced(ctx, a, func(b *pgx.Batch) {
		b.Queue(`
			WITH job AS (
				UPDATE jobs
				SET state = 'completed', lease_until = NULL, completed_at = now(), progress = 100, stage = ''
				WHERE id = $1
				RETURNING document_id, kind
			)
			UPDATE documents d
			SET state = CASE WHEN kind = 'index' THEN 'indexed' ELSE state END,
				stage = '', progress = 100,
				indexed_at = CASE WHEN kind = 'index' THEN now() ELSE indexed_at END, updated_at = now()
			FROM job
			WHERE d.id = job.document_id`, a.JobID)
		queueEvents(b, a.JobID, timeline)
		queueCorpusChange(b, a.DocumentID) // the index has followed the ledger only now
	})
}

// Fail ends the job badly. Its document has failed with the reason and the
// message, or stays indexed, with both noted, if an earlier generation is. A part
// takes the job that waits for it with it.
func (db *DB) Fail(ctx context.Context, a Attempt, f *voiceassist.Failure, timeline []voiceassist.JobEvent) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE jobs
			SET state = 'failed', lease_until = NULL, completed_at = now(), error_code = $2, error_message = $3
			WHERE id = $1`, a.JobID, string(f.Reason), f.Message); err != nil {
			return err
		}
		if err := addEvents(ctx, tx, a.JobID, timeline); err != nil {
			return err
		}
		if a.ParentID != uuid.Nil {
			return failParent(ctx, tx, a.ParentID, a.DocumentID, f.Reason, f.Message)
		}
		return failDocuments(ctx, tx, []uuid.UUID{a.DocumentID}, f.Reason, f.Message)
	})
}

func failDocuments(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, reason voiceassist.Reason, message string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE documents
		SET state = CASE WHEN generation > 0 THEN 'indexed' ELSE 'failed' END,
			stage = '', error_code = $2, error_message = $3, updated_at = now()
		WHERE id = ANY($1) AND deleted_at IS NULL`, ids, string(reason), message)
	return err
}

// Again says when and how a job that ended without a result runs again.
type Again struct {
	After      time.Duration
	GivenBack  bool             // it was nobody's fault: the attempt does not count
	Generation int              // whose passages are all stored and of which the index knows nothing yet, to go on with; 0 is none
	Gate       voiceassist.Gate // that has to be open then; "" is none
}

// Return ends the attempt without a result: the job runs again. A part keeps
// its generation and its gate.
func (db *DB) Return(ctx context.Context, a Attempt, again Again, timeline []voiceassist.JobEvent) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE jobs
			SET state = 'pending', lease_until = NULL, published_at = NULL, run_at = now() + $3::interval,
				given_back = given_back + CASE WHEN $4 THEN 1 ELSE 0 END,
				generation = CASE WHEN parent_id IS NULL THEN $5 ELSE generation END,
				gate = CASE WHEN parent_id IS NULL THEN $6 ELSE gate END
			WHERE id = $1 AND attempts = $2 AND state = 'running'`,
			a.JobID, a.Number, again.After, again.GivenBack, again.Generation, string(again.Gate))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return voiceassist.ErrFenced
		}
		return addEvents(ctx, tx, a.JobID, timeline)
	})
}

// addEvents adds lines to the timeline of a job.
func addEvents(ctx context.Context, tx pgx.Tx, job uuid.UUID, events []voiceassist.JobEvent) error {
	var b pgx.Batch
	queueEvents(&b, job, events)
	return tx.SendBatch(ctx, &b).Close()
}

// queueEvents adds lines to the timeline of a job. Each came as long before the
// transaction, by the clock of the database, as it did by the caller's.
func queueEvents(b *pgx.Batch, job uuid.UUID, events []voiceassist.JobEvent) {
	n, now := len(events), time.Now()
	attempts, stages, results := make([]int, n), make([]string, n), make([]string, n)
	details, took, ago := make([]string, n), make([]int64, n), make([]time.Duration, n)
	for i, e := range events {
		attempts[i], stages[i], results[i], details[i], took[i] = e.Attempt, string(e.Stage), e.Result, e.Detail, e.Took.Microseconds()
		if !e.At.IsZero() {
			ago[i] = now.Sub(e.At)
		}
	}
	b.Queue(`
		INSERT INTO job_events (job_id, attempt, stage, result, detail, took_us, at)
		SELECT $1, attempt, stage, result, detail, took, now() - ago
		FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::interval[])
			AS e (attempt, stage, result, detail, took, ago)`,
		job, attempts, stages, results, details, took, ago)
}
