package httpapi_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
)

func TestBadValuesAreNamedWithoutInternals(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	for name, c := range map[string]struct {
		method, path, body string
		loc                []any
	}{
		"float":             {"POST", "/api/kb/search", `{"query":"x","limit":1e9}`, []any{"body", "limit"}},
		"endless integer":   {"POST", "/api/kb/search", `{"query":"x","limit":99999999999999999999}`, []any{"body", "limit"}},
		"NUL":               {"POST", "/api/kb/search", `{"query":"x\u0000"}`, []any{"body", "query"}},
		"NUL further in":    {"POST", "/api/kb/search", `{"query":"x","filters":{"document_ids":["a","\u0000"]}}`, []any{"body", "filters", "document_ids", "1"}},
		"NUL in a camel":    {"POST", "/api/auth/register", `{"email":"a@b.co","password":"long enough","fullName":"\u0000"}`, []any{"body", "full_name"}},
		"NUL in the query":  {"GET", "/api/conversations?search=%00", "", []any{"query", "search"}},
		"no UTF-8":          {"GET", "/api/conversations?search=%ff%fe", "", []any{"query", "search"}},
		"unknown parameter": {"GET", "/api/conversations?other=%00", "", []any{"query", "other"}},
		"no bool":           {"GET", "/api/conversations?archived=maybe", "", []any{"query", "archived"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.want(422, s.do(c.method, c.path, c.body, as(in.Access)))
			issues, _ := r.at("detail").([]any)
			if len(issues) != 1 {
				t.Fatalf("detail = %s", r.text)
			}
			if diff := cmp.Diff(c.loc, issues[0].(map[string]any)["loc"]); diff != "" {
				t.Errorf("loc (-want +got):\n%s", diff)
			}
			if strings.Contains(r.text, "unmarshal") || strings.Contains(r.text, "of type") {
				t.Errorf("internals: %s", r.text)
			}
		})
	}
	// A backslash before u0000 is no NUL.
	s.want(200, s.do("POST", "/api/kb/search", `{"query":"\\u0000"}`, as(in.Access)))
}

func TestBooleansMayBeWrittenAsEveryLanguagePrintsThem(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	s.want(201, s.do("POST", "/api/conversations", "", as(in.Access)))
	for text, want := range map[string]float64{"true": 0, "True": 0, "1": 0, "false": 1, "False": 1, "0": 1} {
		if r := s.want(200, s.do("GET", "/api/conversations?archived="+text, "", as(in.Access))); r.at("total") != want {
			t.Errorf("archived=%s: %s", text, r.text)
		}
	}
}

func TestAFormFieldMustBeText(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	r := s.want(422, s.upload(admin.Access, "/api/admin/kb/documents", part{"title", "", "a\x00b"}, part{"file", "a.txt", "text"}))
	if r.at("error", "field") != "title" {
		t.Errorf("error = %s", r.text)
	}
	r = s.want(422, s.upload(admin.Access, "/api/admin/kb/documents?category=%00", part{"file", "a.txt", "text"}))
	if r.at("error", "field") != "category" || s.library.uncommitted() != 0 {
		t.Errorf("error = %s", r.text)
	}
}

func TestWhatIsNotHTTPIsNotQuotedInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, request := range map[string]string{
		"bad line":      "GET /ws?token=SECRET\r\n\r\n",
		"long header":   "GET /ws?token=SECRET HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("SECRET", 4000) + "\r\n\r\n",
		"no colon":      "GET / HTTP/1.1\r\nHost: x\r\nCookie SECRET\r\n\r\n",
		"bad length":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: SECRET\r\n\r\n",
		"bad method":    "SECRET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"bad bare line": "SECRET\r\n\r\n",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		head := make([]byte, len("HTTP/1.1 400"))
		if _, err := conn.Read(head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v", name, head, err)
		}
		_ = conn.Close()
	}
	s.stop()
	<-s.served
	if log := s.log.String(); strings.Contains(log, "SECRET") || !strings.Contains(log, "The request is not valid HTTP") || !strings.Contains(log, "too large") {
		t.Errorf("the log is %s", log)
	}
}

func TestDeletingACollectionIsNotAllowed(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, path := range []string{"documents", "jobs", "stats"} {
		r := s.want(405, s.do("DELETE", "/api/admin/kb/"+path, "", as(admin.Access)))
		if allow := r.header.Get("Allow"); !strings.Contains(allow, "GET") || strings.Contains(allow, "DELETE") {
			t.Errorf("%s: Allow %q", path, allow)
		}
	}
	s.want(404, s.do("DELETE", "/api/admin/kb/nonsense", "", as(admin.Access)))
	s.want(401, s.do("DELETE", "/api/admin/kb/6f1d9f3e-9b5a-4b0e-8a68-1d2f3c4b5a69", ""))
}

func TestAFixedPathIsNeverTakenForAnID(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	for request, want := range map[string]string{
		"PATCH /api/users/me":                    "GET, HEAD, PUT, DELETE, OPTIONS",
		"GET /api/conversations/all":             "DELETE, OPTIONS",
		"PUT /v1/api/folders/tree":               "GET, HEAD, OPTIONS",
		"DELETE /api/files/upload/":              "POST, OPTIONS",
		"OPTIONS /api/clinical-contexts/current": "GET, HEAD, OPTIONS",
	} {
		method, path, _ := strings.Cut(request, " ")
		status := map[bool]int{true: 204, false: 405}[method == "OPTIONS"]
		if r := s.want(status, s.do(method, path, "", admin)); r.header.Get("Allow") != want {
			t.Errorf("%s: Allow %q, want %q", request, r.header.Get("Allow"), want)
		}
	}
}

func TestEmptyNumbersAreNoNumbers(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	for _, query := range []string{"/api/conversations?limit=", "/api/conversations?offset", "/v1/kb/documents?pageSize=&page_size=5", "/api/integrations/files/discover?recursive="} {
		if r := s.want(422, s.do("GET", query, "", in)); !strings.Contains(r.text, "must not be empty") {
			t.Errorf("%s: %s", query, r.text)
		}
	}
	s.want(200, s.do("GET", "/api/conversations?limit=5&limit=&search=", "", in))
}

func TestAListThatMustHaveSomethingIsNotNull(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	s.want(422, s.do("POST", "/api/admin/panel/users/bulk", `{"action":"activate","user_ids":null}`, in))
}
