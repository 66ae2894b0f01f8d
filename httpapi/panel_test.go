package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

func TestThePanelShowsFiguresOfEachUser(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, ada := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	s.person("zoe")
	for _, title := range []string{"one", "two"} {
		id := s.want(201, s.do("POST", "/api/conversations", `{"title":"`+title+`"}`, as(ada.Access))).at("id")
		s.sql(`INSERT INTO messages (id, conversation_id, role, content, status)
			SELECT gen_random_uuid(), $1, 'user', 'q', 'complete' FROM generate_series(1, 3)`, id)
	}
	s.sql(`INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state, uploaded_by, deleted_at)
		SELECT gen_random_uuid(), repeat('0', 63) || n, 1, 'a', 'text/plain', n::text, 't', 'indexed', $1, CASE WHEN n = 2 THEN now() END
		FROM generate_series(1, 2) AS n`, ada.User.ID)
	second, err := s.accounts.Login(t.Context(), ada.User.Email, password)
	if err != nil {
		t.Fatal(err)
	}
	s.want(200, s.do("POST", "/api/auth/logout", "", as(second.Access)))
	list := s.want(200, s.do("GET", "/api/admin/panel/users", "", as(admin.Access)))
	rows := list.at("data", "users").([]any)
	want := []map[string]any{
		{"email": "zoe@example.org", "conversation_count": 0.0, "message_count": 0.0, "documentCount": 0.0, "active_sessions": 1.0},
		{"email": "ada@example.org", "conversation_count": 2.0, "message_count": 6.0, "documentCount": 1.0, "active_sessions": 1.0},
		{"email": "admin@example.org", "conversation_count": 0.0, "message_count": 0.0, "documentCount": 0.0, "active_sessions": 1.0},
	}
	for i, figures := range want {
		row := rows[i].(map[string]any)
		for name, value := range figures {
			if row[name] != value {
				t.Errorf("%s of %v = %v, want %v", name, row["email"], row[name], value)
			}
		}
		if row["last_active_at"] == nil || row["lastActiveAt"] != row["last_active_at"] {
			t.Errorf("last_active_at of %v = %v", row["email"], row["last_active_at"])
		}
	}
	one := s.want(200, s.do("GET", "/api/admin/users/"+ada.User.ID.String(), "", as(admin.Access)))
	if one.at("message_count") != 6.0 || one.at("data", "fullName") != "Doctor ada" {
		t.Errorf("a user: %s", one.text)
	}
}

func TestThePanelChangesUsersAndRefusesContradictions(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	s.person("eve")
	path := "/api/admin/panel/users/" + user.User.ID.String()
	for body, want := range map[string]string{
		`{"admin_role":"viewer","role":"admin"}`:            "role",
		`{"admin_role":"viewer","is_admin":true}`:           "is_admin",
		`{"role":"admin","is_admin":false}`:                 "is_admin",
		`{"role":"king"}`:                                   "role",
		`{"is_admin":"yes"}`:                                "is_admin",
		`{"email":"x"}`:                                     "email",
		`{"reason":"` + strings.Repeat("x", 501) + `"}`:     "reason",
		`{"reason":"\u0000","role":"viewer"}`:               "reason",
		`{"first_name":"` + strings.Repeat("x", 201) + `"}`: "full_name",
	} {
		r := s.want(422, s.do("PUT", path, body, as(admin.Access)))
		if got := r.at("error", "field"); got != want && want != "full_name" {
			t.Errorf("%s: %v, want %s", body, got, want)
		}
	}
	s.want(409, s.do("PUT", path, `{"email":"eve@example.org"}`, as(admin.Access)))
	for _, c := range []struct{ body, role string }{
		{`{"isAdmin":true,"adminRole":"admin"}`, "admin"},
		{`{"is_admin":false}`, "user"},
		{`{"role":"viewer","is_admin":false}`, "viewer"},
		{`{"is_admin":false}`, "viewer"},
		{`{"admin_role":"user","full_name":"Ada L","specialty":"oncology","is_active":false,"email":"ada3@example.org"}`, "user"},
	} {
		r := s.want(200, s.do("PUT", path, c.body, as(admin.Access)))
		if r.at("role") != c.role || r.at("user", "admin_role") != c.role || r.at("is_admin") != (c.role == "admin") {
			t.Errorf("%s: %s", c.body, r.text)
		}
	}
	r := s.want(200, s.do("GET", path, "", as(admin.Access)))
	if r.at("last_name") != "L" || r.at("specialty") != "oncology" || r.at("is_active") != false || r.at("email") != "ada3@example.org" {
		t.Errorf("after all changes: %s", r.text)
	}
}

func TestTheHistoryOfAUserComesFromTheAuditLog(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	second := s.another("second", voiceassist.RoleAdmin)
	path := "/api/admin/panel/users/" + user.User.ID.String()
	trace := "0af7651916cd43dd8448eb211c80319c"
	s.want(200, s.do("PUT", path, `{"role":"viewer","reason":"audits us"}`, as(second.Access), header("traceparent", "00-"+trace+"-b7ad6b7169203331-01")))
	s.want(200, s.do("PUT", path, `{"role":"user","is_active":false,"reason":"left"}`, as(admin.Access)))
	lock := voiceassist.AuditEntry{
		Action: voiceassist.ActionAccountLocked, ResourceType: "user", ResourceID: user.User.ID.String(), Details: map[string]any{"reason": "too many failures"},
	}
	if err := s.db.Audit(t.Context(), lock); err != nil {
		t.Fatal(err)
	}

	roles := s.want(200, s.do("GET", path+"/role-history", "", as(admin.Access)))
	history := roles.at("history").([]any)
	if len(history) != 2 || roles.at("total") != 2.0 {
		t.Fatalf("role history: %s", roles.text)
	}
	for i, want := range []map[string]any{
		{"actor": "admin@example.org", "from_role": "viewer", "toRole": "user", "reason": "left"},
		{"actor": "second@example.org", "from_role": "user", "toRole": "viewer", "reason": "audits us", "trace_id": trace},
	} {
		for name, value := range want {
			if got := history[i].(map[string]any)[name]; got != value {
				t.Errorf("%s of change %d = %v, want %v", name, i, got, value)
			}
		}
	}
	locks := s.want(200, s.do("GET", path+"/lock-reasons", "", as(admin.Access)))
	var told []string
	for _, e := range locks.at("data", "events").([]any) {
		event := e.(map[string]any)
		told = append(told, fmt.Sprintf("%v by %v: %v", event["status"], event["actor"], event["reason"]))
	}
	if got := strings.Join(told, "; "); got != "locked by system: too many failures; deactivated by admin@example.org: left" {
		t.Errorf("lock reasons: %s", got)
	}

	s.want(200, s.do("DELETE", "/api/admin/panel/users/"+second.User.ID.String()+"/permanent", "", as(admin.Access)))
	page := s.want(200, s.do("GET", path+"/role-history?offset=1&limit=1", "", as(admin.Access)))
	if got := page.at("history").([]any)[0].(map[string]any)["actor"]; got != second.User.ID.String() {
		t.Errorf("an erased actor is %v, want their id", got)
	}
}

func TestABulkActionSaysWhatBecameOfEachUser(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, ada, zoe := s.signIn(voiceassist.RoleAdmin), s.person("ada"), s.person("zoe")
	nobody := "00000000-0000-0000-0000-000000000000"
	bulk := func(want int, action string, ids ...string) response {
		t.Helper()
		body := fmt.Sprintf(`{%s,"user_ids":["%s"],"reason":"tidying up"}`, action, strings.Join(ids, `","`))
		return s.want(want, s.do("POST", "/api/admin/panel/users/bulk", body, as(admin.Access)))
	}
	results := func(r response) string {
		var all []string
		for _, row := range r.at("results").([]any) {
			if result := row.(map[string]any); result["ok"] == true {
				all = append(all, "ok")
			} else {
				all = append(all, result["code"].(string))
			}
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct{ action, want, state string }{
		{`"action":"deactivate"`, "ok ok VALIDATION_ERROR NOT_FOUND NOT_FOUND", "user false, user false"},
		{`"action":"activate"`, "ok ok VALIDATION_ERROR NOT_FOUND NOT_FOUND", "user true, user true"},
		{`"action":"set_role","role":"viewer"`, "ok ok VALIDATION_ERROR NOT_FOUND NOT_FOUND", "viewer true, viewer true"},
		{`"action":"delete"`, "ok ok VALIDATION_ERROR NOT_FOUND NOT_FOUND", "viewer false, viewer false"},
	} {
		r := bulk(200, c.action, ada.User.ID.String(), zoe.User.ID.String(), admin.User.ID.String(), nobody, "nonsense")
		if results(r) != c.want || r.at("succeeded") != 2.0 || r.at("failed") != 3.0 {
			t.Errorf("%s: %s", c.action, r.text)
		}
		if got := s.read(`SELECT string_agg(role || ' ' || is_active, ', ') FROM users WHERE id <> $1`, admin.User.ID); got != c.state {
			t.Errorf("%s leaves %s, want %s", c.action, got, c.state)
		}
	}
	if got := s.history(zoe); got != "user.deactivated user.activated user.role_changed user.deleted" {
		t.Errorf("audited: %s", got)
	}
	bulk(422, `"action":"set_role"`, ada.User.ID.String())
	bulk(422, `"action":"set_role","role":"king"`, ada.User.ID.String())
	bulk(422, `"action":"explode"`, ada.User.ID.String())
	bulk(422, `"action":"delete"`, strings.Fields(strings.Repeat(nobody+" ", 101))...)
	s.want(422, s.do("POST", "/api/admin/panel/users/bulk", `{"action":"delete","user_ids":[]}`, as(admin.Access)))
	s.want(422, s.do("POST", "/api/admin/panel/users/bulk", `{"action":"delete"}`, as(admin.Access)))
	s.want(400, s.do("POST", "/api/admin/panel/users/bulk", "", as(admin.Access)))
}

func TestTheSummaryCountsWhatThereIs(t *testing.T) {
	t.Parallel()
	var failing error
	s := start(t, func(o *httpapi.Options) {
		o.Checks = map[string]func(context.Context) error{
			"postgres": func(context.Context) error { return failing },
			"optional": func(context.Context) error { return errors.New("down") },
		}
		o.Optional = []string{"optional"}
	})
	admin, ada := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, s.person("off").User.ID)
	s.want(201, s.do("POST", "/api/conversations", `{}`, as(ada.Access)))
	s.sql(`INSERT INTO conversations (id, user_id, created_at) VALUES (gen_random_uuid(), $1, now() - interval '2 days')`, ada.User.ID)
	r := s.want(200, s.do("GET", "/api/admin/panel/summary", "", as(admin.Access)))
	for path, want := range map[string]any{
		"users total": 3.0, "users active": 2.0, "users admins": 1.0, "conversations total": 2.0, "conversations today": 1.0,
		"messages today": 0.0, "documents total": 0.0, "system status": "healthy", "total_users": 3.0, "active_users": 2.0, "admin_users": 1.0,
		"data users total": 3.0,
	} {
		if got := r.at(strings.Fields(path)...); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if uptime, ok := r.at("system", "uptime").(float64); !ok || uptime < 0 || uptime > 600 {
		t.Errorf("uptime = %v", r.at("system", "uptime"))
	}
	failing = errors.New("down")
	if r := s.want(200, s.do("GET", "/api/admin/panel/summary", "", as(admin.Access))); r.at("system", "status") != "degraded" {
		t.Errorf("status with a dependency down: %s", r.text)
	}
}

func TestMetricsHaveEveryDay(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, ada := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	// Ada registered three days ago, asked then and yesterday, and is signed in today.
	s.sql(`UPDATE users SET created_at = now() - interval '3 days' WHERE id = $1`, ada.User.ID)
	conversation := s.read(`INSERT INTO conversations (id, user_id, created_at) VALUES (gen_random_uuid(), $1, now() - interval '3 days') RETURNING id::text`, ada.User.ID)
	for _, ago := range []int{3, 3, 1, 7} {
		s.sql(`INSERT INTO messages (id, conversation_id, role, content, status, created_at)
			SELECT gen_random_uuid(), $1, role, 'x', 'complete', now() - make_interval(days => $2)
			FROM unnest(ARRAY['user', 'assistant']) AS role`, conversation, ago)
	}
	r := s.want(200, s.do("GET", "/api/admin/metrics?days=5", "", as(admin.Access)))
	for path, want := range map[string]string{
		"daily_registrations": "0 1 0 0 1",
		"daily_active_users":  "0 1 0 1 2",
		"conversations daily": "0 1 0 0 0",
		"messages daily":      "0 4 0 2 0",
		"documents daily":     "0 0 0 0 0",
	} {
		if got := countsOf(r.at(strings.Fields(path)...)); got != want {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
	for path, want := range map[string]float64{
		"messages total": 6, "messages questions": 3, "messages answers": 3, "conversations total": 1, "user_distribution admin": 1,
		"user_distribution user": 1, "user_distribution viewer": 0, "documents by_status failed": 0, "period_days": 5,
	} {
		if got := r.at(strings.Fields(path)...); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	for query, days := range map[string]int{"": 30, "?days=1": 1, "?days=365": 365} {
		r := s.want(200, s.do("GET", "/api/admin/panel/metrics"+query, "", as(admin.Access)))
		list := r.at("daily_active_users").([]any)
		if len(list) != days {
			t.Fatalf("%s: %d days", query, len(list))
		}
		first, err := time.Parse(time.DateOnly, list[0].(map[string]any)["date"].(string))
		last := list[days-1].(map[string]any)["date"]
		if err != nil || first.AddDate(0, 0, days-1).Format(time.DateOnly) != last {
			t.Errorf("%s: from %v to %v", query, first, last)
		}
	}
	for _, query := range []string{"0", "366", "-1", "x", "1.5"} {
		s.want(422, s.do("GET", "/api/admin/panel/metrics?days="+query, "", as(admin.Access)))
	}
}

// countsOf returns the counts of a list of days.
func countsOf(list any) string {
	var all []string
	days, _ := list.([]any)
	for _, day := range days {
		all = append(all, fmt.Sprint(day.(map[string]any)["count"]))
	}
	return strings.Join(all, " ")
}
