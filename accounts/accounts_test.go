package accounts_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == hashChild {
		if err := accounts.ServeHashes(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(postgrestest.Main(m))
}

var _ accounts.Store = (*postgres.DB)(nil)

const (
	secret   = "0123456789abcdef0123456789abcdef"
	password = "correct horse battery"
)

// quick is a cost at which a test is not about hashing.
var quick = accounts.Cost{Memory: 8, Passes: 1}

func mustNew(t *testing.T, db *postgres.DB, o accounts.Options) *accounts.Service {
	t.Helper()
	if o.Secrets == nil {
		o.Secrets = []string{secret}
	}
	if o.Registration == "" {
		o.Registration = accounts.Open
	}
	if o.HashCost == (accounts.Cost{}) {
		o.HashCost = quick
	}
	s, err := accounts.New(db, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRegister(t *testing.T, s *accounts.Service, email string) voiceassist.SignIn {
	t.Helper()
	in, err := s.Register(t.Context(), voiceassist.Registration{Email: email, Password: password, FullName: "Ada King Lovelace"})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func mustRefresh(t *testing.T, s *accounts.Service, token string) voiceassist.SignIn {
	t.Helper()
	in, err := s.Refresh(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func wantCode(t *testing.T, err error, want voiceassist.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v (%s), want %s", err, voiceassist.CodeOf(err), want)
	}
}

func TestRegisteringSignsIn(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	in := mustRegister(t, s, " Ada@Example.org ")
	if in.User.Email != "ada@example.org" || in.User.FirstName != "Ada King" || in.User.LastName != "Lovelace" {
		t.Errorf("user = %+v", in.User)
	}
	who, err := s.Authenticate(t.Context(), in.Access)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in.Principal, who); diff != "" {
		t.Errorf("principal of the access token (-registered +authenticated):\n%s", diff)
	}
	if cookie, err := s.AuthenticateCookie(t.Context(), in.Cookie); err != nil || cookie.SessionID != in.SessionID {
		t.Errorf("AuthenticateCookie = %+v, %v", cookie, err)
	}
}

func TestRegisteringIsRefused(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	s := mustNew(t, db, accounts.Options{})
	mustRegister(t, s, "taken@example.org")
	for name, c := range map[string]struct {
		r    voiceassist.Registration
		want voiceassist.Code
	}{
		"address taken":   {voiceassist.Registration{Email: "TAKEN@example.org", Password: password, FullName: "A"}, voiceassist.Conflict},
		"no address":      {voiceassist.Registration{Email: "nobody", Password: password, FullName: "A"}, voiceassist.Invalid},
		"short password":  {voiceassist.Registration{Email: "a@example.org", Password: "short", FullName: "A"}, voiceassist.Invalid},
		"common password": {voiceassist.Registration{Email: "a@example.org", Password: "Password123", FullName: "A"}, voiceassist.Invalid},
		"no name":         {voiceassist.Registration{Email: "a@example.org", Password: password}, voiceassist.Invalid},
		"endless name":    {voiceassist.Registration{Email: "a@example.org", Password: password, FullName: strings.Repeat("a", 201)}, voiceassist.Invalid},
		"two-line name":   {voiceassist.Registration{Email: "a@example.org", Password: password, FullName: "a\r\nBcc: b"}, voiceassist.Invalid},
		"NUL in the name": {voiceassist.Registration{Email: "a@example.org", Password: password, FullName: "a\x00b"}, voiceassist.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Register(t.Context(), c.r)
			wantCode(t, err, c.want)
		})
	}
	closed := mustNew(t, db, accounts.Options{Registration: accounts.Closed})
	_, err := closed.Register(t.Context(), voiceassist.Registration{Email: "b@example.org", Password: password, FullName: "B"})
	wantCode(t, err, voiceassist.Forbidden)
}

func TestLoginTellsNobodyWhichPartWasWrong(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	mustRegister(t, s, "ada@example.org")
	if _, err := s.Login(t.Context(), "ADA@example.org ", password); err != nil {
		t.Errorf("login with the address in capitals: %v", err)
	}
	_, wrong := s.Login(t.Context(), "ada@example.org", "not the password")
	_, unknown := s.Login(t.Context(), "eve@example.org", password)
	wantCode(t, wrong, voiceassist.Unauthorized)
	wantCode(t, unknown, voiceassist.Unauthorized)
	if wrong.Error() != unknown.Error() {
		t.Errorf("wrong password says %q, unknown address %q", wrong, unknown)
	}
}

// What takes the time is the hash, which fills its memory. The test is not
// parallel: others would allocate as well.
func TestLoginOfAnUnknownAddressHashesAsMuch(t *testing.T) {
	s := mustNew(t, postgrestest.Open(t), accounts.Options{HashCost: accounts.Cost{Memory: 19 << 10, Passes: 1}})
	mustRegister(t, s, "ada@example.org")
	hashed := func(email string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := s.Login(t.Context(), email, "not the password")
		runtime.ReadMemStats(&after)
		wantCode(t, err, voiceassist.Unauthorized)
		return (after.TotalAlloc - before.TotalAlloc) >> 20
	}
	if known, unknown := hashed("ada@example.org"), hashed("eve@example.org"); known < 19 || unknown < 19 {
		t.Errorf("a known address took %d MiB, an unknown one %d; a hash takes 19", known, unknown)
	}
}

func TestARefreshTokenWorksOnceAndItsReuseEndsTheFamily(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{ReuseGrace: time.Nanosecond})
	first := mustRegister(t, s, "ada@example.org")
	second := mustRefresh(t, s, first.Refresh)
	if second.SessionID != first.SessionID || second.Refresh == first.Refresh {
		t.Fatal("a refresh must rotate the token within its session")
	}
	third := mustRefresh(t, s, second.Refresh)

	_, err := s.Refresh(t.Context(), first.Refresh)
	wantCode(t, err, voiceassist.Unauthorized)
	_, err = s.Refresh(t.Context(), third.Refresh)
	wantCode(t, err, voiceassist.Unauthorized)
	_, err = s.Authenticate(t.Context(), third.Access)
	wantCode(t, err, voiceassist.Unauthorized)
	_, err = s.AuthenticateCookie(t.Context(), third.Cookie)
	wantCode(t, err, voiceassist.Unauthorized)
}

func TestParallelRefreshesOfOneTokenAllGetTokens(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	in := mustRegister(t, s, "ada@example.org")
	var wg sync.WaitGroup
	siblings := make([]voiceassist.SignIn, 8)
	for i := range siblings {
		wg.Go(func() {
			var err error
			if siblings[i], err = s.Refresh(t.Context(), in.Refresh); err != nil {
				t.Errorf("refresh %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, sibling := range siblings {
		if sibling.SessionID != in.SessionID || seen[sibling.Refresh] {
			t.Error("a sibling must be a token of its own in the same session")
		}
		seen[sibling.Refresh] = true
		mustRefresh(t, s, sibling.Refresh)
	}
}

func TestLogoutHolds(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	s := mustNew(t, db, accounts.Options{})
	otherProcess := mustNew(t, db, accounts.Options{})
	for name, tokens := range map[string]func(voiceassist.SignIn) (access, refresh string){
		"access":  func(in voiceassist.SignIn) (string, string) { return in.Access, "" },
		"refresh": func(in voiceassist.SignIn) (string, string) { return "", in.Refresh },
		"both":    func(in voiceassist.SignIn) (string, string) { return in.Access, in.Refresh },
	} {
		t.Run(name, func(t *testing.T) {
			in := mustRegister(t, s, name+"@example.org")
			other, err := s.Login(t.Context(), name+"@example.org", password)
			if err != nil {
				t.Fatal(err)
			}
			access, refresh := tokens(in)
			if err := s.Logout(t.Context(), access, refresh); err != nil {
				t.Fatal(err)
			}
			_, err = otherProcess.Authenticate(t.Context(), in.Access)
			wantCode(t, err, voiceassist.Unauthorized)
			_, err = otherProcess.Refresh(t.Context(), in.Refresh)
			wantCode(t, err, voiceassist.Unauthorized)
			if _, err := otherProcess.Authenticate(t.Context(), other.Access); err != nil {
				t.Errorf("the user's other session ended too: %v", err)
			}
			if err := s.Logout(t.Context(), access, refresh); err != nil {
				t.Errorf("a second logout: %v", err)
			}
		})
	}
	wantCode(t, s.Logout(t.Context(), "", ""), voiceassist.Unauthorized)
}

func TestTokensOfOneKindAreNotTakenForAnother(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	in := mustRegister(t, s, "ada@example.org")
	for _, token := range []string{in.Refresh, in.Cookie, "", "garbage", in.Access + "x"} {
		_, err := s.Authenticate(t.Context(), token)
		wantCode(t, err, voiceassist.Unauthorized)
	}
	_, err := s.AuthenticateCookie(t.Context(), in.Access)
	wantCode(t, err, voiceassist.Unauthorized)
	_, err = s.Refresh(t.Context(), in.Access)
	wantCode(t, err, voiceassist.Unauthorized)
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	in := mustRegister(t, s, "ada@example.org")
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(in.Access, claims); err != nil {
		t.Fatal(err)
	}
	sign := func(method jwt.SigningMethod, key any, change jwt.MapClaims) string {
		t.Helper()
		c := maps.Clone(claims)
		maps.Copy(c, change)
		token, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ours := []byte(secret)
	if _, err := s.Authenticate(t.Context(), sign(jwt.SigningMethodHS256, ours, nil)); err != nil {
		t.Fatalf("the unchanged token: %v", err)
	}
	for name, token := range map[string]string{
		"no algorithm":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"another algorithm": sign(jwt.SigningMethodHS512, ours, nil),
		"another key":       sign(jwt.SigningMethodHS256, []byte(strings.ToUpper(secret)), nil),
		"expired":           sign(jwt.SigningMethodHS256, ours, jwt.MapClaims{"exp": time.Now().Add(-time.Second).Unix()}),
		"never expires":     sign(jwt.SigningMethodHS256, ours, jwt.MapClaims{"exp": nil}),
		"another user":      sign(jwt.SigningMethodHS256, ours, jwt.MapClaims{"sub": "6f1d9f3e-9b5a-4b0e-8a68-1d2f3c4b5a69"}),
		"no session":        sign(jwt.SigningMethodHS256, ours, jwt.MapClaims{"sid": ""}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Authenticate(t.Context(), token)
			wantCode(t, err, voiceassist.Unauthorized)
		})
	}
}

func TestSigningKeysRotate(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	const next = "ffffffffffffffffffffffffffffffff"
	in := mustRegister(t, mustNew(t, db, accounts.Options{}), "ada@example.org")
	rotated := mustNew(t, db, accounts.Options{Secrets: []string{next, secret}})
	if _, err := rotated.Authenticate(t.Context(), in.Access); err != nil {
		t.Errorf("token of the old key: %v", err)
	}
	fresh := mustRefresh(t, rotated, in.Refresh)
	retired := mustNew(t, db, accounts.Options{Secrets: []string{next}})
	if _, err := retired.Authenticate(t.Context(), fresh.Access); err != nil {
		t.Errorf("token of the new key: %v", err)
	}
	_, err := retired.Authenticate(t.Context(), in.Access)
	wantCode(t, err, voiceassist.Unauthorized)
	if _, err := accounts.New(db, accounts.Options{Secrets: []string{"too short"}}); err == nil {
		t.Error("New takes a secret of 9 bytes")
	}
}

func TestPayloadsAreASCIIAndSayWhatV1Reads(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{AccessTTL: 5 * time.Minute})
	in := mustRegister(t, s, "zoë.😀@example.org")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(in.Access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range payload {
		if b > 0x7e {
			t.Fatalf("payload %q is not ASCII", payload)
		}
	}
	var got struct {
		Sub, Email, Role, Type, Jti string
		Iat, Exp                    int64
	}
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sub != in.User.ID.String() || got.Email != in.User.Email || got.Role != "user" || got.Type != "access" || got.Jti == "" {
		t.Errorf("payload = %s", payload)
	}
	if ttl := got.Exp - got.Iat; ttl != 300 || in.AccessTTL != 5*time.Minute {
		t.Errorf("token lives %d s and claims %v, want 5 min", ttl, in.AccessTTL)
	}
}

func TestCreateAdminEndsOldSessions(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	in := mustRegister(t, s, "ada@example.org")
	u, created, err := s.CreateAdmin(t.Context(), "ada@example.org", "a new long password")
	if err != nil || created || !u.IsAdmin() || u.FullName != "Ada King Lovelace" {
		t.Fatalf("CreateAdmin of an account = %+v, created %t, %v", u, created, err)
	}
	_, err = s.Authenticate(t.Context(), in.Access)
	wantCode(t, err, voiceassist.Unauthorized)
	_, err = s.Login(t.Context(), "ada@example.org", password)
	wantCode(t, err, voiceassist.Unauthorized)
	if in, err := s.Login(t.Context(), "ada@example.org", "a new long password"); err != nil || !in.User.IsAdmin() {
		t.Errorf("login with the new password = %+v, %v", in.User, err)
	}
	if _, created, err := s.CreateAdmin(t.Context(), "root@example.org", password); err != nil || !created {
		t.Errorf("CreateAdmin of a new address: created %t, %v", created, err)
	}
}

func TestLoginWithAPasswordThatHasJustChangedBeginsNoSession(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	s := mustNew(t, db, accounts.Options{})
	in := mustRegister(t, s, "ada@example.org")
	verified, err := db.Credentials(t.Context(), in.User.Email)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CreateAdmin(t.Context(), in.User.Email, "a new long password"); err != nil {
		t.Fatal(err)
	}
	g := voiceassist.Grant{SessionID: uuid.New(), TTL: time.Hour, MaxAge: time.Hour}
	_, err = db.BeginSession(t.Context(), voiceassist.Attempt{UserID: in.User.ID}, verified.PasswordHash, nil, g)
	wantCode(t, err, voiceassist.Unauthorized)
	_, err = db.SessionUser(t.Context(), g.SessionID)
	wantCode(t, err, voiceassist.NotFound)
	if _, err := s.SignInAs(t.Context(), in.User); err != nil {
		t.Errorf("SignInAs asks for the password: %v", err)
	}
}

func TestAFamilyIsKnownByEitherToken(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	in := mustRegister(t, s, "ada@example.org")
	for token, want := range map[string]uuid.UUID{in.Access: in.SessionID, in.Refresh: in.SessionID, in.Cookie: uuid.Nil, "junk": uuid.Nil} {
		if got := s.Family(token); got != want {
			t.Errorf("Family = %v, want %v", got, want)
		}
	}
}

func TestSecondFactorsOutliveTheSecretThatSealedThem(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	const next = "ffffffffffffffffffffffffffffffff"
	old := mustNew(t, db, accounts.Options{})
	in := mustRegister(t, old, "ada@example.org")
	setup, err := old.SetUpFactor(t.Context(), in.User)
	if err != nil {
		t.Fatal(err)
	}
	code := func(step time.Duration) string {
		c, err := totp.GenerateCode(setup.Secret, time.Now().Add(step*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := old.EnableFactor(t.Context(), in.User, code(0)); err != nil {
		t.Fatal(err)
	}
	f, err := db.SecondFactor(t.Context(), in.User.ID)
	if err != nil || bytes.Contains(f.Secret, []byte(setup.Secret)) {
		t.Errorf("the ledger has %q of the secret, %v", f.Secret, err)
	}
	rotated := mustNew(t, db, accounts.Options{Secrets: []string{next, secret}})
	challenged, err := rotated.Login(t.Context(), "ada@example.org", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rotated.VerifyLogin(t.Context(), challenged.Challenge, code(1)); err != nil {
		t.Errorf("VerifyLogin with the new secret first: %v", err)
	}
	retired := mustNew(t, db, accounts.Options{Secrets: []string{next}})
	if _, err := retired.VerifyLogin(t.Context(), challenged.Challenge, setup.BackupCodes[0]); voiceassist.CodeOf(err) != voiceassist.Internal {
		t.Errorf("VerifyLogin without the secret = %v, want an error for the operator", err)
	}
}
