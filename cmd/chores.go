package cmd

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
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

// erasedAtOnce is how many users are erased in one turn; the next takes more.
const erasedAtOnce = 100

// A scheduler says every beatEvery that it lives, which is believed for beatTTL.
const (
	beatEvery = 5 * time.Second
	beatTTL   = 20 * time.Second
)

// schedulerKind names schedulers among the processes that say they live.
const schedulerKind = "scheduler"

// A link that expired so long ago is no longer known to have been one.
const shareMemory = 90 * 24 * time.Hour

func chores(e *engines) []chore {
	id := uuid.NewString()
	return []chore{
		{"say that this scheduler lives", beatEvery, func(ctx context.Context) (int, error) {
			return 0, e.redis.Beat(ctx, schedulerKind, id, beatTTL)
		}},
		{"chain the audit log", time.Second, func(ctx context.Context) (int, error) {
			_, err := e.ledger.ChainAudit(ctx)
			return 0, err // everyday work, not worth a line in the log
		}},
		{"end abandoned answers", time.Minute, func(ctx context.Context) (int, error) {
			return e.ledger.FailAbandonedAnswers(ctx, abandonedAfter)
		}},
		{"erase deleted users", time.Minute, func(ctx context.Context) (int, error) {
			return e.ledger.EraseUsers(ctx, erasedAtOnce)
		}},
		{"remove stale sign-ins", 10 * time.Minute, e.ledger.RemoveStaleSignIns},
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
