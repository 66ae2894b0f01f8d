package httpapi_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// auditEntry adds an entry to the audit log as somebody.
func (s *suite) auditEntry(who voiceassist.SignIn, e voiceassist.AuditEntry) {
	s.t.Helper()
	ctx := voiceassist.WithActor(s.t.Context(), voiceassist.Actor{UserID: who.User.ID, Email: who.User.Email, IP: "192.0.2.7", RequestID: "r-7"})
	if err := s.db.Audit(ctx, e); err != nil {
		s.t.Fatal(err)
	}
}

// actions returns those of the audit log, oldest first.
func (s *suite) actions(f voiceassist.AuditFilter) (actions []string) {
	s.t.Helper()
	for r, err := range s.db.EachAudit(s.t.Context(), f) {
		if err != nil {
			s.t.Fatal(err)
		}
		actions = append(actions, r.Action)
	}
	return actions
}

func TestTheAuditLogIsListedAndFiltered(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	s.auditEntry(admin, voiceassist.AuditEntry{Action: "user.created", ResourceType: "user", ResourceID: "7", Details: map[string]any{"by": "hand"}})
	s.auditEntry(viewer, voiceassist.AuditEntry{Action: "user.role_changed", Level: voiceassist.AuditWarning, Failed: true})
	s.auditEntry(admin, voiceassist.AuditEntry{Action: "users.listed"})
	today := time.Now().UTC().Format(time.DateOnly)
	for query, want := range map[string]string{
		"resource_type=user&action=user*":                "user.created",
		"action=user.created":                            "user.created",
		"action=user.*":                                  "user.role_changed user.created",
		"action=user.":                                   "user.role_changed user.created",
		"action=user*":                                   "users.listed user.role_changed user.created",
		"action=user":                                    "",
		"action=user*&level=warning":                     "user.role_changed",
		"action=user*&success=false":                     "user.role_changed",
		"action=user*&user_id=" + admin.User.ID.String(): "users.listed user.created",
		"action=user*&resource_id=7":                     "user.created",
		"action=user*&limit=1":                           "users.listed",
		"action=user*&limit=1&page=3":                    "user.created",
		"action=user*&limit=1&offset=1":                  "user.role_changed",
		"action=user*&from=" + today + "&to=" + today:    "users.listed user.role_changed user.created",
		"action=user*&to=2020-01-01":                     "",
		"action=user*&from=2020-01-01T00:00:00+02:00":    "users.listed user.role_changed user.created",
	} {
		r := s.want(200, s.do("GET", "/api/admin/panel/audit-logs?"+query, "", as(viewer.Access)))
		var actions []string
		for _, row := range r.at("logs").([]any) {
			actions = append(actions, row.(map[string]any)["action"].(string))
		}
		if got := strings.Join(actions, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"level=fatal", "success=maybe", "from=yesterday", "to=2020-13-01", "page=0", "offset=-1", "action=%00", "limit=x"} {
		s.want(422, s.do("GET", "/api/admin/panel/audit-logs?"+query, "", as(admin.Access)))
	}
	s.want(404, s.do("GET", "/api/admin/panel/audit-logs?user_id=7", "", as(admin.Access)))

	row := s.want(200, s.do("GET", "/api/admin/audit-logs?action=user.created", "", as(viewer.Access))).at("data", "logs").([]any)[0].(map[string]any)
	for name, want := range map[string]any{
		"user_email": "admin@example.org", "userEmail": "admin@example.org", "ip_address": "192.0.2.7", "request_id": "r-7",
		"level": "info", "success": true, "seq": nil, "resource_type": "user", "resourceId": "7",
	} {
		if row[name] != want {
			t.Errorf("%s is %v, want %v", name, row[name], want)
		}
	}
	flat := s.want(200, s.do("GET", "/v1/admin/audit-logs?action=user*", "", as(admin.Access)))
	if flat.at("total") != 3.0 || flat.at("data") != nil {
		t.Errorf("flat: %s", flat.text)
	}
}

func TestTheAuditLogIsForTheAdminPanelOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	user := s.signIn(voiceassist.RoleUser)
	for _, path := range []string{
		"/api/admin/panel/audit-logs", "/api/admin/panel/audit-logs/export", "/api/admin/panel/audit-logs/verify",
		"/api/admin/kb/documents/" + uuid.NewString() + "/audit", "/api/admin/system/resources", "/api/admin/system/health",
		"/api/admin/services/status", "/api/admin/health/services", "/api/admin/health/dependencies",
	} {
		s.want(401, s.do("GET", path, ""))
		s.want(403, s.do("GET", path, "", as(user.Access)))
	}
}

func TestTheChainIsVerifiedOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for range 3 {
		s.auditEntry(admin, voiceassist.AuditEntry{Action: "test.done"})
	}
	if _, err := s.db.ChainAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	const path = "/api/admin/panel/audit-logs/verify"
	whole := s.want(200, s.do("GET", path, "", as(admin.Access)))
	n := whole.at("checked").(float64)
	if whole.at("valid") != true || whole.at("complete") != true || n < 3 || whole.at("head", "seq") != n || len(whole.at("head", "hash").(string)) != 64 {
		t.Errorf("verify: %s", whole.text)
	}
	part := s.want(200, s.do("GET", path+"?limit=2", "", as(admin.Access)))
	if part.at("valid") != true || part.at("complete") != false || part.at("next_seq") != 3.0 || part.at("checked") != 2.0 {
		t.Errorf("a part: %s", part.text)
	}
	s.want(200, s.do("GET", path+"?from_seq=3", "", as(admin.Access)))
	s.want(422, s.do("GET", path+"?from_seq=99", "", as(admin.Access)))
	s.want(422, s.do("GET", path+"?from_seq=0", "", as(admin.Access)))

	s.sql(`ALTER TABLE audit_entries DISABLE TRIGGER USER`)
	s.sql(`UPDATE audit_entries SET action = 'test.undone' WHERE seq = 2`)
	bad := s.want(200, s.do("GET", path, "", as(admin.Access)))
	if bad.at("valid") != false || bad.at("complete") != false || bad.at("first_bad", "seq") != 2.0 || bad.at("first_bad", "id") == nil || bad.at("first_bad", "why") == "" {
		t.Errorf("after tampering: %s", bad.text)
	}
}

func TestTheExportIsSafeToOpenInASpreadsheet(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	ids := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", " =1", "plain", `a "quoted", cell`, "two\nlines"}
	for _, id := range ids {
		s.auditEntry(admin, voiceassist.AuditEntry{Action: "test.done", ResourceType: "x", ResourceID: id, Email: "=cmd|'/c calc'!A1"})
	}
	cookie := header("Cookie", "va_session="+admin.Cookie)
	r := s.want(200, s.do("GET", "/api/admin/panel/audit-logs/export?format=csv&resource_type=x", "", cookie))
	if got := r.header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename=audit-logs-") || !strings.HasSuffix(got, ".csv") {
		t.Errorf("Content-Disposition: %s", got)
	}
	if got := r.header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("Content-Type: %s", got)
	}
	rows, err := csv.NewReader(strings.NewReader(r.text)).ReadAll()
	if err != nil || len(rows) != len(ids)+1 {
		t.Fatalf("%d rows, %v:\n%s", len(rows), err, r.text)
	}
	want := []string{"'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "' =1", "plain", `a "quoted", cell`, "two\nlines"}
	for i, row := range rows[1:] {
		if row[7] != want[i] || !strings.HasPrefix(row[5], "'=cmd") {
			t.Errorf("row %d: resource %q, want %q; email %q", i, row[7], want[i], row[5])
		}
	}
	var list []map[string]any
	r = s.want(200, s.do("GET", "/api/admin/panel/audit-logs/export?format=json&resource_type=x", "", cookie))
	if err := json.Unmarshal([]byte(r.text), &list); err != nil || len(list) != len(ids) || list[0]["resource_id"] != "=1+1" {
		t.Errorf("%d objects, %v", len(list), err)
	}
	r = s.want(200, s.do("GET", "/api/admin/panel/audit-logs/export?resource_type=none", "", cookie))
	if r.text != strings.Join(rows[0], ",")+"\n" {
		t.Errorf("an empty export is %q, want the header", r.text)
	}
	r = s.want(200, s.do("GET", "/api/admin/panel/audit-logs/export?format=json&resource_type=none", "", cookie))
	if r.text != "[]\n" {
		t.Errorf("an empty export is %q", r.text)
	}
	s.want(422, s.do("GET", "/api/admin/panel/audit-logs/export?format=xlsx", "", cookie))
	s.want(422, s.do("GET", "/api/admin/panel/audit-logs/export?level=x", "", cookie))
	if got := s.actions(voiceassist.AuditFilter{Action: "audit.exported"}); len(got) != 4 {
		t.Errorf("%d exports are audited, want 4", len(got))
	}
}

// auditLog is embedded under a name that is no method's.
type auditLog = httpapi.Audit

// endless is an audit log without an end, or one that breaks.
type endless struct {
	auditLog
	rows  int           // until it breaks
	made  atomic.Int64  // so many so far
	ended chan struct{} // closed when nobody reads any more
}

func (e *endless) EachAudit(ctx context.Context, _ voiceassist.AuditFilter) iter.Seq2[voiceassist.AuditRecord, error] {
	return func(yield func(voiceassist.AuditRecord, error) bool) {
		defer close(e.ended)
		record := voiceassist.AuditRecord{ID: uuid.New(), At: time.Now(), AuditEntry: voiceassist.AuditEntry{Action: strings.Repeat("x", 300)}}
		for range e.rows {
			e.made.Add(1)
			if ctx.Err() != nil || !yield(record, nil) {
				return
			}
		}
		yield(voiceassist.AuditRecord{}, errors.New("the database went away"))
	}
}

func startEndless(t *testing.T, rows int) (*suite, *endless, string) {
	t.Helper()
	e := &endless{rows: rows, ended: make(chan struct{})}
	s := start(t, func(o *httpapi.Options) { e.auditLog, o.Audit = o.Audit, e })
	return s, e, s.signIn(voiceassist.RoleAdmin).Access
}

func (s *suite) openExport(token string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/api/admin/panel/audit-logs/export", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	as(token)(req)
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func TestAnExportThatFailsHalfWayIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	s, e, token := startEndless(t, 1000)
	resp := s.openExport(token)
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading ends with %v, want an unexpected end", err)
	}
	<-e.ended
}

func TestAClientThatLeavesEndsItsExport(t *testing.T) {
	t.Parallel()
	s, e, token := startEndless(t, 1<<40)
	resp := s.openExport(token)
	if _, err := io.ReadFull(resp.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-e.ended
}

// TestAnExportKeepsLittleInMemory looks at the heap, so it runs alone.
func TestAnExportKeepsLittleInMemory(t *testing.T) {
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	const n = 40_000
	s.sql(fmt.Sprintf(`
		INSERT INTO audit_entries (id, level, action, details, resource_type)
		SELECT gen_random_uuid(), 'info', 'test.done', jsonb_build_object('n', n, 'text', repeat('x', 200)), 'many'
		FROM generate_series(1, %d) n`, n))
	runtime.GC()
	var before, now, peak runtime.MemStats
	runtime.ReadMemStats(&before)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/admin/panel/audit-logs/export?resource_type=many", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	as(admin.Access)(req)
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines, size := 0, 0
	for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); lines++ {
		size += len(scanner.Bytes())
		if lines%10_000 == 0 {
			runtime.GC()
			if runtime.ReadMemStats(&now); now.HeapAlloc > peak.HeapAlloc {
				peak = now
			}
		}
	}
	if lines != n+1 {
		t.Errorf("%d lines, want %d and the header", lines, n)
	}
	grown := int64(peak.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("an export of %d MB held %d KB", size>>20, grown>>10)
	if grown > int64(size)/2 {
		t.Errorf("an export of %d bytes held %d", size, grown)
	}
}

func TestReadingADocumentIsAudited(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleUser)
	id := s.mustUpload(admin.Access, "a.txt", "Metformin").at("id").(string)
	about := voiceassist.AuditFilter{ResourceType: "document", ResourceID: id}
	for range 3 {
		s.want(200, s.do("GET", "/api/kb/documents/"+id+"/text?page=1", "", as(user.Access)))
		s.want(200, s.do("GET", "/api/admin/kb/documents/"+id+"/passages", "", as(admin.Access)))
	}
	s.want(404, s.do("GET", "/api/kb/documents/"+id+"/text?page=9", "", as(user.Access)))
	for range 2 {
		s.want(200, s.do("GET", "/api/admin/kb/documents/"+id+"/file", "", as(admin.Access)))
	}
	if got := strings.Join(s.actions(about), " "); got != "document.read document.read document.downloaded document.downloaded" {
		t.Errorf("audited %q", got)
	}
	about.UserID = user.User.ID
	if got := s.actions(about); len(got) != 1 {
		t.Errorf("the user's reading is audited %d times, want once", len(got))
	}
	r := s.want(200, s.do("GET", "/api/admin/kb/documents/"+id+"/audit?limit=2", "", as(admin.Access)))
	if r.at("document_id") != id || len(r.at("logs").([]any)) != 2 || r.at("total") != 4.0 || r.at("data", "jobs") == nil {
		t.Errorf("history: %s", r.text)
	}
	s.want(404, s.do("GET", "/api/admin/kb/documents/"+uuid.NewString()+"/audit", "", as(admin.Access)))
	s.want(404, s.do("GET", "/api/admin/kb/documents/x/audit", "", as(admin.Access)))
}

func TestNothingIsShownThatCannotBeAudited(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) {
		o.Audit = refusing{o.Audit}
		o.JobsUI = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asynqmon was asked to act") })
	})
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "a.txt", "Metformin").at("id").(string)
	for _, path := range []string{
		"/api/kb/documents/" + id + "/text", "/api/admin/kb/documents/" + id + "/passages", "/api/admin/kb/documents/" + id + "/file",
		"/api/admin/panel/audit-logs/export",
	} {
		s.want(503, s.do("GET", path, "", as(admin.Access)))
	}
	s.want(503, s.do("POST", "/api/admin/jobs/api/queues/default:pause", "", as(admin.Access)))
}

// refusing is an audit log that takes nothing.
type refusing struct{ auditLog }

func (refusing) Audit(context.Context, voiceassist.AuditEntry) error {
	return voiceassist.Errorf(voiceassist.Unavailable, "the database cannot take this now")
}

func TestActionsInAsynqmonAreAudited(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) { o.JobsUI = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}) })
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	s.want(200, s.do("GET", "/api/admin/jobs/queues/default", "", as(admin.Access)))
	s.want(200, s.do("POST", "/api/admin/jobs/api/queues/default:pause?x="+url.QueryEscape("secret"), "", as(admin.Access)))
	s.want(403, s.do("POST", "/api/admin/jobs/api/queues/default:pause", "", as(viewer.Access)))
	logs, total, err := s.db.AuditLogs(t.Context(), voiceassist.AuditFilter{Action: "queue.action", Limit: 5})
	if err != nil || total != 1 || logs[0].ResourceID != "/api/queues/default:pause" || logs[0].UserID != admin.User.ID {
		t.Errorf("audited %+v, %v; want the admin's one action", logs, err)
	}
}
