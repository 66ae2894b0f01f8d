package cache

import (
	"context"
	"errors"
	"sync"
)

// flights are the loads under way. Whoever asks for what is being loaded waits
// for it, but never for a load that began before something was dropped.
type flights[V any] struct {
	mu    sync.Mutex
	epoch int // how often something was dropped
	byKey map[string]*flight[V]
}

// flight is one load.
type flight[V any] struct {
	epoch int
	done  chan struct{} // closed when value and err are there
	value V
	err   error
}

// errPanicked is what others get who waited for a load that panicked.
var errPanicked = errors.New("the load of a cached value panicked")

// do returns what load does, or what a load of the same key that is under way
// will.
func (fs *flights[V]) do(ctx context.Context, key string, load func(*flight[V]) (V, error)) (V, error) {
	f, leads := fs.join(key)
	if !leads {
		select {
		case <-f.done:
			return f.value, f.err
		case <-ctx.Done():
			var zero V
			return zero, ctx.Err()
		}
	}
	defer fs.land(key, f)
	f.err = errPanicked
	f.value, f.err = load(f)
	return f.value, f.err
}

func (fs *flights[V]) join(key string) (f *flight[V], leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byKey[key]; f != nil {
		return f, false
	}
	f = &flight[V]{epoch: fs.epoch, done: make(chan struct{})}
	if fs.byKey == nil {
		fs.byKey = make(map[string]*flight[V])
	}
	fs.byKey[key] = f
	return f, true
}

func (fs *flights[V]) land(key string, f *flight[V]) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[key] == f {
		delete(fs.byKey, key)
	}
	close(f.done)
}

// whileCurrent calls keep unless something was dropped since f began.
func (fs *flights[V]) whileCurrent(f *flight[V], keep func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.epoch == fs.epoch {
		keep()
	}
}

// forget lets nobody join the loads under way any more, nor keep their values.
func (fs *flights[V]) forget() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.epoch++
	fs.byKey = nil
}
