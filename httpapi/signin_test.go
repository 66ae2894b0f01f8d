package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/httpapi"
)

// mailbox takes mails instead of a mail server.
type mailbox struct {
	mu    sync.Mutex
	mails []voiceassist.Mail
	down  error // what Ready says
}

func (m *mailbox) Ready() error { return m.down }

func (m *mailbox) Send(_ context.Context, mail voiceassist.Mail) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, mail)
}

// token returns the token in the link of the last mail, of which there must
// have been n.
func (m *mailbox) token(t *testing.T, n int, kind voiceassist.MailKind, to string) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mails) != n {
		t.Fatalf("%d mails were sent, want %d", len(m.mails), n)
	}
	last := m.mails[n-1]
	link, err := url.Parse(last.Link)
	if err != nil || last.Kind != kind || last.To != to || !strings.HasPrefix(last.Link, "https://app.example.org/"+link.Path[1:]+"?token=") {
		t.Fatalf("mail = %+v", last)
	}
	return link.Query().Get("token")
}

// audited is how many entries of an action the audit log has.
func (s *suite) audited(action string) int {
	s.t.Helper()
	return s.count(`SELECT count(*) FROM audit_entries WHERE action = $1`, action)
}

func (s *suite) login(email, password string, with ...func(*http.Request)) response {
	s.t.Helper()
	return s.do("POST", "/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), with...)
}

// calm ends all waits, as time would.
func (s *suite) calm() {
	s.t.Helper()
	s.sql(`UPDATE sign_in_failures SET retry_at = now()`)
}

func behindProxies(o *httpapi.Options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

func from(ip string) func(*http.Request) { return header("X-Forwarded-For", ip) }

func TestFailedLoginsWaitPerNetworkAndThenLockTheAccount(t *testing.T) {
	t.Parallel()
	s := start(t, behindProxies)
	in := s.signIn(voiceassist.RoleUser)
	s.signIn(voiceassist.RoleAdmin)
	near, far := from("192.0.2.1"), from("198.51.100.7")
	for _, email := range []string{in.User.Email, "nobody@example.org"} {
		for range 4 {
			s.want(401, s.login(email, "not the password", near))
		}
		r := s.want(429, s.login(email, password, near))
		if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < 1 || after > 30 {
			t.Errorf("Retry-After = %q", r.header.Get("Retry-After"))
		}
	}
	s.want(401, s.login(in.User.Email, "not the password", far)) // other networks do not wait

	for range 5 {
		s.calm()
		s.want(401, s.login(in.User.Email, "not the password", near))
	}
	s.calm()
	for _, where := range []func(*http.Request){near, far} {
		r := s.want(403, s.login(in.User.Email, password, where))
		if !strings.Contains(r.text, "locked") {
			t.Errorf("a locked account is told %s", r.text)
		}
	}
	s.want(200, s.do("GET", "/api/auth/me", "", as(in.Access))) // who is signed in stays
	if n := s.audited("account.locked"); n != 1 {
		t.Errorf("%d entries of account.locked, want 1", n)
	}
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = 'account.locked' AND resource_id = $1 AND details ? 'until'`, in.User.ID.String()); n != 1 {
		t.Error("the entry does not say who is locked until when")
	}
	first := s.count(`SELECT extract(epoch FROM locked_until - now())::int FROM sign_in_failures WHERE locked_until IS NOT NULL`)

	s.sql(`UPDATE sign_in_failures SET locked_until = now() WHERE locked_until IS NOT NULL`)
	for range 10 {
		s.calm()
		s.want(401, s.login(in.User.Email, "not the password", near))
	}
	second := s.count(`SELECT extract(epoch FROM locked_until - now())::int FROM sign_in_failures WHERE locked_until IS NOT NULL`)
	if second < 2*first {
		t.Errorf("the second lock lasts %d s, the first %d s", second, first)
	}
	if locked, err := s.accounts.Unlock(t.Context(), in.User.Email); err != nil || !locked {
		t.Errorf("Unlock = %t, %v", locked, err)
	}
	s.want(200, s.login(in.User.Email, password, near))
	if s.audited("account.unlocked") != 1 || s.audited("auth.login_failed") < 20 {
		t.Errorf("audit: %d unlocked, %d failed", s.audited("account.unlocked"), s.audited("auth.login_failed"))
	}
}

func TestASuccessForgetsTheFailuresBeforeIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	for range 4 {
		for range 3 {
			s.want(401, s.login(in.User.Email, "not the password"))
		}
		s.want(200, s.login(in.User.Email, password))
	}
}

func TestTheLastAdminCannotBeLockedOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for range 25 {
		s.calm()
		s.want(401, s.login(admin.User.Email, "not the password"))
	}
	s.want(429, s.login(admin.User.Email, password)) // slowed all the same
	s.calm()
	s.want(200, s.login(admin.User.Email, password))
	if n := s.audited("account.locked"); n != 0 {
		t.Errorf("%d locks", n)
	}

	// With another admin there is a lock, which ends when that one is gone.
	other, _, err := s.accounts.CreateAdmin(t.Context(), "other@example.org", password)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		s.calm()
		s.want(401, s.login(admin.User.Email, "not the password"))
	}
	s.calm()
	s.want(403, s.login(admin.User.Email, password))
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, other.ID)
	s.want(200, s.login(admin.User.Email, password))
}

func TestASessionTellsWhenItEnds(t *testing.T) {
	t.Parallel()
	s := startWith(t, func(o *accounts.Options) { o.SessionTTL, o.RefreshTTL = 10*time.Hour, 2*time.Hour })
	in := s.signIn(voiceassist.RoleUser)
	s.sql(`UPDATE sessions SET created_at = created_at - interval '9 hours', ends_at = ends_at - interval '9 hours', last_used_at = now() - interval '1 hour', expires_at = now() + interval '1 hour'`)
	r := s.want(200, s.do("GET", "/api/auth/session", "", as(in.Access)))
	if r.at("absolute_timeout_hours") != 10.0 || r.at("inactivity_timeout_minutes") != 120.0 {
		t.Errorf("session = %s", r.text)
	}
	for _, name := range []string{"absolute_remaining_seconds", "inactivity_remaining_seconds"} {
		if left, _ := r.at(name).(float64); left < 3500 || left > 3600 {
			t.Errorf("%s = %v", name, r.at(name))
		}
	}
	// A refresh does not outlive the session.
	refreshed := s.want(200, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh)))
	if left, _ := refreshed.at("refresh_expires_in").(float64); left < 3400 || left > 3600 {
		t.Errorf("refresh_expires_in = %v, want what is left of the session", refreshed.at("refresh_expires_in"))
	}
	s.sql(`UPDATE sessions SET expires_at = now()`)
	s.want(401, s.do("GET", "/api/auth/session", "", as(in.Access)))
}

func TestAForgottenPasswordIsResetByALinkOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	key := s.apiKey(in, `"read"`)
	forgot := func(email string) response {
		return s.want(200, s.do("POST", "/api/auth/forgot-password", fmt.Sprintf(`{"email":%q}`, email), as("stale")))
	}
	known, unknown := forgot(strings.ToUpper(in.User.Email)), forgot("nobody@example.org")
	if known.at("message") != unknown.at("message") || len(known.text) != len(unknown.text) {
		t.Errorf("known %s, unknown %s", known.text, unknown.text)
	}
	token := s.mails.token(t, 1, voiceassist.MailReset, in.User.Email)
	reset := func(token, password string) response {
		return s.do("POST", "/api/auth/reset-password", fmt.Sprintf(`{"token":%q,"new_password":%q}`, token, password), as("stale"))
	}
	for range 10 { // locks are no obstacle
		s.calm()
		s.want(401, s.login(in.User.Email, "not the password"))
	}
	s.want(422, reset(token, "password"))
	s.want(422, reset("junk", "another long password"))
	s.want(200, reset(token, "another long password"))
	s.want(422, reset(token, "a third long password"))
	s.want(401, s.do("GET", "/api/auth/me", "", as(in.Access)))
	s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh)))
	s.want(401, s.do("GET", "/api/auth/me", "", header("X-API-Key", key)))
	s.want(200, s.login(in.User.Email, "another long password"))
	if strings.Contains(s.log.String(), token) {
		t.Error("the token is in the log")
	}

	forgot(in.User.Email)
	token = s.mails.token(t, 2, voiceassist.MailReset, in.User.Email)
	s.sql(`UPDATE password_resets SET expires_at = now()`)
	s.want(422, reset(token, "a third long password"))
	for range 9 {
		forgot(in.User.Email)
	}
	if n := len(s.mails.mails); n > 7 {
		t.Errorf("%d mails within an hour", n)
	}
	s.want(422, s.do("POST", "/api/auth/forgot-password", `{"email":"no address"}`))
}

func TestResetsAreLimitedPerAddress(t *testing.T) {
	t.Parallel()
	s := start(t, withLimits(t))
	for i := range 5 {
		r := s.do("POST", "/api/auth/forgot-password", `{"email":"nobody@example.org"}`)
		if s.want(200, r).header.Get("X-RateLimit-Remaining") != strconv.Itoa(4-i) {
			t.Errorf("request %d: %v", i+1, r.header)
		}
	}
	s.want(429, s.do("POST", "/api/auth/forgot-password", `{"email":"nobody@example.org"}`))
	s.want(429, s.do("POST", "/api/auth/reset-password", `{"token":"x","password":"a long password"}`))
}

func TestAChangedPasswordEndsEverythingButTheReply(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	for i, request := range []struct{ method, path, body string }{
		{"POST", "/api/users/me/change-password", `{"old_password":%q,"new_password":%q}`},
		{"PUT", "/api/users/me/password", `{"currentPassword":%q,"newPassword":%q}`},
	} {
		old, next := password, "another long password"
		if i == 1 {
			old, next = next, old
		}
		s.want(422, s.do(request.method, request.path, fmt.Sprintf(request.body, "not the password", next), as(in.Access)))
		s.want(422, s.do(request.method, request.path, fmt.Sprintf(request.body, old, "12345678"), as(in.Access)))
		s.want(422, s.do(request.method, request.path, fmt.Sprintf(request.body, old, old), as(in.Access)))
		r := s.want(200, s.do(request.method, request.path, fmt.Sprintf(request.body, old, next), as(in.Access)))
		s.want(401, s.do("GET", "/api/auth/me", "", as(in.Access)))
		s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh)))
		s.want(401, s.login(in.User.Email, old))
		if cookieOf(t, r).Value == "" || r.at("message") == nil || r.at("user", "email") != in.User.Email {
			t.Errorf("reply = %s", r.text)
		}
		in.Access, in.Refresh = r.at("access_token").(string), r.at("refresh_token").(string)
		s.want(200, s.do("GET", "/api/auth/me", "", as(in.Access)))
	}
	if s.audited("auth.password_changed") != 2 {
		t.Errorf("%d changes in the audit log", s.audited("auth.password_changed"))
	}
}

// enableFactor gives a user a second factor and returns its secret and its
// backup codes.
func (s *suite) enableFactor(in voiceassist.SignIn) (secret string, backup []string) {
	s.t.Helper()
	setup := s.want(200, s.do("POST", "/api/auth/2fa/setup", "", as(in.Access)))
	secret = setup.at("secret").(string)
	for _, code := range setup.at("backup_codes").([]any) {
		backup = append(backup, code.(string))
	}
	if !strings.HasPrefix(setup.at("qr_code").(string), "data:image/png;base64,") || !strings.Contains(setup.at("otpauth_url").(string), secret) {
		s.t.Errorf("setup = %s", setup.text)
	}
	s.want(422, s.do("POST", "/api/auth/2fa/verify", `{"code":"000000x"}`, as(in.Access)))
	s.want(200, s.do("POST", "/api/auth/2fa/verify", fmt.Sprintf(`{"code":%q}`, codeAt(s.t, secret, 0)), as(in.Access)))
	return secret, backup
}

// codeAt returns the code of a time step, counted from the present one.
func codeAt(t *testing.T, secret string, step int) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(step)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestASecondFactorIsAskedForAndItsCodesWorkOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	s.want(409, s.do("POST", "/api/auth/2fa/verify", `{"code":"123456"}`, as(in.Access)))
	secret, backup := s.enableFactor(in)
	s.want(409, s.do("POST", "/api/auth/2fa/setup", "", as(in.Access)))
	status := s.want(200, s.do("GET", "/api/auth/2fa/status", "", as(in.Access)))
	if status.at("enabled") != true || status.at("backup_codes_remaining") != 10.0 || status.at("verified_at") == nil {
		t.Errorf("status = %s", status.text)
	}

	login := s.want(200, s.login(in.User.Email, password))
	if login.at("requires_2fa") != true || login.at("user_id") != in.User.ID.String() || login.at("access_token") != nil ||
		login.at("user") != nil || len(login.header.Values("Set-Cookie")) != 0 {
		t.Errorf("login = %s %v", login.text, login.header)
	}
	challenge := login.at("challenge").(string)
	s.want(401, s.do("GET", "/api/auth/me", "", as(challenge)))
	verify := func(challenge, code string) response {
		return s.do("POST", "/api/auth/2fa/verify-login", fmt.Sprintf(`{"challenge":%q,"code":%q}`, challenge, code), as("stale"))
	}
	s.want(401, verify(challenge, codeAt(t, secret, 0))) // it has enabled the factor
	s.want(422, s.do("POST", "/api/auth/2fa/verify-login", fmt.Sprintf(`{"user_id":%q,"code":%q}`, in.User.ID, codeAt(t, secret, 1))))
	s.want(401, verify(in.Access, codeAt(t, secret, 1)))
	next := codeAt(t, secret, 1)
	r := s.want(200, verify(challenge, next))
	if r.at("access_token") == nil || cookieOf(t, r).Value == "" {
		t.Errorf("verify-login = %s", r.text)
	}
	s.want(401, verify(challenge, next))

	typed := strings.ToLower(strings.ReplaceAll(backup[3], "-", " "))
	s.want(200, verify(challenge, typed))
	s.want(401, verify(challenge, typed))
	fresh := s.want(200, s.do("POST", "/api/auth/2fa/backup-codes", fmt.Sprintf(`{"password":%q}`, password), as(in.Access)))
	s.want(401, verify(challenge, backup[4]))
	again := fresh.at("backup_codes").([]any)[0].(string)
	s.want(200, verify(challenge, again))

	s.want(422, s.do("POST", "/api/auth/2fa/disable", `{}`, as(in.Access)))
	s.want(422, s.do("POST", "/api/auth/2fa/disable", `{"password":"not the password"}`, as(in.Access)))
	s.want(422, s.do("POST", "/api/auth/2fa/disable", fmt.Sprintf(`{"code":%q}`, again), as(in.Access)))
	s.want(200, s.do("POST", "/api/auth/2fa/disable", fmt.Sprintf(`{"code":%q}`, fresh.at("backup_codes").([]any)[1]), as(in.Access)))
	if s.want(200, s.login(in.User.Email, password)).at("access_token") == nil {
		t.Error("a login without a second factor is asked for one")
	}
	for action, want := range map[string]int{"auth.2fa_enabled": 1, "auth.2fa_disabled": 1, "auth.2fa_backup_codes": 1} {
		if n := s.audited(action); n != want {
			t.Errorf("%d entries of %s, want %d", n, action, want)
		}
	}
}

func TestGuessesAtASecondFactorLockTheAccount(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.signIn(voiceassist.RoleAdmin)
	in := s.signIn(voiceassist.RoleUser)
	secret, _ := s.enableFactor(in)
	s.sql(`DELETE FROM sign_in_failures`)
	challenge := s.want(200, s.login(in.User.Email, password)).at("challenge").(string)
	guess := func(code string) response {
		return s.do("POST", "/api/auth/2fa/verify-login", fmt.Sprintf(`{"challenge":%q,"code":%q}`, challenge, code))
	}
	for range 10 {
		s.calm()
		s.want(401, guess("guess"))
		s.calm()
		s.login(in.User.Email, password) // the right password alone forgets nothing
	}
	s.calm()
	s.want(403, guess(codeAt(t, secret, 1)))

	// A challenge does not outlive the password.
	s.sql(`DELETE FROM sign_in_failures`)
	s.sql(`UPDATE users SET password_hash = password_hash || 'x' WHERE id = $1`, in.User.ID)
	s.want(401, guess(codeAt(t, secret, 1)))
}

// apiKey makes a key with scopes, as JSON strings.
func (s *suite) apiKey(in voiceassist.SignIn, scopes string) string {
	s.t.Helper()
	r := s.want(201, s.do("POST", "/api/auth/api-keys", fmt.Sprintf(`{"name":"Script","scopes":[%s]}`, scopes), as(in.Access)))
	return r.at("key").(string)
}

func TestAPIKeysReachAsFarAsTheirScopes(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleUser)
	for name, test := range map[string]struct {
		who    voiceassist.SignIn
		scopes string
		want   [5]int
	}{
		"read":              {user, `"read"`, [5]int{200, 403, 403, 403, 403}},
		"write":             {user, `"write"`, [5]int{200, 201, 403, 403, 403}},
		"admin of a user":   {user, `"admin"`, [5]int{200, 201, 403, 403, 403}},
		"write of an admin": {admin, `"read","write"`, [5]int{200, 201, 403, 403, 403}},
		"admin":             {admin, `"admin"`, [5]int{200, 201, 200, 202, 403}},
	} {
		key := header("X-API-Key", s.apiKey(test.who, test.scopes))
		for i, r := range []response{
			s.do("GET", "/api/auth/me", "", key),
			s.do("POST", "/api/conversations", `{}`, key),
			s.do("GET", "/api/admin/kb/jobs", "", key),
			s.do("POST", "/api/admin/kb/reindex", "", key),
			s.do("POST", "/api/auth/api-keys", `{"name":"Another"}`, key),
		} {
			if r.status != test.want[i] {
				t.Errorf("%s: request %d got %d, want %d: %s", name, i, r.status, test.want[i], r.text)
			}
		}
	}
}

// Whoever can change the address of an account can have a new password mailed
// there.
func TestAnAPIKeyCannotTakeItsAccountOver(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	for _, in := range []voiceassist.SignIn{s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleAdmin)} {
		key := header("X-API-Key", s.apiKey(in, `"admin"`))
		for _, c := range [][3]string{
			{"PUT", "/api/users/me", `{"email":"mallory@example.org"}`},
			{"PATCH", "/api/users/" + in.User.ID.String(), `{"email":"mallory@example.org"}`},
			{"PUT", "/api/admin/panel/users/" + in.User.ID.String(), `{"email":"mallory@example.org"}`},
			{"DELETE", "/api/users/me", ""},
			{"GET", "/api/flags/stream", ""}, // which would outlive the key
		} {
			if r := s.do(c[0], c[1], c[2], key); r.status != 403 {
				t.Errorf("%s %s by a key of the role %s: %d %s", c[0], c[1], in.User.Role, r.status, r.text)
			}
		}
	}
	if n := s.count(`SELECT count(*) FROM users WHERE email LIKE 'mallory%' OR NOT is_active`); n != 0 {
		t.Errorf("a key has changed %d accounts", n)
	}
}

func TestAPIKeysAreShownOnceAndEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	in, other := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleViewer)
	key := s.apiKey(in, `"write"`)
	with := header("X-API-Key", key)
	s.want(200, s.do("GET", "/api/auth/me", "", with))
	s.want(401, s.do("GET", "/api/auth/me?token="+key, ""))
	s.want(401, s.do("GET", "/api/auth/me", "", header("X-API-Key", key+"x")))
	for path, method := range map[string]string{
		"/api/users/me/change-password": "POST", "/api/users/me/password": "PUT", "/api/auth/2fa/setup": "POST", "/api/auth/session": "GET",
	} {
		body := ""
		if method != "GET" {
			body = `{"old_password":"x","new_password":"y"}`
		}
		s.want(403, s.do(method, path, body, with))
	}
	list := s.want(200, s.do("GET", "/api/auth/api-keys", "", as(in.Access)))
	rows := list.at("api_keys").([]any)
	row := rows[0].(map[string]any)
	if len(rows) != 1 || strings.Contains(list.text, key) || !strings.HasPrefix(key, row["prefix"].(string)) || row["last_used_at"] == nil {
		t.Errorf("list = %s", list.text)
	}
	s.sql(`UPDATE api_keys SET last_used_at = now() - interval '30 seconds'`)
	s.want(200, s.do("GET", "/api/auth/me", "", with))
	if n := s.count(`SELECT count(*) FROM api_keys WHERE last_used_at < now() - interval '20 seconds'`); n != 1 {
		t.Error("each use is written down")
	}
	for body, want := range map[string]int{
		`{}`:                              422,
		`{"name":""}`:                     422,
		`{"name":"a\nb"}`:                 422,
		`{"name":"a","scopes":["root"]}`:  422,
		`{"name":"a","expires_at":"now"}`: 422,
		`{"name":"a","expires_at":"2020-01-01T00:00:00Z"}`: 422,
		`{"name":"a","expires_in_days":30}`:                201,
	} {
		s.want(want, s.do("POST", "/api/auth/api-keys", body, as(in.Access)))
	}

	path := "/api/auth/api-keys/" + row["id"].(string)
	s.want(404, s.do("DELETE", path, "", as(other.Access)))
	s.want(404, s.do("DELETE", "/api/auth/api-keys/x", "", as(in.Access)))
	s.want(200, s.do("DELETE", path, "", as(in.Access)))
	s.want(401, s.do("GET", "/api/auth/me", "", with))

	expired, orphaned := s.apiKey(in, `"read"`), s.apiKey(other, `"read"`)
	s.sql(`UPDATE api_keys SET expires_at = now() WHERE user_id = $1`, in.User.ID)
	s.want(401, s.do("GET", "/api/auth/me", "", header("X-API-Key", expired)))
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, other.User.ID)
	s.want(401, s.do("GET", "/api/auth/me", "", header("X-API-Key", orphaned)))
}

func TestAPIKeysAreLimitedLikeSessions(t *testing.T) {
	t.Parallel()
	s := start(t, withLimits(t), func(o *httpapi.Options) { o.Rates.Session = voiceassist.Rate{N: 3, Per: time.Hour} })
	in := s.signIn(voiceassist.RoleUser)
	first, second := header("X-API-Key", s.apiKey(in, `"read"`)), header("X-API-Key", s.apiKey(in, `"read"`))
	for range 3 {
		s.want(200, s.do("GET", "/api/auth/me", "", first))
	}
	s.want(429, s.do("GET", "/api/auth/me", "", first))
	s.want(200, s.do("GET", "/api/auth/me", "", second))
}

func TestAnInvitationIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	s := startWith(t, func(o *accounts.Options) { o.Registration = accounts.Invite })
	r := s.want(403, s.do("POST", "/api/auth/register", `{"email":"a@example.org","password":"a long password","full_name":"A"}`))
	if !strings.Contains(r.text, "invitation") {
		t.Errorf("register = %s", r.text)
	}
	admin := s.signIn(voiceassist.RoleAdmin)
	invite := func(body string) response {
		return s.do("POST", "/api/admin/panel/users/invite", body, as(admin.Access))
	}
	s.want(422, invite(`{"email":"no address"}`))
	s.want(422, invite(`{"email":"a@example.org","role":"king"}`))
	s.want(409, invite(`{"email":"admin@example.org"}`))
	sent := s.want(201, invite(`{"email":"Ada@example.org","full_name":"Ada Lovelace","adminRole":"viewer"}`))
	old := s.mails.token(t, 1, voiceassist.MailInvitation, "ada@example.org")
	if strings.Contains(sent.text, old) || sent.at("role") != "viewer" {
		t.Errorf("invite = %s", sent.text)
	}
	s.want(201, invite(`{"email":"ada@example.org","full_name":"Ada Lovelace","role":"viewer"}`))
	token := s.mails.token(t, 2, voiceassist.MailInvitation, "ada@example.org")
	accept := func(token, password string) response {
		return s.do("POST", "/api/auth/accept-invitation", fmt.Sprintf(`{"token":%q,"password":%q}`, token, password), as("stale"))
	}
	s.want(422, accept(old, password))
	s.want(422, accept(token, "short"))
	in := s.want(201, accept(token, password))
	if in.at("email") != "ada@example.org" || in.at("full_name") != "Ada Lovelace" || in.at("admin_role") != "viewer" {
		t.Errorf("accepted = %s", in.text)
	}
	s.want(200, s.do("GET", "/api/admin/kb/jobs", "", as(in.at("access_token").(string))))
	s.want(422, accept(token, password))
	s.want(403, s.do("POST", "/api/admin/panel/users/invite", `{"email":"b@example.org"}`, as(in.at("access_token").(string))))

	s.want(201, invite(`{"email":"late@example.org","full_name":"Late"}`))
	late := s.mails.token(t, 3, voiceassist.MailInvitation, "late@example.org")
	s.sql(`UPDATE invitations SET expires_at = now()`)
	s.want(422, accept(late, password))
	s.mails.down = voiceassist.Errorf(voiceassist.Unavailable, "Mail is not configured")
	s.want(503, invite(`{"email":"c@example.org"}`))
	if s.audited("user.invited") != 3 {
		t.Errorf("%d invitations in the audit log", s.audited("user.invited"))
	}
}

func TestAnAdminSendsAResetLinkAndDoesNotSeeIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	path := "/api/admin/panel/users/" + viewer.User.ID.String() + "/reset-password"
	s.want(403, s.do("POST", path, "", as(viewer.Access)))
	s.want(404, s.do("POST", "/api/admin/panel/users/"+admin.SessionID.String()+"/reset-password", "", as(admin.Access)))
	s.want(404, s.do("POST", "/api/admin/panel/users/x/reset-password", "", as(admin.Access)))
	r := s.want(200, s.do("POST", "/api/admin/users/"+viewer.User.ID.String()+"/reset-password", "", as(admin.Access)))
	token := s.mails.token(t, 1, voiceassist.MailReset, viewer.User.Email)
	if strings.Contains(r.text, token) {
		t.Error("the reply has the link")
	}
	s.want(200, s.do("POST", "/api/auth/reset-password", fmt.Sprintf(`{"token":%q,"password":"another long password"}`, token)))
	s.want(401, s.do("GET", "/api/auth/me", "", as(viewer.Access)))
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, viewer.User.ID)
	s.want(409, s.do("POST", path, "", as(admin.Access)))
}

func TestSignInsAreAuditedOnceEach(t *testing.T) {
	t.Parallel()
	s := start(t)
	registered := s.want(201, s.do("POST", "/api/auth/register", `{"email":"ada@example.org","password":"`+password+`","full_name":"Ada"}`))
	login := s.want(200, s.login("ada@example.org", password))
	s.want(401, s.login("ada@example.org", "not the password"))
	s.want(200, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, login.at("refresh_token"))))
	s.sql(`UPDATE refresh_tokens SET used_at = used_at - interval '1 minute'`)
	s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, login.at("refresh_token"))))
	for range 2 {
		s.want(200, s.do("POST", "/api/auth/logout", "", as(registered.at("access_token").(string))))
	}
	for _, action := range []string{"auth.registered", "auth.login", "auth.login_failed", "auth.refresh_reused", "auth.logout"} {
		if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = $1 AND user_id = $2 AND resource_id = $2::text`, action, registered.at("id")); n != 1 {
			t.Errorf("%d entries of %s about the user, want 1", n, action)
		}
	}
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE details::text ~ 'example'`); n != 0 {
		t.Errorf("%d entries have an address in their details", n)
	}
}
