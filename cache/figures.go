package cache

import (
	"context"
	"strconv"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// figuresTTL is how old the figures of the admin panel may be. Counting takes
// the ledger seconds when it is large, and several panels ask again and again.
const figuresTTL = 5 * time.Second

// maxCounting is how many countings run in a process at the same time.
const maxCounting = 2

// FiguresStore counts; it is *postgres.DB.
type FiguresStore interface {
	Summary(ctx context.Context) (voiceassist.Summary, error)
	Usage(ctx context.Context, days int) (voiceassist.Usage, error)
}

// Figures are the figures of the admin panel. Nobody may change what it returns.
type Figures struct {
	store FiguresStore
	kept  *Namespace[figures]
	turns chan struct{}
}

// figures are one or the other.
type figures struct {
	summary voiceassist.Summary
	usage   voiceassist.Usage
}

// NewFigures returns the figures of store, cached in the namespace "panel".
func NewFigures(c *Cache, store FiguresStore) *Figures {
	return &Figures{store: store, turns: make(chan struct{}, maxCounting), kept: NewNamespace(c, "panel", Policy[figures]{
		Near: figuresTTL, MaxBytes: 4 << 20, Size: func(f figures) int { return 500 + 6*8*len(f.usage.Registrations) },
	})}
}

// Summary returns the state of the system, of a few seconds ago at most.
func (f *Figures) Summary(ctx context.Context) (voiceassist.Summary, error) {
	got, err := f.count(ctx, "summary", func(ctx context.Context) (got figures, err error) {
		got.summary, err = f.store.Summary(ctx)
		return got, err
	})
	return got.summary, err
}

// Usage returns how the system was used on the last days, as of a few seconds
// ago at most.
func (f *Figures) Usage(ctx context.Context, days int) (voiceassist.Usage, error) {
	got, err := f.count(ctx, "usage."+strconv.Itoa(days), func(ctx context.Context) (got figures, err error) {
		got.usage, err = f.store.Usage(ctx, days)
		return got, err
	})
	return got.usage, err
}

// count counts in turn what is not kept.
func (f *Figures) count(ctx context.Context, key string, load func(context.Context) (figures, error)) (figures, error) {
	return f.kept.Get(ctx, key, func(ctx context.Context) (figures, error) {
		select {
		case f.turns <- struct{}{}:
			defer func() { <-f.turns }()
			return load(ctx)
		case <-ctx.Done():
			return figures{}, voiceassist.Errorf(voiceassist.Unavailable, "The figures are being counted, try again")
		}
	})
}
