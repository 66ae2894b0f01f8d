package cmd

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
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

// How often old things are looked for, and how often what is hidden already is
// removed.
const (
	retentionEvery = time.Hour
	sweepEvery     = 5 * time.Minute
)

func chores(cfg Config, e *engines, log *slog.Logger) []chore {
	id := uuid.NewString()
	return []chore{
		{"say that this scheduler lives", beatEvery, func(ctx context.Context) (int, error) {
			return 0, e.redis.Beat(ctx, schedulerKind, id, beatTTL)
		}},
		{"chain the audit log", time.Second, func(ctx context.Context) (int, error) {
			_, err := e.ledger.ChainAudit(ctx)
			return 0, err // everyday work, not worth a line in the log
		}},
		{"tell the planner what has grown", 5 * time.Second, func(ctx context.Context) (int, error) {
			_, err := e.ledger.AnalyzeGrown(ctx)
			return 0, err
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
		{"expire conversations", retentionEvery, e.retain(conversationDays, e.ledger.ExpireConversations)},
		{"expire audit entries", retentionEvery, e.retain(auditDays, e.ledger.ExpireAudit)},
		{"expire files", retentionEvery, e.retain(fileDays, e.ledger.ExpireFiles)},
		{"remove hidden files", sweepEvery, e.files(cfg, nil, log).Sweep},
		{"collect garbage", collectEvery, e.collector(log).Collect},
		{"verify", verifyEvery, e.verifyWhenDue(cfg, log)},
	}
}

func conversationDays(r voiceassist.Retention) int { return r.Conversations }
func auditDays(r voiceassist.Retention) int        { return r.Audit }
func fileDays(r voiceassist.Retention) int         { return r.Files }

// retain returns a chore's work: to expire what is older than so many days of
// the retention as it is set then, nothing for 0.
func (e *engines) retain(days func(voiceassist.Retention) int, expire func(context.Context, time.Time) (int, error)) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		r, _, err := e.ledger.Retention(ctx)
		if err != nil || days(r) == 0 {
			return 0, err
		}
		return expire(ctx, time.Now().AddDate(0, 0, -days(r)))
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
