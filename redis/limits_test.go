package redis_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/redis"
)

func openLimits(t *testing.T, server *miniredis.Miniredis, r prometheus.Registerer) *redis.Limits {
	t.Helper()
	c, err := redis.Open(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.NewLimits(slog.New(slog.DiscardHandler), r)
}

func TestLimitsAllowTheRateAndThenWaitForIt(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server.SetTime(start)
	limits := openLimits(t, server, nil)
	rate := voiceassist.Rate{N: 5, Per: time.Hour}

	for i := range 5 {
		d := limits.Allow(t.Context(), "register:192.0.2.1", rate)
		if !d.Allowed || d.Limit != 5 || d.Remaining != 4-i {
			t.Fatalf("request %d: %+v, want it allowed with %d remaining", i+1, d, 4-i)
		}
	}
	d := limits.Allow(t.Context(), "register:192.0.2.1", rate)
	if d.Allowed || d.RetryAfter <= 11*time.Minute || d.RetryAfter > 12*time.Minute {
		t.Errorf("sixth request: %+v, want it refused for 12 min", d)
	}
	if until := time.Until(d.Reset); until < 59*time.Minute || until > time.Hour {
		t.Errorf("reset in %v, want in an hour", until)
	}
	if d := limits.Allow(t.Context(), "register:192.0.2.2", rate); !d.Allowed {
		t.Error("another key was counted together with the first")
	}
	server.SetTime(start.Add(12*time.Minute + time.Second))
	if d := limits.Allow(t.Context(), "register:192.0.2.1", rate); !d.Allowed {
		t.Error("refused after RetryAfter had passed")
	}
}

func TestLimitsAreSharedByAllProcesses(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	one, two := openLimits(t, server, nil), openLimits(t, server, nil)
	rate := voiceassist.Rate{N: 1, Per: time.Hour}
	if d := one.Allow(t.Context(), "k", rate); !d.Allowed {
		t.Fatal("first request refused")
	}
	if d := two.Allow(t.Context(), "k", rate); d.Allowed {
		t.Error("the second process allowed what the first had counted")
	}
}

func TestLimitsLetEverybodyInWhenRedisIsGone(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	registry := prometheus.NewRegistry()
	limits := openLimits(t, server, registry)
	server.Close()
	rate := voiceassist.Rate{N: 1, Per: time.Hour}
	for range 3 {
		if d := limits.Allow(t.Context(), "k", rate); !d.Allowed {
			t.Fatal("refused without Redis")
		}
	}
	const want = `
		# HELP voiceassist_rate_limit_failures_total Requests let through uncounted because Redis did not answer.
		# TYPE voiceassist_rate_limit_failures_total counter
		voiceassist_rate_limit_failures_total 3
	`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
