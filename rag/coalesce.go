package rag

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// deltaInterval is how long pieces of text are gathered before they are passed
// on: short enough to read as a stream, long enough to spare the network.
const deltaInterval = 30 * time.Millisecond

// errStalled is the end of a model's reply that stopped coming.
var errStalled = errors.New("the language model stopped answering")

// coalesce yields the text of a stream, joined to pieces at least interval
// apart. It ends like the stream, or with errStalled when nothing came for
// stall. It returns only when the stream has returned.
func coalesce(ctx context.Context, stream func(context.Context) iter.Seq2[string, error], interval, stall time.Duration) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		pieces := make(chan piece)
		wg.Go(func() { pump(ctx, stream(ctx), pieces) })
		g := gatherer{pieces: pieces, interval: interval, stall: stall}
		for {
			p, done := g.next(ctx)
			if p.text != "" && !yield(p.text, nil) {
				return
			}
			if done {
				if p.err != nil {
					yield("", p.err)
				}
				return
			}
		}
	}
}

type piece struct {
	text string
	err  error
}

// pump sends what a stream yields and closes the channel at its end.
func pump(ctx context.Context, stream iter.Seq2[string, error], to chan<- piece) {
	defer close(to)
	for text, err := range stream {
		select {
		case to <- piece{text, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

type gatherer struct {
	pieces          <-chan piece
	interval, stall time.Duration
	last            time.Time // of the last text returned
}

// next returns the text that came until the interval was over, and whether the
// stream is done with it.
func (g *gatherer) next(ctx context.Context) (joined piece, done bool) {
	stalled := time.NewTimer(g.stall)
	defer stalled.Stop()
	var due <-chan time.Time
	for {
		select {
		case p, open := <-g.pieces:
			joined.text += p.text
			if !open || p.err != nil {
				joined.err = cmp.Or(p.err, ctx.Err()) // pump leaves without a word when ctx ends
				return joined, true
			}
			if due == nil && joined.text != "" {
				due = time.After(g.interval - time.Since(g.last))
			}
		case <-due:
			g.last = time.Now()
			return joined, false
		case <-stalled.C:
			joined.err = errStalled
			return joined, true
		case <-ctx.Done():
			joined.err = ctx.Err()
			return joined, true
		}
	}
}
