package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
	"github.com/voiceassist/backend/redis"
)

// BenchmarkRelay takes 3,000 jobs of 20 lanes through relay, queue and consumer.
// In "delivered" a job is no more than marked as started, which makes room in the
// window; in "settled" an attempt begins and completes in the ledger as a
// worker's does. What the jobs are about takes no time.
func BenchmarkRelay(b *testing.B) {
	b.Run("delivered", func(b *testing.B) {
		relayJobs(b, func(ctx context.Context, db *postgres.DB, d voiceassist.Delivery) error {
			_, _, _, err := db.StartAttempt(ctx, d, time.Hour)
			return err
		})
	})
	b.Run("settled", func(b *testing.B) {
		relayJobs(b, func(ctx context.Context, db *postgres.DB, d voiceassist.Delivery) error {
			j, _, started, err := db.StartAttempt(ctx, d, time.Hour)
			if err != nil || !started {
				return err
			}
			return db.Complete(ctx, postgres.AttemptOf(j), nil)
		})
	})
}

func relayJobs(b *testing.B, settle func(context.Context, *postgres.DB, voiceassist.Delivery) error) {
	const jobs, lanes = 3000, 20
	db, conn := postgrestest.OpenWithConn(b)
	server, err := embedded.StartRedis(b.Context(), embedded.RedisOptions{})
	check(b, err)
	b.Cleanup(server.Close)
	client, err := redis.Open(b.Context(), server.URL())
	check(b, err)
	b.Cleanup(func() { _ = client.Close() })
	log := slog.New(slog.DiscardHandler)

	var left atomic.Int64
	done := make(chan struct{}, 1)
	stop, err := client.Queue().Consume(func(ctx context.Context, d voiceassist.Delivery) {
		if err := settle(ctx, db, d); err != nil {
			b.Error(err)
		}
		if left.Add(-1) == 0 {
			done <- struct{}{}
		}
	}, redis.ConsumerOptions{Concurrency: 8, Log: log})
	check(b, err)
	b.Cleanup(stop)
	ctx, cancel := context.WithCancel(b.Context())
	var relaying sync.WaitGroup
	relaying.Go(func() { (&Relay{Ledger: db, Queue: client.Queue(), Log: log}).Run(ctx) })
	b.Cleanup(func() { cancel(); relaying.Wait() })

	for b.Loop() {
		left.Store(jobs)
		_, err := conn.Exec(b.Context(), `
			WITH added AS (
				INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state, generation)
				SELECT gen_random_uuid(), md5(random()::text) || md5(random()::text), 1, 'a.txt', 'text/plain', gen_random_uuid()::text, 'T', 'indexed', 1
				FROM generate_series(1, $1::int)
				RETURNING id
			), told AS (
				SELECT pg_notify('`+postgres.JobsChannel+`', '')
			)
			INSERT INTO jobs (id, document_id, kind, queue, lane)
			SELECT gen_random_uuid(), id, 'refresh', 'bulk', 'user:' || row_number() OVER () % $2::int FROM added, told`, jobs, lanes)
		check(b, err)
		<-done
	}
	b.ReportMetric(float64(b.N*jobs)/b.Elapsed().Seconds(), "jobs/s")
}
