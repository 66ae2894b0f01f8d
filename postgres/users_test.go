package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// people is a ledger with a second connection beside it.
type people struct {
	t    *testing.T
	db   *postgres.DB
	conn *pgx.Conn
}

func openPeople(t *testing.T) people {
	t.Helper()
	db, conn := postgrestest.OpenWithConn(t)
	return people{t, db, conn}
}

func (p people) add(name string, role voiceassist.Role) voiceassist.User {
	p.t.Helper()
	var digest [32]byte
	copy(digest[:], name)
	u, err := p.db.AddUser(p.t.Context(), voiceassist.User{
		ID: uuid.New(), Email: name + "@example.org", FullName: name, FirstName: name, Role: role, IsActive: true,
	}, "hash", voiceassist.Grant{SessionID: uuid.New(), Digest: digest, TTL: time.Hour})
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

func (p people) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.conn.Exec(p.t.Context(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p people) number(sql string, args ...any) (n int) {
	p.t.Helper()
	if err := p.conn.QueryRow(p.t.Context(), sql, args...).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// waitFor returns when n transactions wait for locks.
func (p people) waitFor(n int) {
	p.t.Helper()
	for p.number(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) < n {
		if p.t.Context().Err() != nil {
			p.t.Fatal(p.t.Context().Err())
		}
		p.exec(`SELECT pg_stat_clear_snapshot()`)
	}
}

// The second connection holds both admins until both changes wait for them, so
// that they meet however slow the machine is.
func TestTwoAdminsWhoRemoveOneAnotherLeaveOne(t *testing.T) {
	t.Parallel()
	demote := voiceassist.UserChange{Admin: new(false)}
	deactivate := voiceassist.UserChange{Active: new(false)}
	change := func(c voiceassist.UserChange) func(context.Context, *postgres.DB, uuid.UUID) error {
		return func(ctx context.Context, db *postgres.DB, id uuid.UUID) error {
			_, err := db.ChangeUser(ctx, id, c)
			return err
		}
	}
	remove := func(ctx context.Context, db *postgres.DB, id uuid.UUID) error {
		_, err := db.DeleteUser(ctx, id, time.Hour, "")
		return err
	}
	for _, c := range []struct {
		name   string
		first  func(context.Context, *postgres.DB, uuid.UUID) error
		second func(context.Context, *postgres.DB, uuid.UUID) error
	}{
		{"demotions", change(demote), change(demote)},
		{"a demotion and a deactivation", change(demote), change(deactivate)},
		{"a deactivation and a deletion", change(deactivate), remove},
		{"deletions", remove, remove},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := openPeople(t)
			ada, eve := p.add("ada", voiceassist.RoleAdmin), p.add("eve", voiceassist.RoleAdmin)
			p.exec(`BEGIN`)
			p.exec(`SELECT 1 FROM users FOR UPDATE`)
			errs := make([]error, 2)
			var wg sync.WaitGroup
			wg.Go(func() { errs[0] = c.first(t.Context(), p.db, eve.ID) })
			wg.Go(func() { errs[1] = c.second(t.Context(), p.db, ada.ID) })
			p.waitFor(2)
			p.exec(`COMMIT`)
			wg.Wait()
			if n := p.number(`SELECT count(*) FROM users WHERE role = 'admin' AND is_active`); n != 1 {
				t.Errorf("%d active admins are left, want 1: %v", n, errs)
			}
			if refused := errors.Join(errs...); !errors.Is(refused, voiceassist.Conflict) || errs[0] != nil && errs[1] != nil {
				t.Errorf("one of them must be a conflict: %v", errs)
			}
		})
	}
}

func TestAnErasedUserLeavesNothingPersonal(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	p.add("admin", voiceassist.RoleAdmin)
	ada, eve := p.add("ada", voiceassist.RoleUser), p.add("eve", voiceassist.RoleUser)
	for _, u := range []voiceassist.User{ada, eve} {
		p.exec(`INSERT INTO conversations (id, user_id, title) SELECT gen_random_uuid(), $1, 'private' FROM generate_series(1, 250)`, u.ID)
		p.exec(`INSERT INTO messages (id, conversation_id, role, content, status)
			SELECT gen_random_uuid(), id, 'user', 'private', 'complete' FROM conversations WHERE user_id = $1`, u.ID)
		ctx := voiceassist.WithActor(t.Context(), voiceassist.Actor{UserID: u.ID, Email: u.Email, IP: "192.0.2.1"})
		if err := p.db.Audit(ctx, voiceassist.AuditEntry{Action: "test.did"}); err != nil {
			t.Fatal(err)
		}
		failed := voiceassist.AuditEntry{Action: "test.failed", Email: u.Email, ResourceType: "user", ResourceID: u.ID.String()}
		if err := p.db.Audit(t.Context(), failed); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.db.EraseUser(t.Context(), ada.ID); !errors.Is(err, voiceassist.NotFound) {
		t.Errorf("erasing a user who is not deleted: %v", err)
	}
	p.exec(`INSERT INTO invitations (email, digest, full_name, role, expires_at)
		VALUES ('ada@example.org', sha256('ada'), 'Ada', 'user', now() + interval '1 day')`)
	for _, u := range []voiceassist.User{ada, eve} {
		if err := p.db.SignInFailed(t.Context(), voiceassist.Attempt{UserID: u.ID, Email: u.Email, Network: "192.0.2.1"}, "password"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.db.DeleteUser(t.Context(), ada.ID, time.Hour, ""); err != nil {
		t.Fatal(err)
	}
	if n, err := p.db.EraseUsers(t.Context(), 10); n != 0 || err != nil {
		t.Fatalf("%d users erased before their time: %v", n, err)
	}
	later, err := p.db.DeleteUser(t.Context(), ada.ID, 2*time.Hour, "")
	if err != nil || later.After(time.Now().Add(90*time.Minute)) {
		t.Errorf("a second deletion puts the first off to %v: %v", later, err)
	}
	if _, err := p.db.DeleteUser(t.Context(), ada.ID, 0, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.ChangeUser(t.Context(), ada.ID, voiceassist.UserChange{Active: new(true)}); !errors.Is(err, voiceassist.NotFound) {
		t.Errorf("taking back what is going already: %v", err)
	}
	if n, err := p.db.EraseUsers(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("%d users erased, want 1: %v", n, err)
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM users WHERE id = $1`:              0,
		`SELECT count(*) FROM sessions WHERE user_id = $1`:      0,
		`SELECT count(*) FROM conversations WHERE user_id = $1`: 0,
		`SELECT count(*) FROM audit_people p JOIN audit_entries e ON e.id = p.entry_id AND (e.user_id = $1 OR p.email LIKE 'ada@%') AND p.salt IS NOT NULL`: 0,
		`SELECT count(*) FROM audit_entries WHERE user_id = $1 OR resource_id = $1::text`:                                                                   8,
		`SELECT count(*) FROM messages WHERE $1::uuid IS NOT NULL`:                                                                                          250,
		`SELECT count(*) FROM refresh_tokens WHERE $1::uuid IS NOT NULL`:                                                                                    2,
		`SELECT count(*) FROM audit_people WHERE email = 'eve@example.org' AND $1::uuid IS NOT NULL`:                                                        4,
		`SELECT count(*) FROM invitations WHERE $1::uuid IS NOT NULL`:                                                                                       0,
		`SELECT count(*) FROM sign_in_failures WHERE subject LIKE '%' || $1::text || '%'`:                                                                   0,
		`SELECT count(*) FROM sign_in_failures WHERE $1::uuid IS NOT NULL`:                                                                                  3,
	} {
		if got := p.number(sql, ada.ID); got != want {
			t.Errorf("%s = %d, want %d", sql, got, want)
		}
	}
	p.add("ada", voiceassist.RoleUser) // the address is free again
}

// Erasing deletes the row of a user and leaves the rest to foreign keys: every
// one has to say what becomes of its rows, and to find them.
func TestWhateverRefersToUsersGoesWithThemByAnIndex(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	rows, err := p.conn.Query(t.Context(), `
		SELECT c.conrelid::regclass::text || '.' || a.attname, c.confdeltype IN ('c', 'n'), EXISTS (
			SELECT 1
			FROM pg_index i
			WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
		)
		FROM pg_constraint c
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		WHERE c.contype = 'f' AND c.confrelid = 'users'::regclass`)
	if err != nil {
		t.Fatal(err)
	}
	var column string
	var goes, indexed bool
	tag, err := pgx.ForEachRow(rows, []any{&column, &goes, &indexed}, func() error {
		if !goes || !indexed {
			t.Errorf("%s refers to users: ON DELETE CASCADE or SET NULL %v, an index that begins with it %v; want both", column, goes, indexed)
		}
		return nil
	})
	if err != nil || tag.RowsAffected() < 3 {
		t.Fatalf("%d references to users: %v", tag.RowsAffected(), err)
	}
}

func TestAnAdministratorsCommandTakesADeletionBack(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	p.add("admin", voiceassist.RoleAdmin)
	ada := p.add("ada", voiceassist.RoleUser)
	if _, err := p.db.DeleteUser(t.Context(), ada.ID, time.Hour, ""); err != nil {
		t.Fatal(err)
	}
	u, created, err := p.db.PutAdmin(t.Context(), voiceassist.User{ID: uuid.New(), Email: ada.Email, FullName: "x"}, "new")
	if err != nil || created || u.ID != ada.ID || !u.IsActive {
		t.Errorf("PutAdmin of a deleted user = %+v, %v, %v", u, created, err)
	}
	for _, action := range []string{"auth.password_changed", voiceassist.ActionRoleChanged, voiceassist.ActionUserActivated} {
		if n := p.number(`SELECT count(*) FROM audit_entries WHERE action = $1 AND resource_id = $2`, action, ada.ID.String()); n != 1 {
			t.Errorf("%d entries of %s, want 1", n, action)
		}
	}
}

// An operator who gives an account another password leaves nobody a way in.
func TestAnAdministratorsCommandEndsAllOtherWaysIn(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	ada := p.add("ada", voiceassist.RoleUser)
	p.link(ada)
	if _, err := p.db.AddAPIKey(t.Context(), voiceassist.APIKey{
		ID: uuid.New(), UserID: ada.ID, Name: "a", Prefix: "a", Scopes: []voiceassist.Scope{voiceassist.ScopeAdmin},
	}, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.db.PutAdmin(t.Context(), voiceassist.User{ID: uuid.New(), Email: ada.Email}, "new"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.db.KeyUser(t.Context(), [32]byte{1}); !errors.Is(err, voiceassist.NotFound) {
		t.Errorf("an API key from before: %v", err)
	}
	if _, err := p.db.ResetPassword(t.Context(), resetLink, "theirs"); !errors.Is(err, voiceassist.Invalid) {
		t.Errorf("a reset link from before: %v", err)
	}
}

// resetLink is the digest of the link that link sends.
var resetLink = [32]byte{2}

func (p people) link(u voiceassist.User) {
	p.t.Helper()
	if owner, err := p.db.AddPasswordReset(p.t.Context(), u.Email, resetLink, time.Hour); err != nil || owner != u.ID {
		p.t.Fatalf("AddPasswordReset = %v, %v", owner, err)
	}
}

func TestAnotherAddressEndsTheLinksSentToTheOldOne(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	ada := p.add("ada", voiceassist.RoleUser)
	p.link(ada)
	if _, err := p.db.ChangeUser(t.Context(), ada.ID, voiceassist.UserChange{FullName: new("Ada King")}); err != nil {
		t.Fatal(err)
	}
	if n := p.number(`SELECT count(*) FROM password_resets`); n != 1 {
		t.Errorf("another name leaves %d links, want 1", n)
	}
	if _, err := p.db.ChangeUser(t.Context(), ada.ID, voiceassist.UserChange{Email: new("ada2@example.org")}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.ResetPassword(t.Context(), resetLink, "theirs"); !errors.Is(err, voiceassist.Invalid) {
		t.Errorf("a link sent to the old address: %v", err)
	}
}

func TestConcurrentChangesOfAUserLoseNothing(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	ada := p.add("ada", voiceassist.RoleUser)
	changes := []voiceassist.UserChange{
		{FullName: new("Ada Lovelace")}, {Specialty: new("cardiology")}, {Email: new("ada2@example.org")}, {Role: new(voiceassist.RoleViewer)},
	}
	var wg sync.WaitGroup
	errs := make([]error, len(changes))
	for i, c := range changes {
		wg.Go(func() { _, errs[i] = p.db.ChangeUser(t.Context(), ada.ID, c) })
	}
	wg.Wait()
	u, err := p.db.User(t.Context(), ada.ID)
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(u.FullName, u.LastName, u.Specialty, u.Email, u.Role)
	if want := fmt.Sprint("Ada Lovelace", "Lovelace", "cardiology", "ada2@example.org", "viewer"); got != want {
		t.Errorf("after all changes %s, want %s", got, want)
	}
}
