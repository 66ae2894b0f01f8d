package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// openWithJobs returns a ledger with n pending jobs in each of some lanes, and a
// connection to its database.
func openWithJobs(t testing.TB, lanes []string, n int) (*postgres.DB, *pgx.Conn) {
	t.Helper()
	db, conn := postgrestest.OpenWithConn(t)
	addLanes(t, conn, lanes, n)
	return db, conn
}

func addLanes(t testing.TB, conn *pgx.Conn, lanes []string, n int) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `
		WITH added AS (
			INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state)
			SELECT gen_random_uuid(), md5(lane || n) || md5(n || lane), 1, lane, 'text/plain', lane || '/' || n, 'T', 'uploaded'
			FROM unnest($1::text[]) AS lane, generate_series(1, $2) AS n
			RETURNING id, filename AS lane
		)
		INSERT INTO jobs (id, document_id, kind, queue, lane)
		SELECT gen_random_uuid(), id, 'index', 'default', lane FROM added`, lanes, n)
	if err != nil {
		t.Fatal(err)
	}
}

// published lets the relay go over the ledger and returns the lanes of what it
// published, in order.
func published(t testing.TB, db *postgres.DB, least int) (lanes []string, held bool) {
	t.Helper()
	_, held, err := db.PublishDue(t.Context(), least, func(_ context.Context, o postgres.Owed) error {
		lanes = append(lanes, o.Lane)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lanes, held
}

// start has a worker take everything that is published.
func start(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), `
		UPDATE jobs
		SET state = 'running', lease_until = now() + interval '1 hour'
		WHERE state = 'pending' AND published_at IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
}

func TestLanesTakeTurns(t *testing.T) {
	t.Parallel()
	db, conn := openWithJobs(t, []string{"a", "b", "c"}, 4)
	addLanes(t, conn, []string{"d"}, 1)
	for i, want := range []string{"abcda", "bcabc", "abc"} {
		lanes, held := published(t, db, 5)
		if got := joined(lanes); got != want || held != (i < 2) {
			t.Errorf("turn %d: %s, held back %v; want %s", i, got, held, want)
		}
		start(t, conn)
	}
}

func joined(lanes []string) (s string) {
	for _, lane := range lanes {
		s += lane
	}
	return s
}

func TestAColleagueIsInTheFirstWindow(t *testing.T) {
	t.Parallel()
	db, conn := openWithJobs(t, []string{"user:a"}, 2000)
	published(t, db, 16)
	addLanes(t, conn, []string{"user:b"}, 1)
	start(t, conn)
	if lanes, _ := published(t, db, 16); !slices.Contains(lanes, "user:b") {
		t.Errorf("published are %v, want user:b among them", lanes)
	}
}

func TestTheWindowFollowsTheWorkers(t *testing.T) {
	t.Parallel()
	db, conn := openWithJobs(t, []string{"a"}, 1000)
	if lanes, held := published(t, db, 16); len(lanes) != 16 || !held {
		t.Fatalf("%d are published at first, held back %v; want 16, true", len(lanes), held)
	}
	if lanes, held := published(t, db, 16); len(lanes) != 0 || !held {
		t.Errorf("%d more while nothing is taken, held back %v", len(lanes), held)
	}
	// 100 were taken in half a second, then 1000 in one, then nothing in ten.
	for _, c := range []struct{ taken, waiting, ago, low, high int }{
		{100, 0, 500, 70, 90}, {1000, 0, 1000, postgres.MaxWindow, postgres.MaxWindow}, {0, 0, 10000, 16, 16},
	} {
		start(t, conn)
		if _, err := conn.Exec(t.Context(), `
			UPDATE queues
			SET waiting = $1, looked_at = now() - make_interval(secs => $2::float8 / 1000)
			WHERE name = 'default'`, c.taken, c.ago); err != nil {
			t.Fatal(err)
		}
		if lanes, _ := published(t, db, 16); len(lanes) < c.low || len(lanes) > c.high {
			t.Errorf("%d taken in %d ms: the window is %d, want %d to %d", c.taken, c.ago, len(lanes), c.low, c.high)
		}
	}
}

func TestAPausedLaneIsPassedOver(t *testing.T) {
	t.Parallel()
	db, _ := openWithJobs(t, []string{"a", "b"}, 2)
	for range 2 { // pausing twice is pausing once
		if err := db.PauseLane(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if lanes, _ := published(t, db, 16); joined(lanes) != "bb" {
		t.Errorf("published are %v while a is paused", lanes)
	}
	if err := db.ResumeLane(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if lanes, _ := published(t, db, 16); joined(lanes) != "aa" {
		t.Errorf("published are %v after that", lanes)
	}
}

func TestOneRelayIsAtWorkAtATime(t *testing.T) {
	t.Parallel()
	db, _ := openWithJobs(t, []string{"a"}, 3)
	n, _, err := db.PublishDue(t.Context(), 16, func(context.Context, postgres.Owed) error {
		if lanes, _ := published(t, db, 16); len(lanes) != 0 {
			t.Errorf("another relay published %v", lanes)
		}
		return nil
	})
	if n != 3 || err != nil {
		t.Errorf("PublishDue = %d, %v; want 3", n, err)
	}
}

func TestJobsAtAShutGateAreHeldAndThenProbeIt(t *testing.T) {
	t.Parallel()
	db, conn := openWithJobs(t, []string{"a", "b"}, 3)
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE jobs SET gate = 'embed' WHERE lane = 'a'`)
	exec(`UPDATE gates SET shut_until = now() + interval '1 hour', reason = 'paced'`)
	if lanes, _ := published(t, db, 16); joined(lanes) != "bbb" {
		t.Errorf("published are %v while the gate is shut, want b's", lanes)
	}
	exec(`UPDATE gates SET shut_until = now()`)
	for i, want := range []string{"a", ""} {
		if lanes, _ := published(t, db, 16); joined(lanes) != want {
			t.Errorf("pass %d: published are %v when the gate may be probed, want %q", i, lanes, want)
		}
	}
	exec(`UPDATE gates SET shut_until = NULL, reason = ''`)
	if lanes, _ := published(t, db, 16); joined(lanes) != "aa" {
		t.Errorf("published are %v when the gate is open, want the other a's", lanes)
	}
	if b, err := db.Backlogs(t.Context()); err != nil || b[voiceassist.QueueDefault].Gated != 3 || b[voiceassist.QueueDefault].Published != 6 {
		t.Errorf("Backlogs = %+v, %v", b, err)
	}
}

// BenchmarkPublishDue is a pass of the relay after workers took ten jobs.
func BenchmarkPublishDue(b *testing.B) {
	for _, c := range []struct{ lanes, jobs int }{{1, 50000}, {100, 500}} {
		b.Run(fmt.Sprintf("%dx%d", c.lanes, c.jobs), func(b *testing.B) {
			lanes := make([]string, c.lanes)
			for i := range lanes {
				lanes[i] = fmt.Sprintf("user:%04d", i)
			}
			db, conn := openWithJobs(b, lanes, c.jobs)
			if _, err := conn.Exec(b.Context(), `ANALYZE jobs`); err != nil {
				b.Fatal(err)
			}
			published(b, db, 16)
			for b.Loop() {
				b.StopTimer()
				if _, err := conn.Exec(b.Context(), `
					UPDATE jobs
					SET state = 'running', lease_until = now() + interval '1 hour'
					WHERE id IN (SELECT id FROM jobs WHERE state = 'pending' AND published_at IS NOT NULL LIMIT 10)`); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				published(b, db, 16)
			}
		})
	}
}
