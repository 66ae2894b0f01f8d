package httpapi

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	voiceassist "github.com/voiceassist/backend"
)

// gate lets so many requests through at a time and makes the others wait, for a
// while.
type gate struct {
	slots *semaphore.Weighted
	wait  time.Duration
	in    prometheus.Gauge
}

func newGate(slots int, wait time.Duration, in prometheus.Gauge) *gate {
	return &gate{slots: semaphore.NewWeighted(int64(slots)), wait: wait, in: in}
}

// enter waits for a slot and returns the function that gives it back, or is
// Unavailable when none came free in time.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return nil, &voiceassist.Error{
			Code: voiceassist.Unavailable, Message: "The server is busy, try again shortly", RetryAfter: g.wait, Err: err,
		}
	}
	g.in.Inc()
	return func() {
		g.in.Dec()
		g.slots.Release(1)
	}, nil
}
