package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

func credentials(email string) string {
	return fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)
}

func TestRegisterLoginRefreshAndLogout(t *testing.T) {
	t.Parallel()
	s := start(t)
	registered := s.want(201, s.do("POST", "/api/auth/register",
		`{"email":"ada@example.org","password":"`+password+`","full_name":"Ada Lovelace"}`, as("stale")))
	for _, path := range [][]string{{"id"}, {"user", "id"}, {"data", "id"}, {"data", "user", "firstName"}, {"access_token"}, {"refresh_token"}, {"created_at"}} {
		if registered.at(path...) == nil {
			t.Errorf("registration lacks %v: %s", path, registered.text)
		}
	}
	if registered.at("is_admin") != false || registered.at("admin_role") != "user" || registered.at("is_active") != true {
		t.Errorf("registration = %s", registered.text)
	}
	s.want(409, s.do("POST", "/api/auth/register", `{"email":"ADA@example.org","password":"`+password+`","full_name":"Eve"}`))

	s.want(401, s.do("POST", "/api/auth/login", `{"email":"ada@example.org","password":"not the password"}`))
	login := s.want(200, s.do("POST", "/api/auth/login", credentials("ada@example.org"), as("stale")))
	if login.at("token_type") != "bearer" || login.at("expires_in") != 900.0 || login.at("refresh_expires_in") != 604800.0 || login.at("role") != "user" {
		t.Errorf("login = %s", login.text)
	}
	refreshed := s.want(200, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, login.at("refresh_token")), as("stale")))
	access := refreshed.at("access_token").(string)
	if r := s.want(200, s.do("GET", "/api/auth/me", "", as(access))); r.at("email") != "ada@example.org" || r.at("last_login") == nil {
		t.Errorf("me = %s", r.text)
	}

	out := s.want(200, s.do("POST", "/api/auth/logout", "", as(access)))
	if out.at("message") != "Successfully logged out" {
		t.Errorf("logout = %s", out.text)
	}
	s.want(401, s.do("GET", "/api/auth/me", "", as(access)))
	s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, refreshed.at("refresh_token"))))
	s.want(200, s.do("POST", "/api/auth/logout", fmt.Sprintf(`{"refresh_token":%q}`, registered.at("refresh_token"))))
	s.want(401, s.do("GET", "/api/auth/me", "", as(registered.at("access_token").(string))))
	s.want(401, s.do("POST", "/api/auth/logout", ""))
}

func TestAnInactiveAccountIsShutOutAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, in.User.ID)
	s.want(401, s.do("GET", "/api/auth/me", "", as(in.Access)))
	s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh)))
	s.want(403, s.do("POST", "/api/auth/login", credentials(in.User.Email)))
	s.want(401, s.do("POST", "/api/auth/login", `{"email":"user@example.org","password":"not the password"}`))
}

func TestAViewerReadsAndAnAdminChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	user, viewer, admin := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleViewer), s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "a.txt", "Metformin").at("document_id").(string)
	for path, want := range map[string][3]int{ // user, viewer, admin
		"GET /api/kb/documents":                              {200, 200, 200},
		"GET /api/kb/documents/" + id:                        {200, 200, 200},
		"GET /api/kb/documents/" + id + "/text?page=1":       {200, 200, 200},
		"GET /api/admin/kb/documents":                        {403, 200, 200},
		"GET /api/admin/kb/documents/" + id:                  {403, 200, 200},
		"GET /api/admin/kb/documents/" + id + "/passages":    {403, 200, 200},
		"GET /api/admin/kb/documents/" + id + "/file":        {403, 200, 200},
		"GET /api/admin/kb/jobs":                             {403, 200, 200},
		"GET /api/admin/kb/stats":                            {403, 200, 200},
		"POST /api/admin/kb/documents/" + id + "/reindex":    {403, 403, 202},
		"POST /api/admin/kb/reindex":                         {403, 403, 202},
		"DELETE /api/admin/kb/documents/" + id[:35] + "0000": {403, 403, 404},
	} {
		method, target, _ := strings.Cut(path, " ")
		for i, in := range []voiceassist.SignIn{user, viewer, admin} {
			if r := s.do(method, target, "", as(in.Access)); r.status != want[i] {
				t.Errorf("%s as %s: %d, want %d: %s", path, in.User.Email, r.status, want[i], r.text)
			}
		}
	}
	s.setRole(viewer, voiceassist.RoleUser)
	s.want(403, s.do("GET", "/api/admin/kb/jobs", "", as(viewer.Access)))
}

// cookieOf returns the session cookie that a reply sets.
func cookieOf(t *testing.T, r response) *http.Cookie {
	t.Helper()
	resp := http.Response{Header: r.header}
	for _, c := range resp.Cookies() {
		if c.Name == "va_session" {
			return c
		}
	}
	t.Fatalf("no session cookie in %v", r.header)
	return nil
}

func TestTheSessionCookieOpensDownloadsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "Übersicht \"1\".html", "<script>alert(1)</script>").at("document_id").(string)
	login := s.want(200, s.do("POST", "/api/auth/login", credentials(admin.User.Email)))
	c := cookieOf(t, login)
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.MaxAge != 604800 {
		t.Errorf("cookie = %+v", c)
	}
	cookie := header("Cookie", c.Name+"="+c.Value)
	file := "/api/admin/kb/documents/" + id + "/file"

	r := s.want(200, s.do("GET", file, "", cookie, header("Sec-Fetch-Site", "same-origin")))
	if r.text != "<script>alert(1)</script>" {
		t.Errorf("file = %q", r.text)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"Content-Disposition":     "attachment; filename*=utf-8''%C3%9Cbersicht%20%221%22.html",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	s.want(403, s.do("GET", file, "", cookie, header("Origin", "https://evil.example")))
	s.want(403, s.do("GET", file, "", cookie, header("Sec-Fetch-Site", "cross-site")))
	s.want(200, s.do("GET", file, "", cookie, header("Origin", "http://localhost:5174")))
	s.want(401, s.do("GET", "/api/auth/me", "", cookie))
	s.want(401, s.do("DELETE", "/api/admin/kb/documents/"+id, "", cookie))

	out := s.want(200, s.do("POST", "/api/auth/logout", "", as(login.at("access_token").(string))))
	if gone := cookieOf(t, out); gone.Value != "" || gone.Expires.After(time.Now()) {
		t.Errorf("cookie after logout = %+v", gone)
	}
	s.want(401, s.do("GET", file, "", cookie))

	behindProxy := start(t, func(o *httpapi.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	in := behindProxy.signIn(voiceassist.RoleUser)
	secure := behindProxy.want(200, behindProxy.do("POST", "/api/auth/login", credentials(in.User.Email), header("X-Forwarded-Proto", "https")))
	if !cookieOf(t, secure).Secure || secure.header.Get("Strict-Transport-Security") == "" {
		t.Error("a cookie given over https may travel over http")
	}
	stranger := s.do("POST", "/api/auth/login", credentials(admin.User.Email), header("Origin", "https://evil.example"))
	if len(stranger.header.Values("Set-Cookie")) != 0 {
		t.Error("a stranger's page signs the browser in")
	}
}

// jobsPage stands for asynqmon.
func jobsPage(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
}

func TestTheJobsPageTakesActionsFromItsOwnOriginAlone(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) { o.JobsUI = http.HandlerFunc(jobsPage) })
	cookieFor := func(in voiceassist.SignIn) func(*http.Request) { return header("Cookie", "va_session="+in.Cookie) }
	user, viewer, admin := cookieFor(s.signIn(voiceassist.RoleUser)), cookieFor(s.signIn(voiceassist.RoleViewer)), cookieFor(s.signIn(voiceassist.RoleAdmin))
	own := header("Sec-Fetch-Site", "same-origin")
	action := "/api/admin/jobs/api/queues/default:pause"

	s.want(401, s.do("GET", "/api/admin/jobs/", ""))
	s.want(403, s.do("GET", "/api/admin/jobs/", "", user))
	r := s.want(200, s.do("GET", "/admin/jobs/queues/default", "", viewer))
	if r.text != "GET /api/admin/jobs/queues/default " {
		t.Errorf("page = %q", r.text)
	}
	if csp := r.header.Get("Content-Security-Policy"); !strings.Contains(csp, "'unsafe-inline'") || strings.Contains(csp, "http") {
		t.Errorf("CSP of the page = %q", csp)
	}
	s.want(403, s.do("POST", action, "", viewer, own))
	if r := s.want(200, s.do("POST", action, `{"a":1}`, admin, own)); r.text != `POST `+action+` {"a":1}` {
		t.Errorf("action = %q", r.text)
	}
	s.want(200, s.do("DELETE", action, "", admin, header("Origin", s.url)))
	s.want(403, s.do("POST", action, "", admin))
	s.want(403, s.do("POST", action, "", admin, header("Sec-Fetch-Site", "same-site")))
	s.want(403, s.do("POST", action, "", admin, header("Origin", "http://localhost:5173")))
	s.want(403, s.do("GET", "/api/admin/jobs/", "", admin, header("Sec-Fetch-Site", "cross-site")))
}

func TestLimitedRepliesSayWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := start(t, withLimits(t))
	for i := range 5 {
		r := s.want(201, s.do("POST", "/api/auth/register", fmt.Sprintf(`{"email":"a%d@example.org","password":%q,"full_name":"A"}`, i, password)))
		if r.header.Get("X-RateLimit-Limit") != "5" || r.header.Get("X-RateLimit-Remaining") != strconv.Itoa(4-i) {
			t.Errorf("registration %d: %v", i+1, r.header)
		}
	}
	r := s.want(429, s.do("POST", "/api/auth/register", `{}`))
	reset, err := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || reset <= time.Now().Unix() || reset > time.Now().Add(time.Hour).Unix()+1 {
		t.Errorf("X-RateLimit-Reset = %q", r.header.Get("X-RateLimit-Reset"))
	}
	if after, _ := strconv.Atoi(r.header.Get("Retry-After")); after < 600 || after > 720 || r.at("error", "code") != "RATE_LIMITED" {
		t.Errorf("Retry-After %q: %s", r.header.Get("Retry-After"), r.text)
	}
	login := s.want(200, s.do("POST", "/api/auth/login", credentials("a1@example.org")))
	if login.header.Get("X-RateLimit-Limit") != "10" {
		t.Errorf("login is counted with registrations: %v", login.header)
	}
	me := s.want(200, s.do("GET", "/api/auth/me", "", as(login.at("access_token").(string))))
	if me.header.Get("X-RateLimit-Limit") != "6000" {
		t.Errorf("a session's limit is %q", me.header.Get("X-RateLimit-Limit"))
	}
}

func TestRefreshesAreLimitedPerFamily(t *testing.T) {
	t.Parallel()
	s := start(t, withLimits(t), func(o *httpapi.Options) {
		o.Rates.Refresh = voiceassist.Rate{N: 2, Per: time.Hour}
	})
	first, second := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleAdmin)
	refresh := func(in voiceassist.SignIn) response {
		return s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh))
	}
	s.want(200, refresh(first))
	s.want(200, refresh(first))
	s.want(429, refresh(first))
	s.want(200, refresh(second))
}

func TestForwardedAddressesCountOnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	once := func(o *httpapi.Options) {
		o.Rates.Anonymous = voiceassist.Rate{N: 1, Per: time.Hour}
	}
	from := func(s *suite, forwarded string) int {
		return s.do("GET", "/", "", header("X-Forwarded-For", forwarded)).status
	}
	direct := start(t, withLimits(t), once)
	if from(direct, "192.0.2.1") != 200 || from(direct, "192.0.2.2") != 429 {
		t.Error("a client chooses its own address")
	}
	proxied := start(t, withLimits(t), once, func(o *httpapi.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	for forwarded, want := range map[string]int{
		"192.0.2.1, 10.1.2.3": 200, // the client behind two proxies
		"2001:db8::1":         200,
	} {
		if got := from(proxied, forwarded); got != want {
			t.Errorf("%s: %d, want %d", forwarded, got, want)
		}
	}
	for _, forwarded := range []string{"203.0.113.9, 192.0.2.1", "2001:db8::2"} { // a made-up hop; the same /64
		if got := from(proxied, forwarded); got != 429 {
			t.Errorf("%s: %d, want 429", forwarded, got)
		}
	}
}

func TestStrangersOfOneAddressDoNotUseUpWhatSessionsMay(t *testing.T) {
	t.Parallel()
	s := start(t, withLimits(t), func(o *httpapi.Options) {
		o.Assistant = &assistant{}
		o.Rates.Anonymous = voiceassist.Rate{N: 2, Per: time.Hour}
	})
	in := s.signIn(voiceassist.RoleUser)
	for i := range 2 {
		s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":"junk%d"}`, i)))
	}
	s.want(429, s.do("POST", "/api/auth/refresh", `{"refresh_token":"junk"}`))
	s.want(429, s.do("POST", "/api/auth/logout", "", as("junk")))
	upgrade := []func(*http.Request){
		header("Connection", "Upgrade"), header("Upgrade", "websocket"), header("Sec-WebSocket-Version", "13"), header("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
	}
	s.want(429, s.do("GET", "/ws?token=junk", "", upgrade...))

	for range 3 {
		s.connect(in)
	}
	in, err := s.accounts.Login(t.Context(), in.User.Email, password)
	if err != nil {
		t.Fatal(err)
	}
	s.want(200, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh)))
	s.want(200, s.do("POST", "/api/auth/logout", "", as(in.Access)))
	s.want(200, s.do("POST", "/api/auth/logout", fmt.Sprintf(`{"refresh_token":%q}`, in.Refresh)))
}

func TestErrorsOfTheJobsPageHaveOurShape(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) {
		o.JobsUI = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.URL.Query().Get("e"), http.StatusInternalServerError)
		})
	})
	admin := s.signIn(voiceassist.RoleAdmin)
	for text, want := range map[string]int{
		`queue "default" is already paused`:     409,
		`queue "default" is not paused`:         409,
		"dial tcp 10.0.0.7: connection refused": 500,
	} {
		r := s.want(want, s.do("POST", "/api/admin/jobs/api/queues/default:pause?e="+url.QueryEscape(text), "", as(admin.Access)))
		if r.at("success") != false || r.at("error", "code") == nil || strings.Contains(r.text, "10.0.0.7") {
			t.Errorf("%s: %s", text, r.text)
		}
	}
	if !strings.Contains(s.log.String(), "10.0.0.7") {
		t.Error("the cause of a 500 is not in the log")
	}
}
