package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// sessionsOf are the sessions of a process of its own on the ledger at url.
func sessionsOf(t *testing.T, url string) (*postgres.DB, *cache.Sessions) {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c := cache.New(cache.Options{})
	s := cache.NewSessions(c, db)
	db.OnSessions(s.Forget)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var listening sync.WaitGroup
	listening.Go(func() { _ = db.ListenSessions(ctx) })
	t.Cleanup(func() {
		stop()
		listening.Wait()
		c.Close()
	})
	return db, s
}

// signIn adds a user with a session.
func signIn(t *testing.T, db *postgres.DB) (voiceassist.User, uuid.UUID) {
	t.Helper()
	id := uuid.New()
	g := voiceassist.Grant{SessionID: uuid.New(), Digest: [32]byte(append(id[:], id[:]...)), TTL: time.Hour, MaxAge: time.Hour}
	u, err := db.AddUser(t.Context(), voiceassist.User{ID: id, Email: id.String() + "@example.org", Role: voiceassist.RoleUser, IsActive: true}, "hash", g)
	if err != nil {
		t.Fatal(err)
	}
	return u, g.SessionID
}

func TestARevokedSessionIsDeadAtOnceWhereItIsRevoked(t *testing.T) {
	t.Parallel()
	db, sessions := sessionsOf(t, postgrestest.URL(t))
	for range 20 {
		u, id := signIn(t, db)
		if got, err := sessions.SessionUser(t.Context(), id); err != nil || got.ID != u.ID {
			t.Fatalf("SessionUser = %v, %v", got.ID, err)
		}
		if err := db.RevokeSessions(t.Context(), []uuid.UUID{id}, "logout"); err != nil {
			t.Fatal(err)
		}
		if _, err := sessions.SessionUser(t.Context(), id); !errors.Is(err, voiceassist.NotFound) {
			t.Fatalf("after the revocation: %v, want NotFound", err)
		}
	}
}

func TestOtherProcessesHearOfWhatEndsSessions(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	db, _ := sessionsOf(t, url)
	_, sessions := sessionsOf(t, url)
	u, id := signIn(t, db)
	_, other := signIn(t, db)
	for _, session := range []uuid.UUID{id, other} {
		if _, err := sessions.SessionUser(t.Context(), session); err != nil {
			t.Fatal(err)
		}
	}
	u.ID = uuid.New() // which a new account would have
	if _, _, err := db.PutAdmin(t.Context(), u, "another hash"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for {
		if _, err := sessions.SessionUser(t.Context(), id); errors.Is(err, voiceassist.NotFound) {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the other process still takes the session")
		}
	}
	if _, err := sessions.SessionUser(t.Context(), other); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}
}

// hushed is a ledger of which a test decides what it says.
type hushed struct {
	user func() (voiceassist.User, error)
}

func (h hushed) SessionUser(context.Context, uuid.UUID) (voiceassist.User, error) { return h.user() }

func TestForgettingAUserLeavesOthersCached(t *testing.T) {
	t.Parallel()
	c := newCache(t, cache.Options{})
	users, asked := []voiceassist.User{{ID: uuid.New()}, {ID: uuid.New()}}, 0
	current := 0
	s := cache.NewSessions(c, hushed{func() (voiceassist.User, error) { asked++; return users[current], nil }})
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	ask := func(i int) {
		current = i
		if u, err := s.SessionUser(t.Context(), ids[i]); err != nil || u.ID != users[i].ID {
			t.Fatalf("session %d: %v, %v", i, u.ID, err)
		}
	}
	ask(0)
	ask(1)
	s.Forget(users[0].ID)
	before := c.Figures(t.Context()).Namespaces[0].Near.Entries
	ask(0)
	s.Forget(uuid.Nil)
	if after := c.Figures(t.Context()).Namespaces[0].Near.Entries; before != 1 || after != 0 || asked != 3 {
		t.Errorf("%d left and then %d, asked %d times; want 1, 0, 3", before, after, asked)
	}
}
