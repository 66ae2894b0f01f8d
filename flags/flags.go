// Package flags is the feature flags at work: what each is for whom.
//
// The flags stand in the ledger. Every process holds all of them in memory, so
// asking costs no round trip; a change is read at once where it was made, when
// the bus brings the news elsewhere, and by a look at their version every second
// where the news was lost. While the ledger cannot be read, what was known last
// holds.
package flags

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Store is what this package asks of postgres.DB, which documents the methods.
type Store interface {
	Flags(ctx context.Context) (all []voiceassist.Flag, version int64, err error)
	FlagsVersion(ctx context.Context) (int64, error)
	Flag(ctx context.Context, name string) (voiceassist.Flag, error)
	AddFlag(ctx context.Context, f voiceassist.Flag) (voiceassist.Flag, error)
	ChangeFlag(ctx context.Context, name, action string, change func(*voiceassist.Flag) error) (voiceassist.Flag, error)
	DeleteFlag(ctx context.Context, name string) error
}

// Bus carries the news that flags changed; redis.Bus is one.
type Bus interface {
	Publish(ctx context.Context, topic string, payload []byte) error
	Handle(topic string, f func(payload []byte))
}

// topic is under which changes are told.
const topic = "flags"

// Options are what a Service can do without.
type Options struct {
	Environment string        // in which this process runs; "" is "production"
	Bus         Bus           // nil: other processes find out by looking
	Poll        time.Duration // how often to look; 0 is 1 s
	Log         *slog.Logger  // nil: silent
}

// DefaultEnvironment is where a process runs that was not told.
const DefaultEnvironment = "production"

// Service answers what flags are, and changes them. It is safe for concurrent
// use.
type Service struct {
	store Store
	o     Options
	news  chan struct{} // holds one: look now

	loading sync.Mutex // one load at a time

	mu      sync.RWMutex
	version int64
	all     map[string]voiceassist.Flag
	changed chan struct{} // closed when all is replaced
}

// Open returns a Service that knows the flags of store. Run keeps it up to
// date.
func Open(ctx context.Context, store Store, o Options) (*Service, error) {
	o.Environment = cmp.Or(o.Environment, DefaultEnvironment)
	o.Poll = cmp.Or(o.Poll, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{store: store, o: o, news: make(chan struct{}, 1), changed: make(chan struct{})}
	if o.Bus != nil {
		o.Bus.Handle(topic, func([]byte) { s.look() })
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// look has Run look for changes now.
func (s *Service) look() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// loadTimeout bounds one look at the ledger.
const loadTimeout = 5 * time.Second

// Run keeps the flags up to date until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.news:
		}
		err := s.refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.o.Log.WarnContext(ctx, "feature flags not read, the last ones known hold", slog.Any("error", err))
		}
		failing = err != nil
	}
}

func (s *Service) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	version, err := s.store.FlagsVersion(ctx)
	if err != nil {
		return err
	}
	s.mu.RLock()
	known := s.version
	s.mu.RUnlock()
	if version == known {
		return nil
	}
	return s.load(ctx)
}

// load reads all flags. Loads follow one another, so that none puts back what
// a later one has seen.
func (s *Service) load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	list, version, err := s.store.Flags(ctx)
	if err != nil {
		return fmt.Errorf("read the feature flags: %w", err)
	}
	all := make(map[string]voiceassist.Flag, len(list))
	for _, f := range list {
		all[f.Name] = f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.version = all, version
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Enabled reports whether a flag is on for a user; the zero user is anonymous.
// A flag that does not exist is off.
func (s *Service) Enabled(name string, u voiceassist.User) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f, ok := s.all[name]
	return ok && Evaluate(f, s.o.Environment, u).On
}

// Allows is Enabled for whoever acts in ctx.
func (s *Service) Allows(ctx context.Context, name string) bool {
	a := voiceassist.ActorOf(ctx)
	return s.Enabled(name, voiceassist.User{ID: a.UserID, Email: a.Email, Role: a.Role, Specialty: a.Specialty})
}

// Verdicts returns what every flag is for a user, archived ones apart.
func (s *Service) Verdicts(u voiceassist.User) voiceassist.FlagVerdicts {
	s.mu.RLock()
	defer s.mu.RUnlock()
	verdicts := make(voiceassist.FlagVerdicts, len(s.all))
	for name, f := range s.all {
		if !f.Archived {
			verdicts[name] = Evaluate(f, s.o.Environment, u)
		}
	}
	return verdicts
}

// Changed returns a channel that is closed when flags have changed. It must be
// asked for before the flags are.
func (s *Service) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}
