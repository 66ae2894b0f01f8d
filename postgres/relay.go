package postgres

import (
	"context"
	"math"
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
	Lane  string
	Gate  voiceassist.Gate
}

// MaxWindow is how many published jobs wait in a queue at most, however fast
// the workers are.
const MaxWindow = 256

// maxLanes is how many lanes of a queue one pass looks at. More can have no turn
// in it, unless some of these are paused or not due.
const maxLanes = MaxWindow

// relayLock is the advisory lock of the relay that is at work.
const relayLock = 0x72656c6179 // "relay"

// PublishDue hands pending jobs that are due to publish and records a delivery
// of each. In each queue the lanes take turns, oldest first within a lane, until
// a window of jobs waits: as many as were started in the last second, but at
// least least and, unless that is more, at most MaxWindow. Lanes that are paused
// and jobs whose gate is shut are passed over. One call looks at maxLanes lanes of
// a queue, and the next goes on after them.
//
// It returns how many it published and whether others were held back: by a full
// window, or because there are more lanes.
// If publish fails the whole call is undone in the ledger; what it had published
// is then published again under the same task id, which the queue recognises.
// One process at a time does this; a call in another returns at once.
func (db *DB) PublishDue(ctx context.Context, least int, publish func(context.Context, Owed) error) (n int, held bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		queues, err := lockQueues(ctx, tx)
		if err != nil || len(queues) == 0 {
			return err
		}
		gates, err := openGates(ctx, tx)
		if err != nil {
			return err
		}
		var ids []uuid.UUID
		for _, q := range queues {
			owed, more, err := q.claim(ctx, tx, least, gates)
			if err != nil {
				return err
			}
			for _, o := range owed {
				if err := publish(ctx, o); err != nil {
					return err
				}
				ids = append(ids, o.JobID)
			}
			held = held || more
		}
		n = len(ids)
		return recordDeliveries(ctx, tx, ids, queues)
	})
	return n, held, err
}

func recordDeliveries(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, queues []*queueTurn) error {
	var batch pgx.Batch
	if len(ids) > 0 {
		batch.Queue(`
			UPDATE jobs
			SET deliveries = deliveries + 1, published_at = now()
			WHERE id = ANY($1)`, ids)
	}
	for _, q := range queues {
		if q.before == 0 && q.waiting == 0 && !q.moved {
			continue // as it was
		}
		batch.Queue(`
			UPDATE queues
			SET lane = $2, waiting = $3, rate = $4, looked_at = now()
			WHERE name = $1`, q.name, q.lane, q.waiting, q.rate)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// queueTurn is where the relay stands in a queue.
type queueTurn struct {
	name    voiceassist.Queue
	lane    string  // that had the last turn, or was the last to be looked at
	moved   bool    // lane is another one than before
	rate    float64 // jobs started per second, lately
	waiting int     // published and not started
	before  int     // that waited when the relay last looked
	owes    bool    // there are unpublished jobs, due or not
}

// lockQueues makes this transaction the only relay at work and returns how the
// queues stand, most urgent first; none if another relay is at work.
func lockQueues(ctx context.Context, tx pgx.Tx) ([]*queueTurn, error) {
	var locked bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, relayLock).Scan(&locked); err != nil || !locked {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT q.name, q.lane, q.rate, q.waiting, extract(epoch FROM now() - q.looked_at)::float8,
			(SELECT count(*) FROM jobs j WHERE j.queue = q.name AND j.state = 'pending' AND j.published_at IS NOT NULL),
			EXISTS (SELECT FROM jobs j WHERE j.queue = q.name AND j.state = 'pending' AND j.published_at IS NULL)
		FROM unnest($1::text[]) WITH ORDINALITY AS urgent (name, place)
		JOIN queues q USING (name)
		ORDER BY urgent.place`, queueNames())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*queueTurn, error) {
		var q queueTurn
		var since float64
		err := row.Scan(&q.name, &q.lane, &q.rate, &q.before, &since, &q.waiting, &q.owes)
		q.rate = smoothRate(q.rate, max(0, q.before-q.waiting), since)
		return &q, err
	})
}

func queueNames() []string {
	names := make([]string, len(voiceassist.Queues))
	for i, q := range voiceassist.Queues {
		names[i] = string(q.Name)
	}
	return names
}

// smoothRate returns the rate per second after n more in the last seconds. What
// is a second old counts for about a third.
func smoothRate(rate float64, n int, seconds float64) float64 {
	if seconds <= 0 {
		return rate
	}
	weight := 1 - math.Exp(-seconds)
	return rate + weight*(float64(n)/seconds-rate)
}

// window is how many published jobs may wait.
func (q *queueTurn) window(least int) int {
	return max(least, min(int(math.Ceil(q.rate)), MaxWindow))
}

// claim locks the jobs whose turn it is, as many as there is room for, and
// reports whether there are more. gates says how many jobs each open gate takes.
func (q *queueTurn) claim(ctx context.Context, tx pgx.Tx, least int, gates map[voiceassist.Gate]int) (owed []Owed, held bool, err error) {
	room := q.window(least) - q.waiting
	if !q.owes || room <= 0 {
		return nil, q.owes, nil
	}
	lanes, cut, err := nextLanes(ctx, tx, q)
	if err != nil {
		return nil, false, err
	}
	owed, err = nextTurns(ctx, tx, q, lanes, room+1, gates)
	if err != nil {
		return nil, false, err
	}
	full := len(owed) > room
	if full {
		owed = owed[:room]
	}
	for _, o := range owed {
		gates[o.Gate]--
		q.lane, q.moved = o.Lane, true
	}
	if cut && !full { // what these lanes lack, those after them may have
		q.lane, q.moved = lanes[len(lanes)-1], true
	}
	q.waiting += len(owed)
	return owed, full || cut, nil
}

// nextLanes returns the lanes of a queue that have unpublished jobs, due or not,
// from the lane after q.lane on and round to it: at most maxLanes, and whether
// there are more. They are found by leaps through jobs_relay_idx, so that a long
// lane costs no more than a short one.
func nextLanes(ctx context.Context, tx pgx.Tx, q *queueTurn) (lanes []string, cut bool, err error) {
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE later (lane, n) AS (
			SELECT min(j.lane), 1
			FROM jobs j
			WHERE j.state = 'pending' AND j.published_at IS NULL AND j.queue = $1 AND j.lane > $2
			UNION ALL
			SELECT (
				SELECT min(j.lane)
				FROM jobs j
				WHERE j.state = 'pending' AND j.published_at IS NULL AND j.queue = $1 AND j.lane > l.lane), n + 1
			FROM later l
			WHERE l.lane IS NOT NULL AND n < $3
		), earlier (lane, n) AS (
			SELECT min(j.lane), (SELECT count(lane)::integer FROM later) + 1
			FROM jobs j
			WHERE j.state = 'pending' AND j.published_at IS NULL AND j.queue = $1 AND j.lane <= $2
			UNION ALL
			SELECT (
				SELECT min(j.lane)
				FROM jobs j
				WHERE j.state = 'pending' AND j.published_at IS NULL AND j.queue = $1 AND j.lane > e.lane AND j.lane <= $2), n + 1
			FROM earlier e
			WHERE e.lane IS NOT NULL AND n < $3
		)
		SELECT lane
		FROM (SELECT * FROM later UNION ALL SELECT * FROM earlier) line
		WHERE lane IS NOT NULL
		ORDER BY n
		LIMIT $3`, q.name, q.lane, maxLanes+1)
	if err != nil {
		return nil, false, err
	}
	if lanes, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, false, err
	}
	cut = len(lanes) > maxLanes
	return lanes[:min(len(lanes), maxLanes)], cut, nil
}

// nextTurns locks up to limit due jobs of some lanes of a queue: the first of
// every lane, in the order of the lanes, then the second of every lane, and so on.
func nextTurns(ctx context.Context, tx pgx.Tx, q *queueTurn, lanes []string, limit int, gates map[voiceassist.Gate]int) ([]Owed, error) {
	names, takes := make([]string, 0, len(gates)), make([]int, 0, len(gates))
	for name, n := range gates {
		names, takes = append(names, string(name)), append(takes, n)
	}
	rows, err := tx.Query(ctx, `
		WITH due AS (
			SELECT l.place, j.id, g.gate, g.takes, row_number() OVER (PARTITION BY l.place ORDER BY j.run_at, j.id) AS turn
			FROM unnest($2::text[]) WITH ORDINALITY AS l (lane, place)
			CROSS JOIN unnest($4::text[], $5::int[]) AS g (gate, takes)
			CROSS JOIN LATERAL (
				SELECT j.id, j.run_at
				FROM jobs j
				WHERE j.state = 'pending' AND j.published_at IS NULL AND j.queue = $1 AND j.lane = l.lane AND j.gate = g.gate
					AND j.run_at <= now()
				ORDER BY j.run_at, j.id
				LIMIT least($3, g.takes)
			) j
			WHERE NOT EXISTS (SELECT FROM lanes p WHERE p.name = l.lane AND p.paused_at IS NOT NULL)
		), numbered AS (
			SELECT *, row_number() OVER (PARTITION BY gate ORDER BY turn, place) AS at_gate
			FROM due
		), next AS (
			SELECT id, turn, place
			FROM numbered
			WHERE at_gate <= takes
			ORDER BY turn, place
			LIMIT $3
		)
		SELECT j.id, j.deliveries + 1, j.kind, j.queue, j.lane, j.gate
		FROM next n
		JOIN jobs j USING (id)
		WHERE j.state = 'pending' AND j.published_at IS NULL
		ORDER BY n.turn, n.place
		FOR UPDATE OF j SKIP LOCKED`, q.name, lanes, limit, names, takes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Owed, err error) {
		err = row.Scan(&o.JobID, &o.Number, &o.Kind, &o.Queue, &o.Lane, &o.Gate)
		return o, err
	})
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
// another delivery, or have failed if this was their last attempt. It also wakes
// jobs that were forgotten waiting for parts that have all ended. all takes
// every running job, whatever its lease: for a start at which no worker can be
// alive. It returns how many it took.
func (db *DB) ReclaimLapsed(ctx context.Context, all bool) (n int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH lapsed AS (
				-- Deletions and refreshes are never given up.
				SELECT j.id, j.kind IN ('index', 'extract', 'embed') AND j.attempts - j.given_back >= $2 AS spent
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
					lease_until = NULL, published_at = NULL, run_at = now(),
					-- What the lost worker still writes to the index cannot be fenced: no
					-- later attempt goes on with its generation.
					generation = CASE WHEN j.parent_id IS NULL THEN 0 ELSE j.generation END,
					gate = CASE WHEN j.parent_id IS NULL THEN '' ELSE j.gate END
				FROM lapsed
				WHERE j.id = lapsed.id
				RETURNING j.id, j.document_id, j.parent_id, j.attempts, j.stage, spent
			), told AS (
				INSERT INTO job_events (job_id, attempt, stage, result, detail)
				SELECT id, attempts, stage, 'interrupted', 'its worker is gone' FROM taken
			)
			SELECT document_id, parent_id, spent FROM taken`, all, voiceassist.MaxAttempts, interruptedMessage)
		if err != nil {
			return err
		}
		var failed []uuid.UUID
		parents := make(map[uuid.UUID]uuid.UUID) // of parts that failed, with their documents
		var document uuid.UUID
		var parent *uuid.UUID
		var spent bool
		if _, err := pgx.ForEachRow(rows, []any{&document, &parent, &spent}, func() error {
			n++
			switch {
			case spent && parent != nil:
				parents[*parent] = document
			case spent:
				failed = append(failed, document)
			}
			return nil
		}); err != nil {
			return err
		}
		for parent, document := range parents {
			if err := failParent(ctx, tx, parent, document, voiceassist.ReasonInterrupted, interruptedMessage); err != nil {
				return err
			}
		}
		if err := failDocuments(ctx, tx, failed, voiceassist.ReasonInterrupted, interruptedMessage); err != nil {
			return err
		}
		resumed, err := resumeForgotten(ctx, tx)
		n += resumed
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, db.DropLapsedClaims(ctx)
}

const interruptedMessage = "Processing was interrupted too often: the worker ended with this document each time. Try again, or split the file."

// UnpublishAll takes back every delivery that has not been started: for a start
// with a queue that is known to be empty.
func (db *DB) UnpublishAll(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `UPDATE jobs SET published_at = NULL WHERE state = 'pending' AND published_at IS NOT NULL`)
	return classify(err)
}
