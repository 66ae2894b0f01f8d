package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

func TestAnObjectIsFlatAndInTheEnvelope(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	r := s.want(200, s.do("GET", "/api/auth/me", "", as(in.Access), header("X-Request-ID", "my-request-1")))
	if r.at("success") != true || r.at("error") != nil || r.at("meta", "request_id") != "my-request-1" {
		t.Errorf("envelope = %s", r.text)
	}
	if r.at("metadata", "version") != "2.0.0" || r.at("trace_id") == nil {
		t.Errorf("metadata and trace_id are missing: %s", r.text)
	}
	for _, name := range []string{"id", "email", "full_name", "fullName", "name", "is_active", "isActive", "admin_role", "adminRole", "role", "created_at", "createdAt"} {
		if r.at(name) == nil || r.at(name) != r.at("data", name) {
			t.Errorf("%s: %v at the top, %v in data", name, r.at(name), r.at("data", name))
		}
	}
	for _, path := range [][]string{{"created_at"}, {"timestamp"}, {"meta", "timestamp"}} {
		text, _ := r.at(path...).(string)
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(text) {
			t.Errorf("%v = %q is not RFC 3339 in UTC with milliseconds", path, text)
		}
	}
}

func TestAResourcesOwnTimestampAndMetadataStay(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.want(200, s.do("GET", "/api/health", ""))
	if _, ok := r.at("timestamp").(float64); !ok {
		t.Errorf("timestamp of /health = %v, want seconds as a number", r.at("timestamp"))
	}
	if strings.Count(r.text, `"timestamp"`) != 3 { // top level, data, meta
		t.Errorf("a key stands twice: %s", r.text)
	}
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "a.txt", "Metformin").at("document_id").(string)
	d := s.want(200, s.do("GET", "/api/admin/kb/documents/"+id, "", as(admin.Access)))
	if diff := cmp.Diff(map[string]any{}, d.at("metadata")); diff != "" {
		t.Errorf("metadata of a document (-want +got):\n%s", diff)
	}
}

func TestAListIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, text := range []string{"one", "two", "three"} {
		s.mustUpload(admin.Access, text+".txt", text)
	}
	r := s.want(200, s.do("GET", "/api/admin/kb/documents?offset=1&limit=1", "", as(admin.Access)))
	if r.at("items") != nil {
		t.Error("items stands at the top level beside documents")
	}
	documents, _ := r.at("documents").([]any)
	inData, _ := r.at("data", "documents").([]any)
	items, _ := r.at("data", "items").([]any)
	if len(documents) != 1 || len(inData) != 1 || len(items) != 1 {
		t.Errorf("lists of %d, %d and %d rows, want 1 each", len(documents), len(inData), len(items))
	}
	if r.at("total") != 3.0 || r.at("offset") != 1.0 || r.at("limit") != 1.0 || r.at("data", "total") != 3.0 {
		t.Errorf("page = %s", r.text)
	}
}

func TestPagesAreAskedForInThreeWays(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for query, want := range map[string][2]float64{
		"":                    {0, 20},
		"offset=5&limit=7":    {5, 7},
		"skip=5&limit=7":      {5, 7},
		"page=3&pageSize=7":   {14, 7},
		"page=3&page_size=7":  {14, 7},
		"page=3&limit=7":      {14, 7},
		"limit=1000":          {0, 100},
		"page=2&pageSize=500": {100, 100},
	} {
		r := s.want(200, s.do("GET", "/api/admin/kb/documents?"+query, "", as(admin.Access)))
		if got := [2]float64{r.at("offset").(float64), r.at("limit").(float64)}; got != want {
			t.Errorf("%q: offset and limit %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"limit=abc", "limit=0", "offset=-1", "page=0", "page=99999999999999999999"} {
		s.want(422, s.do("GET", "/api/admin/kb/documents?"+query, "", as(admin.Access)))
	}
}

func TestTheFlatProfileIsWhatTheV1GuidePrints(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.want(201, s.do("POST", "/v1/api/auth/register",
		`{"email":"ada@example.org","password":"`+password+`","first_name":"Ada","last_name":"Lovelace","specialty":"cardiology"}`))
	for _, name := range []string{"success", "data", "meta", "error"} {
		if _, ok := r.json[name]; ok {
			t.Errorf("the flat profile has %s", name)
		}
	}
	if r.at("user", "email") != "ada@example.org" || r.at("access_token") == nil || r.at("expires_in") != 900.0 {
		t.Errorf("reply = %s", r.text)
	}
	admin := s.signIn(voiceassist.RoleAdmin)
	s.mustUpload(admin.Access, "a.txt", "one")
	s.mustUpload(admin.Access, "b.txt", "two")
	for path, total := range map[string]string{"/v1/api/admin/kb/documents?skip=1": "2", "/v1/admin/kb/jobs?limit=1": "2"} {
		list := s.want(200, s.do("GET", path, "", as(admin.Access)))
		var rows []map[string]any
		if err := json.Unmarshal([]byte(list.text), &rows); err != nil || len(rows) != 1 {
			t.Errorf("%s = %s, want an array of one", path, list.text)
		}
		if got := list.header.Get("X-Total-Count"); got != total {
			t.Errorf("%s: X-Total-Count %q, want %s", path, got, total)
		}
	}
	e := s.want(401, s.do("GET", "/v1/api/auth/me", ""))
	want := map[string]any{"detail": "Not authenticated", "code": "UNAUTHORIZED", "message": "Not authenticated"}
	if diff := cmp.Diff(want, e.json); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestErrorsHaveOneShape(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) { o.Searcher = panicker{} })
	user, admin := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleAdmin)
	big := `{"email":"` + strings.Repeat("x", 2<<20) + `"}`
	for name, c := range map[string]struct {
		method, path, body, token string
		status                    int
		code                      string
	}{
		"not JSON":           {"POST", "/api/auth/login", "email=a", "", 400, "VALIDATION_ERROR"},
		"no body":            {"POST", "/api/auth/login", "", "", 400, "VALIDATION_ERROR"},
		"wrong fields":       {"POST", "/api/auth/login", `{"email":1}`, "", 422, "VALIDATION_ERROR"},
		"wrong value":        {"POST", "/api/auth/register", `{"email":"a","password":"b","full_name":"c"}`, "", 422, "VALIDATION_ERROR"},
		"nobody":             {"GET", "/api/auth/me", "", "", 401, "UNAUTHORIZED"},
		"not allowed":        {"GET", "/api/admin/kb/documents", "", user.Access, 403, "FORBIDDEN"},
		"no such route":      {"GET", "/api/nothing", "", "", 404, "NOT_FOUND"},
		"malformed id":       {"GET", "/api/admin/kb/documents/1", "", admin.Access, 404, "NOT_FOUND"},
		"no such document":   {"GET", "/api/admin/kb/documents/6f1d9f3e-9b5a-4b0e-8a68-1d2f3c4b5a69", "", admin.Access, 404, "NOT_FOUND"},
		"wrong method":       {"DELETE", "/health", "", "", 405, "METHOD_NOT_ALLOWED"},
		"unknown method":     {"BREW", "/health", "", "", 405, "METHOD_NOT_ALLOWED"},
		"wrong state":        {"POST", "/api/admin/kb/jobs/6f1d9f3e-9b5a-4b0e-8a68-1d2f3c4b5a69/retry", "", admin.Access, 409, "CONFLICT"},
		"too large":          {"POST", "/api/auth/login", big, "", 413, "PAYLOAD_TOO_LARGE"},
		"panic":              {"POST", "/api/kb/search", `{"query":"x"}`, user.Access, 500, "INTERNAL_ERROR"},
		"NUL in a parameter": {"POST", "/api/auth/register", `{"email":"a@example.org","password":"` + password + `","full_name":"\u0000"}`, "", 422, "VALIDATION_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			with := []func(*http.Request){header("Origin", "http://localhost:5173"), header("X-Correlation-ID", "c-1")}
			if c.token != "" {
				with = append(with, as(c.token))
			}
			r := s.want(c.status, s.do(c.method, c.path, c.body, with...))
			if r.at("success") != false || r.at("error", "code") != c.code || r.at("error", "message") == "" || r.at("detail") == nil {
				t.Errorf("body = %s", r.text)
			}
			if _, hasData := r.json["data"]; !hasData || r.at("trace_id") == "" || r.at("meta", "request_id") != r.header.Get("X-Request-ID") {
				t.Errorf("body = %s", r.text)
			}
			if issues, isArray := r.at("detail").([]any); isArray != (c.status == 422) {
				t.Errorf("detail = %v", issues)
			}
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin": "http://localhost:5173",
				"X-Content-Type-Options":      "nosniff",
				"X-Correlation-Id":            "c-1",
				"Content-Type":                "application/json; charset=utf-8",
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if c.status == 401 && r.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 without WWW-Authenticate")
			}
			if c.status == 500 && strings.Contains(r.text, "secret detail") {
				t.Errorf("the client was told the cause: %s", r.text)
			}
		})
	}
	if !strings.Contains(s.log.String(), "secret detail") {
		t.Error("the cause of a 500 is not in the log")
	}
}

func TestIssuesNameTheFieldAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.want(422, s.do("POST", "/api/auth/login", `{"email":5}`))
	want := []any{
		map[string]any{"loc": []any{"body", "email"}, "msg": "expected string", "type": "value_error"},
		map[string]any{"loc": []any{"body", "password"}, "msg": "Field required", "type": "missing"},
	}
	if diff := cmp.Diff(want, r.at("detail")); diff != "" {
		t.Errorf("detail (-want +got):\n%s", diff)
	}
	r = s.want(422, s.do("POST", "/api/auth/register", `{"email":"a@example.org","password":"short","fullName":"A"}`))
	want = []any{map[string]any{"loc": []any{"body", "password"}, "msg": "password must be at least 8 characters long", "type": "value_error"}}
	if diff := cmp.Diff(want, r.at("detail")); diff != "" {
		t.Errorf("detail (-want +got):\n%s", diff)
	}
	if r.at("error", "field") != "password" {
		t.Errorf("field = %v", r.at("error", "field"))
	}
}

func TestBodiesMayBeInEitherCasingAndSayMoreThanWeKnow(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.want(201, s.do("POST", "/api/auth/register",
		`{"email":"ada@example.org","password":"`+password+`","firstName":"Ada","lastName":"Lovelace","rememberMe":true}`,
		header("Content-Type", "text/plain")))
	if r.at("full_name") != "Ada Lovelace" {
		t.Errorf("full_name = %v", r.at("full_name"))
	}
}

func TestAliasesAndTrailingSlashesReachTheSameRoutes(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, path := range []string{
		"/health", "/health/", "/api/health", "/api/api/health/", "/v1/health", "/v1/api/health", "/v1/api/live/", "/api/ready",
		"/api/metrics", "/api/openapi.json", "/admin/kb/documents", "/api/api/admin/kb/documents/", "/kb/documents", "/v1/admin/kb/stats", "/",
	} {
		s.want(200, s.do("GET", path, "", as(admin.Access)))
	}
	for _, path := range []string{"/v10/health", "/healthy", "/administrator", "/api/apitest/health"} {
		s.want(404, s.do("GET", path, "", as(admin.Access)))
	}
}

func TestPreflightsLetConfiguredOriginsIn(t *testing.T) {
	t.Parallel()
	s := start(t)
	ask := func(origin string) response {
		return s.want(204, s.do("OPTIONS", "/api/auth/login", "", header("Origin", origin),
			header("Access-Control-Request-Method", "POST"), header("Access-Control-Request-Headers", "content-type,x-anything")))
	}
	r := ask("https://admin.asimo.io")
	if r.header.Get("Access-Control-Allow-Origin") != "https://admin.asimo.io" || r.header.Get("Access-Control-Allow-Credentials") != "true" ||
		r.header.Get("Access-Control-Allow-Headers") != "content-type,x-anything" || !strings.Contains(r.header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("preflight of a configured origin = %v", r.header)
	}
	if r := ask("https://evil.example"); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a stranger's origin is allowed")
	}
}

func TestTracesGoOn(t *testing.T) {
	t.Parallel()
	s := start(t)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	r := s.do("GET", "/health", "", header("traceparent", "00-"+trace+"-00f067aa0ba902b7-01"))
	if got := r.header.Get("traceparent"); !strings.HasPrefix(got, "00-"+trace+"-") || strings.Contains(got, "00f067aa0ba902b7") || !strings.HasSuffix(got, "-01") {
		t.Errorf("traceparent = %q", got)
	}
	if r.at("trace_id") != trace {
		t.Errorf("trace_id = %v", r.at("trace_id"))
	}
	r = s.do("GET", "/health", "", header("X-Request-ID", `"}injected`), header("traceparent", "nonsense"))
	if r.json == nil || strings.Contains(r.text, "injected") || len(r.at("trace_id").(string)) != 32 {
		t.Errorf("reply = %s", r.text)
	}
}

func TestOneLogEventPerRequestWithoutTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	s.do("GET", "/api/kb/documents/"+in.User.ID.String()+"?token="+in.Access, "", as(in.Access), header("X-Request-ID", "the-one"))
	var events []map[string]any
	for line := range strings.Lines(s.log.String()) {
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) == nil && event["request_id"] == "the-one" {
			events = append(events, event)
		}
	}
	if len(events) != 1 {
		t.Fatalf("%d events for one request", len(events))
	}
	e := events[0]
	if e["route"] != "/api/kb/documents/{id}" || e["status"] != 404.0 || e["user_id"] != in.User.ID.String() || e["error"] == nil || e["took"] == nil {
		t.Errorf("event = %v", e)
	}
	if strings.Contains(s.log.String(), in.Access) {
		t.Error("a token is in the log")
	}
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.want(200, s.do("HEAD", "/health", ""))
	if r.text != "" || r.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD = %q, %v", r.text, r.header)
	}
}

func TestReadySaysWhichDependencyIsMissing(t *testing.T) {
	t.Parallel()
	up := func(context.Context) error { return nil }
	down := func(context.Context) error { return voiceassist.Errorf(voiceassist.Unavailable, "gone") }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	s := start(t, func(o *httpapi.Options) {
		o.Checks = map[string]func(context.Context) error{"postgres": up, "redis": hangs, "qdrant": up, "nextcloud": down}
		o.Optional = []string{"nextcloud"}
	})
	begin := time.Now()
	r := s.want(503, s.do("GET", "/ready", ""))
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	want := map[string]any{"postgres": true, "redis": false, "qdrant": true, "nextcloud": false}
	if diff := cmp.Diff(want, r.at("checks")); diff != "" || r.at("status") != "not_ready" {
		t.Errorf("reply = %s", r.text)
	}
	ready := start(t, func(o *httpapi.Options) {
		o.Checks = map[string]func(context.Context) error{"postgres": up, "nextcloud": down}
		o.Optional = []string{"nextcloud"}
	})
	if r := ready.want(200, ready.do("GET", "/ready", "")); r.at("status") != "ready" || r.at("checks", "nextcloud") != false {
		t.Errorf("reply = %s", r.text)
	}
}
