package postgres_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/voiceassist/backend/migrations"
)

// The first release had these; what it stored must be right after an upgrade.
var firstMigrations = []string{"0001_accounts.sql", "0002_ledger.sql", "0003_chat.sql"}

func TestWhatTheFirstReleaseStoredIsRightAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	p.exec(`DROP SCHEMA public CASCADE`)
	p.exec(`CREATE SCHEMA public`)
	p.exec(`CREATE TABLE schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`)
	for _, name := range firstMigrations {
		sql, err := migrations.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p.exec(string(sql))
		p.exec(`INSERT INTO schema_migrations (name) VALUES ($1)`, name)
	}
	user, talk, silent, session := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	p.exec(`INSERT INTO users (id, email, password_hash) VALUES ($1, 'ada@example.org', 'hash')`, user)
	p.exec(`INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')`, session, user)
	p.exec(`INSERT INTO conversations (id, user_id) VALUES ($1, $3), ($2, $3)`, talk, silent, user)
	p.exec(`INSERT INTO messages (id, conversation_id, branch_id, role, content, status)
		SELECT gen_random_uuid(), $1, branch, 'user', branch, 'complete' FROM unnest(ARRAY['main', 'main', 'other']) AS branch`, talk)

	if err := p.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uuid.UUID]int{talk: 3, silent: 0} {
		if c, err := p.db.Conversation(t.Context(), user, id); err != nil || c.MessageCount != want {
			t.Errorf("a conversation has %d messages, want %d: %v", c.MessageCount, want, err)
		}
	}
	for branch, want := range map[string][]string{"main": {"main", "main"}, "other": {"other"}} {
		messages, _, err := p.db.Messages(t.Context(), user, talk, branch, 0, 10)
		var got []string
		for _, m := range messages {
			got = append(got, m.Content)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("the branch %s shows %q, want %q: %v", branch, got, want, err)
		}
	}
	if u, err := p.db.SessionUser(t.Context(), session); err != nil || u.ID != user {
		t.Errorf("a session from before: %v", err)
	}
}
