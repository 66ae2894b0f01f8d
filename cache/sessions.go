package cache

import (
	"context"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// sessionTTL is how long a process believes that a session lives without asking
// again. News of its end come at once; this is for when they are lost. A second
// is promised.
const sessionTTL = 500 * time.Millisecond

// userBytes is the size of a user, about.
const userBytes = 600

// SessionStore knows whose session is alive; it is *postgres.DB.
type SessionStore interface {
	// SessionUser returns the active user of a living session, or NotFound.
	SessionUser(ctx context.Context, sessionID uuid.UUID) (voiceassist.User, error)
}

// Sessions answers with every request who makes it. Redis has no part in that:
// asking it costs as much as asking Postgres for one row, and a revoked session
// must not come back from anywhere.
type Sessions struct {
	store SessionStore
	users *Namespace[voiceassist.User]
}

// NewSessions returns the sessions of store, cached in the namespace "user".
func NewSessions(c *Cache, store SessionStore) *Sessions {
	return &Sessions{store: store, users: NewNamespace(c, "user", Policy[voiceassist.User]{
		Near: sessionTTL, MaxBytes: 16 << 20, Size: func(voiceassist.User) int { return userBytes },
	})}
}

// SessionUser returns the active user of a living session, or NotFound.
func (s *Sessions) SessionUser(ctx context.Context, sessionID uuid.UUID) (voiceassist.User, error) {
	return s.users.Get(ctx, sessionID.String(), func(ctx context.Context) (voiceassist.User, error) {
		return s.store.SessionUser(ctx, sessionID)
	})
}

// Forget has the sessions of a user looked up again. The zero id is everybody.
func (s *Sessions) Forget(userID uuid.UUID) {
	s.users.Drop(func(_ string, u voiceassist.User) bool { return userID == uuid.Nil || u.ID == userID })
}
