package extract

import (
	"context"
	"sync"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// watcher kills a child that overruns a limit while it reads a document, and
// one whose caller has lost interest.
type watcher struct {
	child  *child
	limits Limits
	done   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	started time.Time
	paused  time.Time     // since when emit has the floor; zero while it has not
	away    time.Duration // that emit has had it
	lastAt  time.Duration // by elapsed, when the last page came
	cause   error         // why the child was killed
}

func watch(ctx context.Context, c *child, limits Limits) *watcher {
	w := &watcher{child: c, limits: limits, done: make(chan struct{}), ended: make(chan struct{}), started: time.Now()}
	go w.run(ctx)
	return w
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.ended)
	before, _ := usageOf(w.child.cmd.Process.Pid)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-ctx.Done():
			w.kill(context.Cause(ctx))
			return
		case <-tick.C:
			if err := w.overrun(before.cpu); err != nil {
				w.kill(err)
				return
			}
		}
	}
}

// overrun returns an *Overrun when a limit is passed.
func (w *watcher) overrun(cpuBefore time.Duration) error {
	took, stalled := w.elapsed()
	if took > w.limits.Timeout {
		return overrun(voiceassist.PageTooSlow, "reading it takes longer than %s", w.limits.Timeout)
	}
	if stalled > w.limits.PageTimeout {
		return overrun(voiceassist.PageTooSlow, "reading one of its pages takes longer than %s", w.limits.PageTimeout)
	}
	now, ok := usageOf(w.child.cmd.Process.Pid)
	switch {
	case !ok:
		return nil
	case now.rss > w.limits.Memory:
		return overrun(voiceassist.PageTooMuchMemory, "reading it takes more than %d MB of memory", w.limits.Memory>>20)
	case now.cpu-cpuBefore > w.limits.CPUTime:
		return overrun(voiceassist.PageTooSlow, "reading it takes more than %s of processor time", w.limits.CPUTime)
	}
	return nil
}

// elapsed is how long the child has had the floor, in all and since its last
// page.
func (w *watcher) elapsed() (took, stalled time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	took = w.elapsedLocked()
	return took, took - w.lastAt
}

func (w *watcher) elapsedLocked() time.Duration {
	d := time.Since(w.started) - w.away
	if !w.paused.IsZero() {
		d -= time.Since(w.paused)
	}
	return d
}

// arrived notes that a page has come, and stops the clock until the function
// that it returns is called.
func (w *watcher) arrived() (resume func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastAt = w.elapsedLocked()
	w.paused = time.Now()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.away += time.Since(w.paused)
		w.paused = time.Time{}
	}
}

func (w *watcher) kill(cause error) {
	w.mu.Lock()
	w.cause = cause
	w.mu.Unlock()
	w.child.kill()
}

// stop ends the watch and returns why it killed the child; nil if it did not.
func (w *watcher) stop() error {
	close(w.done)
	<-w.ended
	return w.cause
}
