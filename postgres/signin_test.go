package postgres_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

func grant() voiceassist.Grant {
	id := uuid.New()
	return voiceassist.Grant{SessionID: id, Digest: sha256.Sum256(id[:]), TTL: time.Hour, MaxAge: time.Hour}
}

func addUser(t *testing.T, db *postgres.DB, name string) voiceassist.User {
	t.Helper()
	u, err := db.AddUser(t.Context(), voiceassist.User{
		ID: uuid.New(), Email: name + "@example.org", FullName: name, Role: voiceassist.RoleUser, IsActive: true,
	}, "hash", grant())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// count returns the first column of the first row of a query.
func count(t *testing.T, conn *pgx.Conn, query string, args ...any) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// allAtOnce calls f n times at once and returns how many calls succeeded.
func allAtOnce(n int, f func(i int) error) int {
	var wg sync.WaitGroup
	var good atomic.Int64
	for i := range n {
		wg.Go(func() {
			if f(i) == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	return int(good.Load())
}

func TestSixtyFourFailuresAtOnceLockAnAccountOnce(t *testing.T) {
	t.Parallel()
	db, conn := postgrestest.OpenWithConn(t)
	u := addUser(t, db, "ada")
	failed := allAtOnce(64, func(i int) error {
		a := voiceassist.Attempt{UserID: u.ID, Email: u.Email, Network: fmt.Sprintf("192.0.2.%d", i%8)}
		return db.SignInFailed(t.Context(), a, "password")
	})
	if failed != 64 {
		t.Fatalf("%d of 64 failures were counted", failed)
	}
	for action, want := range map[string]int{"auth.login_failed": 64, "account.locked": 1} {
		if n := count(t, conn, `SELECT count(*) FROM audit_entries WHERE action = $1`, action); n != want {
			t.Errorf("%d entries of %s, want %d", n, action, want)
		}
	}
	if n := count(t, conn, `SELECT locks FROM sign_in_failures WHERE locked_until > now()`); n != 1 {
		t.Errorf("the account was locked %d times", n)
	}
	// A password that was found right meanwhile is of no use.
	elsewhere := voiceassist.Attempt{UserID: u.ID, Email: u.Email, Network: "203.0.113.1"}
	if err := db.MaySignIn(t.Context(), elsewhere); !errors.Is(err, voiceassist.Forbidden) {
		t.Errorf("MaySignIn = %v", err)
	}
	if _, err := db.BeginSession(t.Context(), elsewhere, "hash", nil, grant()); !errors.Is(err, voiceassist.Forbidden) {
		t.Errorf("BeginSession = %v", err)
	}
	if locked, err := db.UnlockAccount(t.Context(), u.Email); err != nil || !locked {
		t.Errorf("UnlockAccount = %t, %v", locked, err)
	}
	if _, err := db.BeginSession(t.Context(), elsewhere, "hash", nil, grant()); err != nil {
		t.Errorf("BeginSession after that = %v", err)
	}
}

func TestTwoAdminsAttackedAtOnceAreNotBothLockedOut(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	var admins []voiceassist.User
	for _, name := range []string{"ada", "bob"} {
		u, _, err := db.PutAdmin(t.Context(), voiceassist.User{ID: uuid.New(), Email: name + "@example.org"}, "hash")
		if err != nil {
			t.Fatal(err)
		}
		admins = append(admins, u)
	}
	allAtOnce(60, func(i int) error {
		u := admins[i%2]
		return db.SignInFailed(t.Context(), voiceassist.Attempt{UserID: u.ID, Email: u.Email, Network: "192.0.2.1"}, "password")
	})
	open := 0
	for _, u := range admins {
		if err := db.MaySignIn(t.Context(), voiceassist.Attempt{UserID: u.ID, Email: u.Email, Network: "203.0.113.1"}); err == nil {
			open++
		}
	}
	if open == 0 {
		t.Error("no admin can sign in")
	}
}

func TestLinksAndCodesAreSpentByOneOfMany(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	u := addUser(t, db, "ada")
	reset, invitation, backup := sha256.Sum256([]byte("reset")), sha256.Sum256([]byte("invitation")), sha256.Sum256([]byte("backup"))
	if owner, err := db.AddPasswordReset(t.Context(), u.Email, reset, time.Hour); err != nil || owner != u.ID {
		t.Fatalf("AddPasswordReset = %v, %v", owner, err)
	}
	if _, err := db.PutInvitation(t.Context(), voiceassist.Invitation{Email: "bob@example.org", Role: voiceassist.RoleViewer, InvitedBy: u.ID}, invitation, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := db.BeginSecondFactor(t.Context(), u.ID, []byte("sealed"), [][32]byte{backup}); err != nil {
		t.Fatal(err)
	}
	if err := db.EnableSecondFactor(t.Context(), u.ID, []byte("sealed"), 100); err != nil {
		t.Fatal(err)
	}
	signIn := func(proof voiceassist.FactorProof) func(int) error {
		return func(int) error {
			_, err := db.BeginSession(t.Context(), voiceassist.Attempt{UserID: u.ID}, "", &proof, grant())
			return err
		}
	}
	for name, f := range map[string]func(int) error{
		"a TOTP code":   signIn(voiceassist.FactorProof{Step: 101}),
		"a backup code": signIn(voiceassist.FactorProof{Backup: backup}),
		"an invitation": func(int) error {
			_, err := db.AddInvitedUser(t.Context(), invitation, voiceassist.User{ID: uuid.New(), FullName: "Bob", IsActive: true}, "hash", grant())
			return err
		},
	} {
		if n := allAtOnce(8, f); n != 1 {
			t.Errorf("%s was taken %d times", name, n)
		}
	}
	if signIn(voiceassist.FactorProof{Step: 100})(0) == nil {
		t.Error("an older code is taken after a newer one")
	}
	if n := allAtOnce(8, func(int) error { _, err := db.ResetPassword(t.Context(), reset, "new hash"); return err }); n != 1 {
		t.Errorf("a reset link was taken %d times", n)
	}
}

func TestAUserHasFiftyAPIKeysAtMost(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	u := addUser(t, db, "ada")
	if n := allAtOnce(60, func(i int) error {
		_, err := db.AddAPIKey(t.Context(), voiceassist.APIKey{
			ID: uuid.New(), UserID: u.ID, Name: "key", Prefix: "va_k_x", Scopes: []voiceassist.Scope{voiceassist.ScopeRead},
		}, sha256.Sum256([]byte{byte(i)}))
		return err
	}); n != 50 {
		t.Errorf("%d keys were made, want 50", n)
	}
}

func TestStaleSignInsAreRemovedAndLivingOnesStay(t *testing.T) {
	t.Parallel()
	db, conn := postgrestest.OpenWithConn(t)
	u := addUser(t, db, "ada")
	living := count(t, conn, `SELECT count(*) FROM sessions`) + count(t, conn, `SELECT count(*) FROM refresh_tokens`)
	for _, days := range []int{1, 29, 31} {
		g := grant()
		if _, err := db.BeginSession(t.Context(), voiceassist.Attempt{UserID: u.ID}, "", nil, g); err != nil {
			t.Fatal(err)
		}
		count(t, conn, `
			WITH token AS (
				UPDATE refresh_tokens SET expires_at = now() + interval '1 day' WHERE session_id = $1
			)
			UPDATE sessions
			SET revoked_at = now() - make_interval(days => $2), revoke_reason = 'test'
			WHERE id = $1
			RETURNING 1`, g.SessionID, days)
	}
	if _, err := db.AddPasswordReset(t.Context(), u.Email, [32]byte{1}, -time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddPasswordReset(t.Context(), u.Email, [32]byte{2}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := db.SignInFailed(t.Context(), voiceassist.Attempt{Email: "x", Network: "192.0.2.1"}, "password"); err != nil {
		t.Fatal(err)
	}
	count(t, conn, `WITH old AS (UPDATE sign_in_failures SET last_at = now() - interval '3 days' WHERE subject NOT LIKE 'pair:%') SELECT 1`)
	removed, err := db.RemoveStaleSignIns(t.Context())
	if err != nil || removed != 1+1+2 { // a session, a reset link, two subjects
		t.Errorf("removed %d, %v; want 4", removed, err)
	}
	if n := count(t, conn, `SELECT count(*) FROM sessions`) + count(t, conn, `SELECT count(*) FROM refresh_tokens`); n != living+4 {
		t.Errorf("%d sessions and tokens are left, want %d", n, living+4)
	}
	if n := count(t, conn, `SELECT count(*) FROM password_resets`) + count(t, conn, `SELECT count(*) FROM sign_in_failures`); n != 2 {
		t.Errorf("%d links and failures are left, want 2", n)
	}
	if removed, err := db.RemoveStaleSignIns(t.Context()); removed != 0 || err != nil {
		t.Errorf("the second time removes %d, %v", removed, err)
	}
}
