package cmd

import (
	"context"
	"log/slog"
	"time"
)

// chore is something that a scheduler does from time to time. Several
// schedulers may do it at once; do reports how many rows it was about.
type chore struct {
	name  string
	every time.Duration
	do    func(ctx context.Context) (int, error)
}

// An answer that has been streaming for abandonedAfter has lost its process.
const abandonedAfter = 10 * time.Minute

// A link that expired so long ago is no longer known to have been one.
const shareMemory = 90 * 24 * time.Hour

func chores(e *engines) []chore {
	return []chore{
		{"end abandoned answers", time.Minute, func(ctx context.Context) (int, error) {
			return e.ledger.FailAbandonedAnswers(ctx, abandonedAfter)
		}},
		{"forget expired links", time.Hour, func(ctx context.Context) (int, error) {
			return e.ledger.DeleteDeadShares(ctx, shareMemory)
		}},
	}
}

// keepHouse does the chores, each at its interval and for the first time at
// once, until ctx ends. One that fails is done again at its next turn.
func keepHouse(ctx context.Context, list []chore, log *slog.Logger) error {
	parts := make([]func(context.Context) error, len(list))
	for i, c := range list {
		parts[i] = func(ctx context.Context) error { c.repeat(ctx, log); return nil }
	}
	return beside(ctx, parts...)
}

func (c chore) repeat(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		n, err := c.do(ctx)
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "chore", slog.String("chore", c.name), slog.Any("error", err))
		}
		if n > 0 {
			log.InfoContext(ctx, "chore", slog.String("chore", c.name), slog.Int("rows", n))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
