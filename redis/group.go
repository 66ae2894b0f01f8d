package redis

import (
	"context"
	"sync"
	"time"
)

// group keeps account of running handlers so that they can be waited for.
type group struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
	grace  context.Context //nolint:containedctx // ends when the grace is over, for every handler inside
	expire context.CancelFunc
}

func newGroup() *group {
	g := &group{}
	g.grace, g.expire = context.WithCancel(context.Background())
	return g
}

// enter registers a handler, which calls leave when it is done. Its context
// also ends when the group's grace does. ok is false once the group drains.
func (g *group) enter(parent context.Context) (ctx context.Context, leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, false
	}
	g.wg.Add(1)
	ctx, cancel := context.WithCancel(parent)
	unhook := context.AfterFunc(g.grace, cancel)
	return ctx, func() {
		unhook()
		cancel()
		g.wg.Done()
	}, true
}

// drain lets no handler in any more, waits for those inside, and ends their
// contexts after the grace. It returns when the last one has left.
func (g *group) drain(grace time.Duration) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	timer := time.AfterFunc(grace, g.expire)
	defer timer.Stop()
	g.wg.Wait()
	g.expire()
}
