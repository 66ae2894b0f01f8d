package redis_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/redis"
)

func open(t *testing.T, server *miniredis.Miniredis) *redis.Client {
	t.Helper()
	c, err := redis.Open(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestProcessesAreAliveWhileTheySaySo(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	c := open(t, server)
	alive := func(want int) {
		t.Helper()
		if n, err := c.Alive(t.Context(), "scheduler"); err != nil || n != want {
			t.Errorf("%d are alive, %v; want %d", n, err, want)
		}
	}
	alive(0)
	for id, ttl := range map[string]time.Duration{"a": time.Hour, "b": time.Hour, "gone": -time.Second} {
		if err := c.Beat(t.Context(), "scheduler", id, ttl); err != nil {
			t.Fatal(err)
		}
	}
	alive(2)
	if n, err := c.Alive(t.Context(), "worker"); err != nil || n != 0 {
		t.Errorf("%d of another kind are alive, %v; want none", n, err)
	}
	server.Close()
	if _, err := c.Alive(t.Context(), "scheduler"); voiceassist.CodeOf(err) != voiceassist.Unavailable {
		t.Errorf("without Redis: %v, want Unavailable", err)
	}
}

func TestWorkersAreCountedByTheirHeartbeats(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	q := open(t, server).Queue()
	if w, err := q.Workers(t.Context()); err != nil || w.Processes != 0 {
		t.Errorf("before the first: %+v, %v", w, err)
	}
	stop, err := q.Consume(func(context.Context, voiceassist.Delivery) {}, redis.ConsumerOptions{Concurrency: 3, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var w redis.Workers
	for w.Processes == 0 && t.Context().Err() == nil {
		if w, err = q.Workers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w != (redis.Workers{Processes: 1, Slots: 3}) {
		t.Errorf("one worker: %+v", w)
	}
	stop()
	if w, err := q.Workers(t.Context()); err != nil || w.Processes != 0 {
		t.Errorf("after it stopped: %+v, %v", w, err)
	}
}

func TestAServerThatHasNoVersionIsNoFailure(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	c := open(t, server)
	if version, err := c.Version(t.Context()); version != "" || err != nil {
		t.Errorf("Version = %q, %v", version, err)
	}
	server.Close()
	if _, err := c.Version(t.Context()); voiceassist.CodeOf(err) != voiceassist.Unavailable {
		t.Errorf("without Redis: %v, want Unavailable", err)
	}
}
