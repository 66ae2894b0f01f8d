package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/redis"
)

// brokenQueue refuses everything.
type brokenQueue struct{ Queue }

func (brokenQueue) Publish(context.Context, voiceassist.JobKind, voiceassist.Queue, voiceassist.Delivery) error {
	return errors.New("the queue is down")
}

func TestTheRelayLosesNothingWhenTheQueueIsDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	relay := &Relay{Ledger: r.Ledger, Queue: brokenQueue{}, Log: slog.New(slog.DiscardHandler)}
	if pause := relay.runOnce(t.Context()); pause != relayRetry {
		t.Errorf("the relay pauses %s, want %s", pause, relayRetry)
	}
	if j := r.job(t, a.JobID); j.State != voiceassist.JobPending || j.Deliveries != 0 {
		t.Errorf("the job is %+v, want it still owed", j)
	}
	if n := r.deliver(t); n != 1 {
		t.Errorf("%d deliveries when the queue is back, want 1", n)
	}
}

// TestEveryUploadIsIndexedThroughTheQueue runs two relays and a sweeper over a
// real queue, which is flushed in the middle.
func TestEveryUploadIsIndexedThroughTheQueueEvenIfItIsFlushed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	queue, client := openQueue(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	const n = 30
	for i := range n {
		r.upload(t, fmt.Sprintf("%d.txt", i), fmt.Sprintf("Leaflet %d. %s", i, leaflet))
	}
	for range 2 {
		relay := &Relay{Ledger: r.Ledger, Queue: queue, Window: 8, Log: r.Log}
		running.Go(func() { relay.Run(ctx) })
	}
	eventually(t, "the relay has filled its window", func() bool {
		sizes, err := queue.Sizes()
		return err == nil && sizes[voiceassist.QueueDefault] > 0
	})
	if err := client.Redis().FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	stop, err := queue.Consume(r.Handle, redis.ConsumerOptions{Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	sweeper := &Sweeper{Ledger: r.Ledger, Queue: queue, Log: r.Log}
	eventually(t, "all documents are indexed", func() bool {
		if err := sweeper.Sweep(ctx, 0); err != nil {
			t.Fatal(err)
		}
		s, err := r.Ledger.LibraryStats(ctx)
		return err == nil && s.ByState[voiceassist.DocumentIndexed] == n
	})
	if active, total := r.points(t); active != n || total != n {
		t.Errorf("the index has %d of %d points, want %d of %d", active, total, n, n)
	}
}

func TestAFullWindowHoldsJobsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 5 {
		r.upload(t, fmt.Sprintf("%d.txt", i), fmt.Sprintf("Leaflet %d.", i))
	}
	queue, _ := openQueue(t)
	relay := &Relay{Ledger: r.Ledger, Queue: queue, Window: 3, Log: r.Log}
	if pause := relay.runOnce(t.Context()); pause != relayBusy {
		t.Errorf("the relay pauses %s, want %s: it holds jobs back", pause, relayBusy)
	}
	if sizes, err := queue.Sizes(); err != nil || sizes[voiceassist.QueueDefault] != 3 {
		t.Errorf("the queue has %v, %v; want 3 waiting", sizes, err)
	}
}
