package pipeline

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/redis"
)

// noticingEmbedder is an embedder that does something before it embeds.
type noticingEmbedder struct {
	*embedder
	before func()
}

func (e noticingEmbedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	e.before()
	return e.embedder.Embed(ctx, texts)
}

// TestAFlushAmidPartsRepeatsNothing flushes Redis twice while a job waits for its
// parts, of which some are under way and others are published: when pages are
// read and when passages are embedded.
func TestAFlushAmidPartsRepeatsNothing(t *testing.T) {
	t.Parallel()
	r, e, reader := newEmbeddingRig(t)
	const pages = 200
	r.PartPassages = 16
	queue, client := openQueue(t)
	a := r.upload(t, "large.pdf", pdfPages(pages))

	var flushes, lost atomic.Int32
	flush := func(stage voiceassist.Stage) {
		j, err := r.Ledger.Job(t.Context(), a.JobID)
		if err != nil || j.State != voiceassist.JobWaiting || j.Stage != stage {
			t.Errorf("when Redis is flushed the job is %s in the stage %s, %v; want it waiting in %s", j.State, j.Stage, err, stage)
		}
		waiting, err := r.Ledger.Published(t.Context(), 0, 100)
		if err != nil {
			t.Error(err)
		}
		lost.Add(int32(len(waiting)))
		if err := client.Redis().FlushAll(t.Context()).Err(); err != nil {
			t.Error(err)
		}
		flushes.Add(1)
	}
	var whileReading, whileEmbedding sync.Once
	reader.set(func(p voiceassist.PageRange) error {
		if p.First > 96 && p.First != noPage.First {
			whileReading.Do(func() { flush(voiceassist.StageExtract) })
		}
		return nil
	})
	r.Embedder = noticingEmbedder{e, func() {
		if sent, _ := e.sentOnce(); sent > 32 {
			whileEmbedding.Do(func() { flush(voiceassist.StageEmbed) })
		}
	}}

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	relay := &Relay{Ledger: r.Ledger, Queue: queue, Log: r.Log}
	running.Go(func() { relay.Run(ctx) })
	stop, err := queue.Consume(r.Handle, redis.ConsumerOptions{Concurrency: 2, Log: r.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	sweeper := &Sweeper{Ledger: r.Ledger, Queue: queue, Log: r.Log}
	eventually(t, "the document is indexed", func() bool {
		if err := sweeper.Sweep(ctx, 0); err != nil {
			t.Fatal(err)
		}
		return r.job(t, a.JobID).State.Done()
	})
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentIndexed || d.PageCount != pages || d.PassageCount != pages {
		t.Errorf("the document is %s with %d pages and %d passages, %s; want %d of each", d.State, d.PageCount, d.PassageCount, d.ErrorMessage, pages)
	}
	if flushes.Load() != 2 || lost.Load() == 0 {
		t.Errorf("%d flushes lost %d deliveries, want two and some", flushes.Load(), lost.Load())
	}
	if fewest, most := reader.times(1, pages); fewest != 1 || most != 1 {
		t.Errorf("pages were read between %d and %d times, want once", fewest, most)
	}
	if sent, distinct := e.sentOnce(); sent != pages || distinct != pages {
		t.Errorf("%d texts were embedded, %d of them distinct; want %d", sent, distinct, pages)
	}
	if active, total := r.points(t); active != pages || total != pages {
		t.Errorf("the index has %d of %d points, want %d", active, total, pages)
	}
}
