package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Owed is a delivery that the ledger owes the queue.
type Owed struct {
	voiceassist.Delivery
	Kind  voiceassist.JobKind
	Queue voiceassist.Queue
}

// PublishDue hands pending jobs that are due to publish, most urgent queue and
// oldest first, until each queue has window jobs waiting, and records a
// delivery of each. It returns how many it published and whether a full window
// held others back. If publish fails the whole call is undone in the ledger;
// what it had published is then published again under the same task id, which
// the queue recognises. Safe to run in several processes at once.
func (db *DB) PublishDue(ctx context.Context, window int, publish func(context.Context, Owed) error) (n int, held bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		owed, more, err := claimDue(ctx, tx, window)
		if err != nil {
			return err
		}
		held = more
		ids := make([]uuid.UUID, 0, len(owed))
		for _, o := range owed {
			if err := publish(ctx, o); err != nil {
				return err
			}
			ids = append(ids, o.JobID)
		}
		n = len(ids)
		if n == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, `
			UPDATE jobs
			SET deliveries = deliveries + 1, published_at = now()
			WHERE id = ANY($1)`, ids)
		return err
	})
	return n, held, err
}

func claimDue(ctx context.Context, tx pgx.Tx, window int) (owed []Owed, held bool, err error) {
	for _, q := range voiceassist.Queues {
		var waiting int
		if err := tx.QueryRow(ctx, `
			SELECT count(*)
			FROM jobs
			WHERE state = 'pending' AND published_at IS NOT NULL AND queue = $1`, q.Name).Scan(&waiting); err != nil {
			return nil, false, err
		}
		room := max(0, window-waiting)
		rows, err := tx.Query(ctx, `
			SELECT id, deliveries + 1, kind, queue
			FROM jobs
			WHERE state = 'pending' AND published_at IS NULL AND run_at <= now() AND queue = $1
				AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.name = jobs.lane AND l.paused_at IS NOT NULL)
			ORDER BY run_at, id
			LIMIT $2
			FOR UPDATE SKIP LOCKED`, q.Name, room+1)
		if err != nil {
			return nil, false, err
		}
		due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Owed, err error) {
			err = row.Scan(&o.JobID, &o.Number, &o.Kind, &o.Queue)
			return o, err
		})
		if err != nil {
			return nil, false, err
		}
		if len(due) > room {
			due, held = due[:room], true
		}
		owed = append(owed, due...)
	}
	return owed, held, nil
}

// Published returns up to limit deliveries that were published more than age
// ago and whose job has not been started, oldest first.
func (db *DB) Published(ctx context.Context, age time.Duration, limit int) ([]Owed, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT id, deliveries, kind, queue
		FROM jobs
		WHERE state = 'pending' AND published_at < now() - $1::interval
		ORDER BY published_at
		LIMIT $2`, age, limit)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Owed, err error) {
		err = row.Scan(&o.JobID, &o.Number, &o.Kind, &o.Queue)
		return o, err
	})
}

// Unpublish takes back a delivery that the queue has lost, so that the relay
// makes another. It does nothing once the job has been started.
func (db *DB) Unpublish(ctx context.Context, d voiceassist.Delivery) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE jobs
		SET published_at = NULL
		WHERE id = $1 AND deliveries = $2 AND state = 'pending'`, d.JobID, d.Number)
	return classify(err)
}

// ReclaimLapsed takes jobs from workers whose lease has run out: they wait for
// another delivery, or have failed if this was their last attempt. all takes
// every running job, whatever its lease: for a start at which no worker can be
// alive. It returns how many it took.
func (db *DB) ReclaimLapsed(ctx context.Context, all bool) (n int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH lapsed AS (
				-- Deletions and refreshes are never given up.
				SELECT j.id, j.kind = 'index' AND j.attempts - j.given_back >= $2 AS spent
				FROM jobs j
				JOIN documents d ON d.id = j.document_id
				WHERE j.state = 'running' AND (j.lease_until < now() OR $1)
				FOR NO KEY UPDATE OF d, j SKIP LOCKED
			), taken AS (
				UPDATE jobs j
				SET state = CASE WHEN spent THEN 'failed' ELSE 'pending' END,
					completed_at = CASE WHEN spent THEN now() END,
					error_code = CASE WHEN spent THEN 'interrupted' ELSE '' END,
					error_message = CASE WHEN spent THEN $3 ELSE '' END,
					lease_until = NULL, published_at = NULL, run_at = now()
				FROM lapsed
				WHERE j.id = lapsed.id
				RETURNING j.id, j.document_id, j.kind, j.attempts, j.stage, spent
			), told AS (
				INSERT INTO job_events (job_id, attempt, stage, result, detail)
				SELECT id, attempts, stage, 'interrupted', 'its worker is gone' FROM taken
			)
			SELECT document_id, spent FROM taken`, all, voiceassist.MaxAttempts, interruptedMessage)
		if err != nil {
			return err
		}
		var failed []uuid.UUID
		var document uuid.UUID
		var spent bool
		if _, err := pgx.ForEachRow(rows, []any{&document, &spent}, func() error {
			n++
			if spent {
				failed = append(failed, document)
			}
			return nil
		}); err != nil {
			return err
		}
		return failDocuments(ctx, tx, failed, voiceassist.ReasonInterrupted, interruptedMessage)
	})
	return n, err
}

const interruptedMessage = "Processing was interrupted too often: the worker ended with this document each time. Try again, or split the file."

// UnpublishAll takes back every delivery that has not been started: for a start
// with a queue that is known to be empty.
func (db *DB) UnpublishAll(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `UPDATE jobs SET published_at = NULL WHERE state = 'pending' AND published_at IS NOT NULL`)
	return classify(err)
}

// RunNow makes a pending job that waits for its time due.
func (db *DB) RunNow(ctx context.Context, id uuid.UUID) error {
	_, err := db.pool.Exec(ctx, `
		WITH due AS (UPDATE jobs SET run_at = now() WHERE id = $1 AND state = 'pending')
		SELECT pg_notify('`+JobsChannel+`', '')`, id)
	return classify(err)
}

// Backlogs returns the backlog of every queue.
func (db *DB) Backlogs(ctx context.Context) (map[voiceassist.Queue]voiceassist.Backlog, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT queue,
			count(*) FILTER (WHERE state = 'pending'),
			count(*) FILTER (WHERE state = 'running'),
			coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'pending' AND run_at <= now())), 0)::float8
		FROM jobs
		WHERE state IN ('pending', 'running')
		GROUP BY queue`)
	if err != nil {
		return nil, classify(err)
	}
	backlogs := make(map[voiceassist.Queue]voiceassist.Backlog, len(voiceassist.Queues))
	for _, q := range voiceassist.Queues {
		backlogs[q.Name] = voiceassist.Backlog{}
	}
	var q voiceassist.Queue
	var b voiceassist.Backlog
	var seconds float64
	_, err = pgx.ForEachRow(rows, []any{&q, &b.Pending, &b.Running, &seconds}, func() error {
		b.Oldest = time.Duration(seconds * float64(time.Second))
		backlogs[q] = b
		return nil
	})
	return backlogs, classify(err)
}
