package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
	"github.com/voiceassist/backend/redis"
)

// words keeps strings near, and far if it is told to.
func words(c *cache.Cache, far time.Duration) *cache.Namespace[string] {
	return cache.NewNamespace(c, "word", cache.Policy[string]{
		Near: time.Minute, MaxBytes: 1 << 20, Size: func(s string) int { return len(s) },
		Far: cache.FarPolicy{TTL: far, MaxBytes: 100}, Version: "1",
	})
}

func newCache(t *testing.T, o cache.Options) *cache.Cache {
	t.Helper()
	c := cache.New(o)
	t.Cleanup(c.Close)
	return c
}

// value returns a load that finds v and counts how often it is called.
func value(v string, calls *int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		*calls++
		return v, nil
	}
}

func mustGet(t *testing.T, n *cache.Namespace[string], key string, load func(context.Context) (string, error)) string {
	t.Helper()
	v, err := n.Get(t.Context(), key, load)
	if err != nil {
		t.Fatalf("Get(%s): %v", key, err)
	}
	return v
}

func TestAValueIsLoadedOnceAndEveryQuestionIsCounted(t *testing.T) {
	t.Parallel()
	c := newCache(t, cache.Options{})
	n := words(c, 0)
	loads := 0
	for range 3 {
		if got := mustGet(t, n, "a", value("alpha", &loads)); got != "alpha" {
			t.Errorf("got %q", got)
		}
	}
	mustGet(t, n, "b", value("beta", &loads))
	got := c.Figures(t.Context()).Namespaces[0].Near
	want := voiceassist.CacheLevel{Entries: 2, Bytes: got.Bytes, Hits: 2, Misses: 2}
	if diff := cmp.Diff(want, got); diff != "" || loads != 2 || got.Bytes < 9 {
		t.Errorf("%d loads; figures (-want +got):\n%s", loads, diff)
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	n := words(newCache(t, cache.Options{}), 0)
	broken := errors.New("broken")
	if _, err := n.Get(t.Context(), "a", func(context.Context) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Fatalf("err = %v", err)
	}
	loads := 0
	if got := mustGet(t, n, "a", value("alpha", &loads)); got != "alpha" || loads != 1 {
		t.Errorf("got %q after %d loads", got, loads)
	}
}

func TestValuesGrowOldFromBeforeTheyWereLoaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Options{})
		defer c.Close()
		n := words(c, 0)
		loads := 0
		mustGet(t, n, "a", func(context.Context) (string, error) {
			time.Sleep(5 * time.Second)
			loads++
			return "alpha", nil
		})
		time.Sleep(54 * time.Second)
		mustGet(t, n, "a", value("alpha", &loads))
		if loads != 1 {
			t.Errorf("%d loads within the minute, want 1", loads)
		}
		time.Sleep(2 * time.Second)
		mustGet(t, n, "a", value("alpha", &loads))
		if loads != 2 {
			t.Errorf("%d loads after the minute, want 2", loads)
		}
	})
}

func TestManyWhoAskAtOnceWaitForOneLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Options{})
		defer c.Close()
		n := words(c, 0)
		loads := 0
		var asking sync.WaitGroup
		for range 10 {
			asking.Go(func() {
				v, err := n.Get(t.Context(), "a", func(context.Context) (string, error) {
					loads++
					time.Sleep(time.Second)
					return "alpha", nil
				})
				if v != "alpha" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		asking.Wait()
		if loads != 1 {
			t.Errorf("%d loads, want 1", loads)
		}
	})
}

func TestWhoLeavesDoesNotTakeTheLoadAlong(t *testing.T) {
	t.Parallel()
	n := words(newCache(t, cache.Options{}), 0)
	ctx, leave := context.WithCancel(t.Context())
	v, err := n.Get(ctx, "a", func(ctx context.Context) (string, error) {
		leave()
		return "alpha", ctx.Err()
	})
	if v != "alpha" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
}

func TestWhatWasDroppedWhileItWasLoadedIsNotKept(t *testing.T) {
	t.Parallel()
	n := words(newCache(t, cache.Options{}), 0)
	loads := 0
	old := mustGet(t, n, "a", func(context.Context) (string, error) {
		n.Drop(func(string, string) bool { return true })
		if got := mustGet(t, n, "a", value("new", &loads)); got != "new" {
			t.Errorf("who asked after the drop got %q, of a load that began before it", got)
		}
		return "old", nil
	})
	if got := mustGet(t, n, "a", value("newer", &loads)); old != "old" || got != "new" {
		t.Errorf("got %q and then %q; the value of the first load must not be kept", old, got)
	}
}

func TestAPanicOfALoadLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	n := words(newCache(t, cache.Options{}), 0)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = n.Get(t.Context(), "a", func(context.Context) (string, error) { panic("bug") })
	}()
	loads := 0
	if got := mustGet(t, n, "a", value("alpha", &loads)); got != "alpha" {
		t.Errorf("got %q", got)
	}
}

// process is a process with a cache and a bus on a Redis that others share.
func process(t *testing.T, server *miniredis.Miniredis) (*cache.Cache, *cache.Namespace[string]) {
	t.Helper()
	client, err := redis.Open(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	bus := client.NewBus(log, nil)
	c := cache.New(cache.Options{Far: client.NewCache(log), Bus: bus})
	n := words(c, time.Hour)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { bus.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		c.Close()
		_ = client.Close()
	})
	return c, n
}

func TestOneProcessFindsWhatAnotherHasLoaded(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	first, one := process(t, server)
	second, two := process(t, server)
	loads := 0
	mustGet(t, one, "a", value("alpha", &loads))
	if got := mustGet(t, two, "a", value("other", &loads)); got != "alpha" || loads != 1 {
		t.Errorf("got %q after %d loads", got, loads)
	}
	mustGet(t, one, "long", value(string(make([]byte, 101)), &loads))
	if server.Exists("va:cache:word:1:long") || !server.Exists("va:cache:word:1:a") {
		t.Errorf("Redis holds %v", server.Keys())
	}
	if f := first.Figures(t.Context()).Namespaces[0]; f.Far.Hits != 0 || f.Far.Misses != 2 {
		t.Errorf("first: %+v", f)
	}
	f := second.Figures(t.Context())
	if f.Namespaces[0].Far.Hits != 1 || !f.Shared.Connected || f.Shared.Keys["word"] != 1 {
		t.Errorf("second: %+v", f)
	}
}

func TestForgettingReachesEveryProcessAndNothingBesideTheCache(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	for _, key := range []string{"asynq:{default}:pending", "rate:login:192.0.2.1", "va:sockets:a", "va:cacheless"} {
		if err := server.Set(key, "x"); err != nil {
			t.Fatal(err)
		}
	}
	first, one := process(t, server)
	_, two := process(t, server)
	loads := 0
	for _, key := range []string{"apple", "avocado", "bean"} {
		mustGet(t, one, key, value(key, &loads))
		mustGet(t, two, key, value(key, &loads))
	}
	for _, step := range []struct {
		pattern string
		want    int
	}{{"word:ap*", 1}, {"word:b?an", 1}, {"user:*", 0}, {"word:[ab]*", 1}} {
		if got, err := first.Invalidate(t.Context(), step.pattern); err != nil || got != step.want {
			t.Errorf("Invalidate(%s) = %d, %v; want %d", step.pattern, got, err, step.want)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // the bus may not have been listening yet
		before := loads
		if mustGet(t, two, "bean", value("bean", &loads)); loads > before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other process has not forgotten")
		}
		if _, err := first.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := first.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"asynq:{default}:pending", "rate:login:192.0.2.1", "va:cacheless", "va:sockets:a"}, server.Keys()); diff != "" {
		t.Errorf("Redis (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "[", `a\`} {
		if _, err := first.Invalidate(t.Context(), bad); voiceassist.CodeOf(err) != voiceassist.Invalid {
			t.Errorf("Invalidate(%q) = %v, want Invalid", bad, err)
		}
	}
	if _, err := first.InvalidateNamespace(t.Context(), "nothing"); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("an unknown namespace: %v, want NotFound", err)
	}
}

func TestWithoutRedisTheProcessCachesForItself(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	c, n := process(t, server)
	server.Close()
	loads := 0
	for range 3 {
		mustGet(t, n, "a", value("alpha", &loads))
	}
	f := c.Figures(t.Context())
	if ns := f.Namespaces[0]; loads != 1 || ns.FarFailures != 2 || f.Shared.Connected {
		t.Errorf("%d loads; %+v, %+v", loads, ns, f.Shared)
	}
	if _, err := c.Clear(t.Context()); voiceassist.CodeOf(err) != voiceassist.Unavailable {
		t.Errorf("Clear = %v, want Unavailable: other processes were not told", err)
	}
	if mustGet(t, n, "a", value("alpha", &loads)); loads != 2 {
		t.Error("this process has not forgotten")
	}
}
