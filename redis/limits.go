package redis

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// Limits counts requests against rates that all processes share. A key may be
// used as often as its rate says at once, and then as often as the rate lets
// through evenly (GCRA).
type Limits struct {
	limiter  *redis_rate.Limiter
	log      *slog.Logger
	failures prometheus.Counter

	skipUntil atomic.Int64 // unix nanoseconds: Redis did not answer a moment ago
}

// NewLimits returns the limits kept in the Redis of c. Its figures go to r,
// which may be nil.
func (c *Client) NewLimits(log *slog.Logger, r prometheus.Registerer) *Limits {
	failures := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "voiceassist_rate_limit_failures_total",
		Help: "Requests let through uncounted because Redis did not answer.",
	})
	if r != nil {
		r.MustRegister(failures)
	}
	return &Limits{limiter: redis_rate.NewLimiter(c.rdb), log: log, failures: failures}
}

// limitTimeout bounds what counting may add to a request, and limitPause is for
// how long nobody asks a Redis that did not answer.
const (
	limitTimeout = 500 * time.Millisecond
	limitPause   = time.Second
)

// Allow counts one request under key and says whether rate allows it. When
// Redis does not answer, it allows: a limit protects the service from a few,
// and without Redis refusing everybody would do the work for them. Passwords
// are guarded besides by the cost of checking them.
func (l *Limits) Allow(ctx context.Context, key string, rate voiceassist.Rate) voiceassist.Decision {
	now := time.Now()
	uncounted := voiceassist.Decision{Allowed: true, Limit: rate.N, Remaining: rate.N, Reset: now}
	if now.UnixNano() < l.skipUntil.Load() {
		l.failures.Inc()
		return uncounted
	}
	ctx, cancel := context.WithTimeout(ctx, limitTimeout)
	defer cancel()
	r, err := l.limiter.Allow(ctx, key, redis_rate.Limit{Rate: rate.N, Burst: rate.N, Period: rate.Per})
	if err != nil {
		l.skipUntil.Store(now.Add(limitPause).UnixNano())
		l.failures.Inc()
		l.log.WarnContext(ctx, "rate limits are not counted", slog.Any("error", err))
		return uncounted
	}
	return voiceassist.Decision{
		Allowed:    r.Allowed > 0,
		Limit:      rate.N,
		Remaining:  r.Remaining,
		Reset:      now.Add(r.ResetAfter),
		RetryAfter: max(0, r.RetryAfter),
	}
}
