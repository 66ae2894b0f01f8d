package extract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"sync"

	voiceassist "github.com/voiceassist/backend"
)

// Options say which program the children are and what they may take.
type Options struct {
	Path   string       // the children's program; "" is this one
	Args   []string     // its arguments: what makes it call Serve
	Env    []string     // added to PATH, HOME, TMPDIR, LANG and XDG_CACHE_HOME; nothing else of ours reaches a child
	Size   int          // how many children at once; 0 is one for each processor
	Nice   int          // added to the children's niceness, 0–19
	Limits Limits       // what a document may cost
	Log    *slog.Logger // nil logs nothing
}

// ownEngines are those that are pure Go and ours.
var ownEngines = Engines()

// ErrClosed is returned by a pool that has been closed.
var ErrClosed = errors.New("the pool of readers is closed")

// Pool reads documents in child processes, at most Size at once. Children are
// started when first needed and kept for the next document.
type Pool struct {
	path     string
	opt      Options
	env      []string
	slots    chan struct{} // one token for each child that may be busy
	launches chan launchRequest
	closing  chan struct{} // closed by Close: no more starts
	wg       sync.WaitGroup
	reapers  sync.WaitGroup

	killBusy context.CancelFunc
	busy     context.Context //nolint:containedctx // ended by Close, for every document in the works

	mu      sync.Mutex
	closed  bool
	idle    []*child
	engines map[string]string // from the first hello; nil before
	stats   Stats
}

// Stats are the pool's figures since it was made.
type Stats struct {
	Started   int   // children started
	Documents int   // documents given to a child
	Crashes   int   // that ended in a Crash
	Killed    int   // that overran a limit or lost their caller
	Busy      int   // children reading now
	Idle      int   // children waiting now
	PeakRSS   int64 // bytes: the most resident memory that a finished child ever had
}

type launchRequest struct {
	result chan<- launched
}

type launched struct {
	child *child
	err   error
}

// NewPool returns a pool that has started no child yet. It must be closed.
func NewPool(opt Options) (*Pool, error) {
	path := opt.Path
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the readers' program: %w", err)
		}
		path = self
	}
	opt.Size = cmp.Or(opt.Size, runtime.GOMAXPROCS(0))
	opt.Limits = opt.Limits.withDefaults()
	opt.Log = cmp.Or(opt.Log, slog.New(slog.DiscardHandler))
	p := &Pool{
		path: path, opt: opt, env: environment(opt.Env),
		slots:    make(chan struct{}, opt.Size),
		launches: make(chan launchRequest),
		closing:  make(chan struct{}),
	}
	p.busy, p.killBusy = context.WithCancel(context.Background())
	p.wg.Go(p.launcher)
	return p, nil
}

// launcher starts every child from one thread that lives as long as the pool:
// the kernel kills a child when the thread that started it ends, not when the
// process does.
func (p *Pool) launcher() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for req := range p.launches {
		c, err := launch(p.path, p.opt.Args, p.env)
		req.result <- launched{c, err}
	}
}

// Extract has a child read pages of the file at path, calls emit in this
// goroutine for each, in order, and returns what the file says of itself and
// the name of the engine. Ranges are those of voiceassist.TextEngine. It waits
// for a child to be free. Possible ends:
//  1. nil, after every page was emitted
//  2. a *voiceassist.Failure: unsupported, encrypted, damaged; too_complex when
//     a limit was overrun, within an *Overrun unless the limit is one of the
//     document as a whole
//  3. the error of emit, at once
//  4. the context's error; ErrClosed
//  5. a *Crash
//  6. a *voiceassist.Error: Unavailable, when no child can be started
//  7. any other error: the engine's own trouble, worth another attempt
func (p *Pool) Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	if err := p.acquire(ctx); err != nil {
		return voiceassist.FileInfo{}, "", err
	}
	defer p.release()
	c, err := p.child(ctx)
	if err != nil {
		return voiceassist.FileInfo{}, "", err
	}
	name, ok := c.engines[mediaType]
	if !ok {
		p.keep(c)
		return voiceassist.FileInfo{}, "", unsupported(mediaType)
	}
	ctx, cancel := p.whileOpen(ctx)
	defer cancel()
	if ownEngines[mediaType] == nil {
		c.wear++
	}
	info, fit, err := c.read(ctx, request{mediaType, path, pages.First, pages.Last}, p.opt.Limits, emit)
	p.account(ctx, c, err, fit)
	if fit && c.wear < p.opt.Limits.MaxDocuments && !bloated(c.cmd.Process.Pid, p.opt.Limits.Memory) {
		p.keep(c)
	} else {
		p.discard(c)
	}
	return info, name, err
}

// Engines returns the names of the children's engines by media type. The first
// call starts a child when none was ever started.
func (p *Pool) Engines(ctx context.Context) (map[string]string, error) {
	p.mu.Lock()
	known := p.engines
	p.mu.Unlock()
	if known != nil {
		return maps.Clone(known), nil
	}
	if err := p.acquire(ctx); err != nil {
		return nil, err
	}
	defer p.release()
	c, err := p.child(ctx)
	if err != nil {
		return nil, err
	}
	p.keep(c)
	return maps.Clone(c.engines), nil
}

// EngineName returns the name of the engine that reads the media type, or a
// *voiceassist.Failure: unsupported. Like Engines it may start a child.
func (p *Pool) EngineName(ctx context.Context, mediaType string) (string, error) {
	engines, err := p.Engines(ctx)
	if err != nil {
		return "", err
	}
	name, ok := engines[mediaType]
	if !ok {
		return "", unsupported(mediaType)
	}
	return name, nil
}

func unsupported(mediaType string) error {
	return voiceassist.Fail(voiceassist.ReasonUnsupported, "Files of the type %s cannot be read.", mediaType)
}

// Stats returns the figures so far.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Busy, s.Idle = len(p.slots), len(p.idle)
	return s
}

// Close refuses new documents, waits for those in the works until ctx ends,
// kills the rest and returns when no child is left. Its error is the context's
// when it had to kill.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.closing)
	p.mu.Unlock()

	err := p.drain(ctx)
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		p.discard(c)
	}
	p.killBusy()
	close(p.launches)
	p.wg.Wait()
	p.reapers.Wait()
	return err
}

// drain takes every slot, so that nobody is left with one.
func (p *Pool) drain(ctx context.Context) error {
	done := ctx.Done()
	for n := 0; n < cap(p.slots); {
		select {
		case p.slots <- struct{}{}:
			n++
		case <-done:
			p.killBusy()
			done = nil
		}
	}
	return ctx.Err()
}

func (p *Pool) acquire(ctx context.Context) error {
	select {
	case <-p.closing:
		return ErrClosed
	default:
	}
	select {
	case <-p.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case p.slots <- struct{}{}:
		return nil
	}
}

func (p *Pool) release() { <-p.slots }

// whileOpen returns a context that also ends when Close has lost its patience.
func (p *Pool) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.busy, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// child returns a waiting child or a new one. The caller holds a slot.
func (p *Pool) child(ctx context.Context) (*child, error) {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return p.start(ctx)
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if c.alive() {
			return c, nil
		}
		p.discard(c)
	}
}

func (p *Pool) start(ctx context.Context) (*child, error) {
	ctx, cancel := p.whileOpen(ctx)
	defer cancel()
	result := make(chan launched, 1)
	p.launches <- launchRequest{result}
	l := <-result
	if l.err != nil {
		return nil, noReader(l.err)
	}
	p.reapers.Go(l.child.reap)
	err := l.child.hear(ctx)
	if err == nil {
		err = p.confine(l.child)
	}
	if err != nil {
		p.discard(l.child)
		return nil, noReader(err)
	}
	p.mu.Lock()
	p.stats.Started++
	if p.engines == nil {
		p.engines = l.child.engines
	}
	p.mu.Unlock()
	return l.child, nil
}

// noReader says that a child could not be started, which is no document's fault:
// it has seen none.
func noReader(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "no reader of documents can be started", Err: err}
}

// confine limits a child that is ready and has seen no document yet.
func (p *Pool) confine(c *child) error {
	pid := c.cmd.Process.Pid
	if err := confine(pid, p.opt.Limits.AddressSpace); err != nil {
		return fmt.Errorf("confine a reader: %w", err)
	}
	if p.opt.Nice != 0 {
		if err := renice(pid, p.opt.Nice); err != nil {
			return fmt.Errorf("confine a reader: %w", err)
		}
	}
	return nil
}

func (p *Pool) keep(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
}

func (p *Pool) discard(c *child) {
	c.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.PeakRSS = max(p.stats.PeakRSS, peakRSS(c.cmd.ProcessState))
}

func (p *Pool) account(ctx context.Context, c *child, err error, fit bool) {
	_, crashed := errors.AsType[*Crash](err)
	p.mu.Lock()
	p.stats.Documents++
	switch {
	case crashed:
		p.stats.Crashes++
	case !fit:
		p.stats.Killed++
	}
	p.mu.Unlock()
	if crashed {
		p.opt.Log.WarnContext(ctx, "reader crashed", slog.Int("pid", c.cmd.Process.Pid),
			slog.Int("documents", c.documents), slog.String("error", err.Error()))
	}
}
