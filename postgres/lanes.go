package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// pauseLane keeps the pending jobs of a lane from being published. Those that
// are published already still run.
func pauseLane(ctx context.Context, tx pgx.Tx, lane string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO lanes (name, paused_at)
		VALUES ($1, now())
		ON CONFLICT (name) DO UPDATE
		SET paused_at = coalesce(lanes.paused_at, excluded.paused_at)`, lane)
	return err
}

// resumeLane lets the jobs of a lane take their turns again.
func resumeLane(ctx context.Context, tx pgx.Tx, lane string) error {
	_, err := tx.Exec(ctx, `
		WITH resumed AS (DELETE FROM lanes WHERE name = $1)
		SELECT pg_notify('`+JobsChannel+`', '')`, lane)
	return err
}

// Backlogs returns the backlog of every queue.
func (db *DB) Backlogs(ctx context.Context) (map[voiceassist.Queue]voiceassist.Backlog, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT q.name, q.rate, q.waiting > 0,
			-- Purges of deleted documents wait for days and are no backlog.
			count(*) FILTER (WHERE state = 'pending' AND (kind <> 'purge' OR run_at <= now())),
			count(*) FILTER (WHERE state = 'running'),
			count(*) FILTER (WHERE state = 'pending' AND published_at IS NOT NULL),
			count(*) FILTER (WHERE state = 'pending' AND gate <> ''),
			count(DISTINCT j.lane) FILTER (WHERE state = 'pending'),
			coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'pending' AND run_at <= now())), 0)::float8
		FROM queues q
		LEFT JOIN jobs j ON j.queue = q.name AND j.state IN ('pending', 'running')
		GROUP BY q.name`)
	if err != nil {
		return nil, classify(err)
	}
	backlogs := make(map[voiceassist.Queue]voiceassist.Backlog, len(voiceassist.Queues))
	var q voiceassist.Queue
	var rate, seconds float64
	var busy bool
	var b voiceassist.Backlog
	_, err = pgx.ForEachRow(rows, []any{&q, &rate, &busy, &b.Pending, &b.Running, &b.Published, &b.Gated, &b.Lanes, &seconds}, func() error {
		b.Oldest = time.Duration(seconds * float64(time.Second))
		b.PerSecond = 0
		if busy { // the relay looks at what nobody waits in no more
			b.PerSecond = rate
		}
		backlogs[q] = b
		return nil
	})
	return backlogs, classify(err)
}
