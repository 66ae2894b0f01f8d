package embedded

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

func TestRedisKeysExpire(t *testing.T) {
	t.Parallel()
	client := redisClient(t, mustStartRedis(t))
	if err := client.Set(t.Context(), "k", "v", 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key expires", func() bool { return client.Exists(t.Context(), "k").Val() == 0 })
}

func TestRedisWantsItsPassword(t *testing.T) {
	t.Parallel()
	r := mustStartRedis(t)
	stranger := redis.NewClient(&redis.Options{Addr: r.server.Addr()})
	defer stranger.Close()
	if err := stranger.Ping(t.Context()).Err(); err == nil {
		t.Error("a client without the password was let in")
	}
}

func TestARateLimitRecoversAfterItsPeriod(t *testing.T) {
	t.Parallel()
	limiter := redis_rate.NewLimiter(redisClient(t, mustStartRedis(t)))
	limit := redis_rate.Limit{Rate: 2, Burst: 2, Period: time.Second}
	allowed := func() bool {
		res, err := limiter.Allow(t.Context(), "user", limit)
		if err != nil {
			t.Fatal(err)
		}
		return res.Allowed == 1
	}
	for i, want := range []bool{true, true, false} {
		if allowed() != want {
			t.Fatalf("request %d allowed: %t, want %t", i+1, !want, want)
		}
	}
	began := time.Now()
	eventually(t, "a request is allowed again", allowed)
	if took := time.Since(began); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("it took %s, want about half a second", took)
	}
}

func TestAsynqRetriesAndDelaysTasks(t *testing.T) {
	t.Parallel()
	opt, err := asynq.ParseRedisURI(mustStartRedis(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 2)
	mux := asynq.NewServeMux()
	mux.HandleFunc("flaky", func(ctx context.Context, _ *asynq.Task) error {
		if n, _ := asynq.GetRetryCount(ctx); n == 0 {
			return errors.New("not yet")
		}
		done <- "flaky"
		return nil
	})
	mux.HandleFunc("late", func(context.Context, *asynq.Task) error {
		done <- "late"
		return nil
	})
	server := asynq.NewServer(opt, asynq.Config{
		Concurrency:              2,
		LogLevel:                 asynq.FatalLevel,
		DelayedTaskCheckInterval: 50 * time.Millisecond,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 100 * time.Millisecond },
	})
	if err := server.Start(mux); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	client := asynq.NewClient(opt)
	defer client.Close()
	if _, err := client.EnqueueContext(t.Context(), asynq.NewTask("flaky", nil)); err != nil {
		t.Fatal(err)
	}
	late, err := client.EnqueueContext(t.Context(), asynq.NewTask("late", nil, asynq.ProcessIn(2*time.Second)))
	if err != nil || late.State != asynq.TaskStateScheduled {
		t.Fatalf("the delayed task is %v, %v; want it scheduled", late, err)
	}
	for range cap(done) {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("the tasks have not run")
		}
	}
}

func TestAStreamReaderWaitsForWhatIsAdded(t *testing.T) {
	t.Parallel()
	r := mustStartRedis(t)
	reader, writer := redisClient(t, r), redisClient(t, r)
	read := make(chan error, 1)
	var got []redis.XStream
	go func() {
		var err error
		got, err = reader.XRead(t.Context(), &redis.XReadArgs{Streams: []string{"events", "0"}, Block: 5 * time.Second}).Result()
		read <- err
	}()
	eventually(t, "the reader is connected", func() bool { return r.server.CurrentConnectionCount() > 0 })
	err := writer.XAdd(t.Context(), &redis.XAddArgs{Stream: "events", MaxLen: 10, Approx: true, Values: []string{"delta", "hello"}}).Err()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got[0].Messages) != 1 || got[0].Messages[0].Values["delta"] != "hello" {
		t.Errorf("XREAD = %v", got)
	}
}

func TestABlockedStreamReaderDoesNotKeepRedisFromClosing(t *testing.T) {
	t.Parallel()
	r := mustStartRedis(t)
	client := redisClient(t, r)
	read := make(chan error, 1)
	go func() {
		read <- client.XRead(context.WithoutCancel(t.Context()), &redis.XReadArgs{Streams: []string{"events", "$"}, Block: 0}).Err()
	}()
	eventually(t, "the reader is connected", func() bool { return r.server.CurrentConnectionCount() > 0 })
	r.Close()
	if err := <-read; err == nil {
		t.Error("the reader read something")
	}
}

func mustStartRedis(t *testing.T) *Redis {
	t.Helper()
	r, err := StartRedis(t.Context(), RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func redisClient(t *testing.T, r *Redis) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}
