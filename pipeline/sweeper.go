package pipeline

import (
	"context"
	"log/slog"
	"time"

	"github.com/voiceassist/backend/postgres"
)

// Sweeper finds jobs that nobody works on: their worker died, or the queue
// forgot their delivery. Any number may run.
type Sweeper struct {
	Ledger *postgres.DB
	Queue  Queue
	Every  time.Duration // 0 is 5 s
	Log    *slog.Logger
}

// A delivery is looked up in the queue once it has waited for sweepAge, the
// oldest sweepBatch of them at a time.
const (
	sweepAge   = 10 * time.Second
	sweepBatch = 2000
)

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	every := s.Every
	if every == 0 {
		every = 5 * time.Second
	}
	for ctx.Err() == nil {
		if err := s.Sweep(ctx, sweepAge); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "sweep", slog.Any("error", err))
		}
		sleep(ctx, every)
	}
}

// Sweep runs once, over deliveries older than age.
func (s *Sweeper) Sweep(ctx context.Context, age time.Duration) error {
	n, err := s.Ledger.ReclaimLapsed(ctx, false)
	if err != nil {
		return err
	}
	lost, err := s.takeBackLost(ctx, age)
	if n > 0 || lost > 0 {
		s.Log.InfoContext(ctx, "swept", slog.Int("lapsed_leases", n), slog.Int("lost_deliveries", lost))
	}
	return err
}

func (s *Sweeper) takeBackLost(ctx context.Context, age time.Duration) (lost int, err error) {
	waiting, err := s.Ledger.Published(ctx, age, sweepBatch)
	if err != nil {
		return 0, err
	}
	for _, o := range waiting {
		held, err := s.Queue.Holds(o.Queue, o.Delivery)
		if err != nil {
			return lost, err
		}
		if held {
			continue
		}
		if err := s.Ledger.Unpublish(ctx, o.Delivery); err != nil {
			return lost, err
		}
		lost++
	}
	return lost, nil
}
