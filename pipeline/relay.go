package pipeline

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// Queue is what the relay and the sweeper need of the queue.
type Queue interface {
	// Publish hands a delivery over; one that the queue holds already is fine.
	Publish(ctx context.Context, kind voiceassist.JobKind, queue voiceassist.Queue, d voiceassist.Delivery) error
	// Holds reports whether a delivery still waits to be taken.
	Holds(queue voiceassist.Queue, d voiceassist.Delivery) (bool, error)
}

// Relay publishes the jobs that the ledger owes the queue. Any number may run.
type Relay struct {
	Ledger *postgres.DB
	Queue  Queue
	Window int // how many published jobs may wait in each queue at the least; 0 is 16
	Log    *slog.Logger

	full int // passes in a row that found every window full
}

// The relay looks when a transaction tells it to, and at these intervals: soon
// after it published something, because a job in whose lane others wait comes
// without notice; while a full window holds jobs back, twice as long each time
// that nothing was taken from it; and otherwise for those that were paced or whose
// notification was lost.
const (
	relayBusy    = 50 * time.Millisecond
	relayFull    = 400 * time.Millisecond
	relayIdle    = time.Second
	relayRetry   = 5 * time.Second
	relayRest    = 20 * time.Millisecond // after each look, however many transactions tell it to
	defaultLeast = 16
)

// Run relays until ctx ends.
func (r *Relay) Run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		r.listen(ctx, wake)
	}()
	defer func() { <-listening }()
	for {
		pause := r.runOnce(ctx)
		sleep(ctx, relayRest)
		timer := time.NewTimer(pause - relayRest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// runOnce publishes what is due and returns how long to wait for more.
func (r *Relay) runOnce(ctx context.Context) time.Duration {
	n, held, err := r.Ledger.PublishDue(ctx, cmp.Or(r.Window, defaultLeast), func(ctx context.Context, o postgres.Owed) error {
		return r.Queue.Publish(ctx, o.Kind, o.Queue, o.Delivery)
	})
	switch {
	case ctx.Err() != nil:
		return relayIdle
	case err != nil:
		r.Log.WarnContext(ctx, "relay", slog.Any("error", err))
		return relayRetry
	case n > 0:
		r.full = 0
		return relayBusy
	case !held:
		return relayIdle
	}
	r.full++
	return min(relayBusy<<min(r.full, 10), relayFull)
}

// listen keeps a connection on which the ledger tells of new jobs.
func (r *Relay) listen(ctx context.Context, wake chan<- struct{}) {
	for ctx.Err() == nil {
		err := r.Ledger.Listen(ctx, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		if ctx.Err() == nil {
			r.Log.WarnContext(ctx, "relay listens again", slog.Any("error", err))
			sleep(ctx, relayRetry)
		}
	}
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
