package redis_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

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

func TestSlowHandlerLosesNewsAndKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	c, err := redis.Open(t.Context(), "redis://"+miniredis.RunT(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	registry := prometheus.NewRegistry()
	b := c.NewBus(slog.New(slog.DiscardHandler), registry)
	hold, heard := make(chan struct{}), make(chan string, 10_000)
	b.Handle("slow", func([]byte) { <-hold })
	b.Handle("fast", func(payload []byte) { heard <- string(payload) })
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(stop)
	t.Cleanup(func() { close(hold) })
	publish := func(topic, payload string) {
		t.Helper()
		if err := b.Publish(t.Context(), topic, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, heard, "ready", func() { publish("fast", "ready") })
	for range 300 {
		publish("slow", "")
	}
	await(t, heard, "after", func() { publish("fast", "after") })
	if n, err := testutil.GatherAndCount(registry, "voiceassist_bus_dropped_total"); err != nil || n != 1 {
		t.Errorf("%d topics lost news, %v; want the slow one", n, err)
	}
}

func TestBusComesBackWithRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	heard := make(chan string, 10_000)
	b := startBus(t, "redis://"+server.Addr(), func(payload []byte) { heard <- string(payload) })
	await(t, heard, "before", func() { _ = b.Publish(t.Context(), "topic", []byte("before")) })
	server.Close()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	await(t, heard, "again", func() { _ = b.Publish(t.Context(), "topic", []byte("again")) })
}

// await does something until what is wanted is heard.
func await(t *testing.T, heard <-chan string, want string, do func()) {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		do()
		select {
		case got := <-heard:
			if got == want {
				return
			}
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("never heard %q", want)
		}
	}
}
