package redis_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/voiceassist/backend/redis"
)

func TestEveryProcessHearsWhatOnePublishes(t *testing.T) {
	t.Parallel()
	url := "redis://" + miniredis.RunT(t).Addr()
	heard := make(chan string, 10)
	first := startBus(t, url, func(b []byte) { heard <- "first " + string(b) })
	startBus(t, url, func(b []byte) { heard <- "second " + string(b) })
	got := map[string]bool{}
	for deadline := time.After(10 * time.Second); !got["first x"] || !got["second x"]; {
		if err := first.Publish(t.Context(), "topic", []byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case h := <-heard:
			got[h] = true
		case <-time.After(10 * time.Millisecond): // not subscribed yet
		case <-deadline:
			t.Fatalf("heard %v", got)
		}
	}
}

// startBus runs a bus of a process of its own until the test ends.
func startBus(t *testing.T, url string, f func([]byte)) *redis.Bus {
	t.Helper()
	c, err := redis.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	b := c.NewBus(slog.New(slog.DiscardHandler), nil)
	b.Handle("topic", f)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = c.Close()
	})
	return b
}
