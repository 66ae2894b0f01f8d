package cmd

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/rag"
	"github.com/voiceassist/backend/redis"
)

// caches are what an API process keeps of the ledger and of the index.
type caches struct {
	*cache.Cache
	sessions *cache.Sessions
	figures  *cache.Figures
}

func (e *engines) openCaches(bus *redis.Bus, log *slog.Logger) *caches {
	c := cache.New(cache.Options{Far: e.redis.NewCache(log), Bus: bus})
	s := cache.NewSessions(c, e.ledger)
	e.ledger.OnSessions(s.Forget)
	return &caches{Cache: c, sessions: s, figures: cache.NewFigures(c, e.ledger)}
}

// peopleStore is the ledger, with the sessions of those who make requests cached.
type peopleStore struct {
	*postgres.DB
	sessions *cache.Sessions
}

// SessionUser returns the active user of a living session, or NotFound.
func (p peopleStore) SessionUser(ctx context.Context, sessionID uuid.UUID) (voiceassist.User, error) {
	return p.sessions.SessionUser(ctx, sessionID)
}

// searcher returns the read side, which remembers what it found and uses the
// models as far as allows lets it.
func (e *engines) searcher(c *caches, allows func(ctx context.Context, flag string) bool, log *slog.Logger) *rag.Service {
	o, profile := rag.Options{Model: e.chat, Allows: allows, Metrics: e.registry, Log: log}, ""
	if e.embedder != nil {
		o.Embedder, profile = cache.NewEmbedder(c.Cache, e.embedder), e.embedder.Profile()
	}
	return rag.New(e.ledger, cache.NewRetrieval(c.Cache, e.index, e.ledger, profile), o)
}

// hearOfSessions hears of sessions that other processes end until ctx ends.
// While it cannot, cached sessions are out of date for their short time.
func (e *engines) hearOfSessions(ctx context.Context, log *slog.Logger) {
	for ctx.Err() == nil {
		if err := e.ledger.ListenSessions(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "ended sessions are not heard of", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}
