package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// person registers somebody with an address of their own.
func (s *suite) person(name string) voiceassist.SignIn {
	s.t.Helper()
	in, err := s.accounts.Register(s.t.Context(), voiceassist.Registration{
		Email: name + "@example.org", Password: password, FullName: "Doctor " + name,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return in
}

// another registers somebody and gives them a role.
func (s *suite) another(name string, role voiceassist.Role) voiceassist.SignIn {
	s.t.Helper()
	in := s.person(name)
	s.setRole(in, role)
	return in
}

// history is the audited actions on a user, oldest first, as one string.
func (s *suite) history(in voiceassist.SignIn) string {
	s.t.Helper()
	return s.read(`
		SELECT coalesce(string_agg(action, ' ' ORDER BY at, id), '')
		FROM audit_entries
		WHERE resource_type = 'user' AND resource_id = $1::text AND action NOT LIKE 'auth.%'`, in.User.ID.String())
}

// read returns the one text that a query selects.
func (s *suite) read(query string, args ...any) (text string) {
	s.t.Helper()
	s.scan(&text, query, args...)
	return text
}

func TestAProfileIsChangedByItsOwner(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.person("ada")
	s.person("eve")
	for _, c := range []struct {
		name, body               string
		full, first, last, email string
	}{
		{"a full name is split", `{"full_name":"  Ada King Lovelace "}`, "Ada King Lovelace", "Ada King", "Lovelace", "ada@example.org"},
		{"name is the full name", `{"name":"Grace Hopper"}`, "Grace Hopper", "Grace", "Hopper", "ada@example.org"},
		{"one part changes the whole", `{"lastName":"Murray"}`, "Grace Murray", "Grace", "Murray", "ada@example.org"},
		{"parts and whole as they are given", `{"full_name":"Dr. G","first_name":"Grace","last_name":""}`, "Dr. G", "Grace", "", "ada@example.org"},
		{"an address is normalized", `{"email":" Ada2@Example.ORG "}`, "Dr. G", "Grace", "", "ada2@example.org"},
		{"what one may not change is ignored", `{"role":"admin","is_admin":true,"is_active":false,"id":"x"}`, "Dr. G", "Grace", "", "ada2@example.org"},
		{"null changes nothing", `{"email":null,"specialty":"cardiology"}`, "Dr. G", "Grace", "", "ada2@example.org"},
	} {
		r := s.want(200, s.do("PUT", "/api/users/me", c.body, as(in.Access)))
		got := []any{r.at("full_name"), r.at("firstName"), r.at("last_name"), r.at("data", "email"), r.at("role"), r.at("is_active")}
		if want := []any{c.full, c.first, c.last, c.email, "user", true}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	s.want(200, s.do("POST", "/api/auth/login", credentials("ada2@example.org")))

	for body, field := range map[string]string{
		`{"full_name":"  "}`:                          "full_name",
		`{"first_name":"","last_name":""}`:            "full_name",
		`{"full_name":"a\nb"}`:                        "full_name",
		`{"specialty":"a\u0000b"}`:                    "specialty",
		`{"email":"nobody"}`:                          "email",
		`{"email":""}`:                                "email",
		`{"email":7}`:                                 "email",
		`{"name":"` + strings.Repeat("é", 201) + `"}`: "full_name",
	} {
		if r := s.want(422, s.do("PUT", "/api/users/me", body, as(in.Access))); r.at("error", "field") != field {
			t.Errorf("%s: %s", body, r.text)
		}
	}
	if r := s.want(409, s.do("PUT", "/api/users/me", `{"email":"EVE@example.org","full_name":"Eve"}`, as(in.Access))); r.at("error", "code") != "CONFLICT" {
		t.Errorf("taken address: %s", r.text)
	}
	if r := s.do("GET", "/api/users/me", "", as(in.Access)); r.at("full_name") != "Dr. G" {
		t.Errorf("a refused change was made in part: %s", r.text)
	}
	s.want(400, s.do("PUT", "/api/users/me", `{`, as(in.Access)))
	s.want(401, s.do("PUT", "/api/users/me", `{}`))
	if got := strings.Count(s.history(in), "user.updated"); got != 6 {
		t.Errorf("%d audited changes, want 6", got)
	}
	if details := s.read(`SELECT string_agg(details::text, ' ') FROM audit_entries WHERE action = 'user.updated'`); strings.Contains(details, "Grace") || strings.Contains(details, "example") {
		t.Errorf("the audit log holds personal data: %s", details)
	}
}

func TestUsersAreForAdminsAndEverybodysOwnForThemselves(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, viewer, user := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer), s.signIn(voiceassist.RoleUser)
	own, other := "/api/users/"+user.User.ID.String(), "/api/users/"+viewer.User.ID.String()
	nobody := "/api/users/00000000-0000-0000-0000-000000000000"
	for _, c := range []struct {
		method, path, body string
		in                 voiceassist.SignIn
		want               int
	}{
		{"GET", "/api/users", "", user, 403},
		{"GET", "/api/users", "", viewer, 403},
		{"GET", "/api/users", "", admin, 200},
		{"GET", own, "", user, 200},
		{"GET", own, "", viewer, 403},
		{"GET", own, "", admin, 200},
		{"GET", nobody, "", user, 403},
		{"GET", nobody, "", admin, 404},
		{"GET", "/api/users/nonsense", "", admin, 404},
		{"GET", "/api/users/nonsense", "", user, 403},
		{"PATCH", own, `{"name":"New Name"}`, user, 200},
		{"PATCH", own, `{"name":"New Name","role":"user","is_active":true}`, user, 200},
		{"PATCH", own, `{"role":"admin"}`, user, 403},
		{"PATCH", own, `{"is_admin":true}`, user, 403},
		{"PATCH", own, `{"is_active":false}`, user, 403},
		{"PATCH", other, `{"name":"New Name"}`, user, 403},
		{"PATCH", other, `{"name":"Newer Name"}`, admin, 200},
		{"PATCH", nobody, `{}`, admin, 404},
		{"DELETE", other, "", user, 403},
		{"DELETE", nobody, "", admin, 404},
		{"PUT", other + "/activate", "", viewer, 403},
		{"PUT", nobody + "/deactivate", "", admin, 404},
		{"PUT", "/api/users/nonsense/promote-admin", "", admin, 404},
		{"GET", "/api/admin/panel/users", "", user, 403},
		{"GET", "/api/admin/users", "", viewer, 200},
		{"GET", "/api/admin/panel" + own[4:], "", viewer, 200},
		{"GET", "/api/admin/panel" + nobody[4:], "", viewer, 404},
		{"PUT", "/api/admin/panel" + own[4:], `{}`, viewer, 403},
		{"DELETE", "/api/admin/panel" + own[4:], "", viewer, 403},
		{"DELETE", "/api/admin/panel" + own[4:] + "/permanent", "", viewer, 403},
		{"DELETE", "/api/admin/panel" + nobody[4:] + "/permanent", "", admin, 404},
		{"POST", "/api/admin/panel/users/bulk", `{"action":"activate","user_ids":["x"]}`, viewer, 403},
		{"GET", "/api/admin/panel" + nobody[4:] + "/role-history", "", viewer, 404},
		{"GET", "/api/admin/panel" + own[4:] + "/lock-reasons", "", user, 403},
		{"GET", "/api/admin/panel/summary", "", user, 403},
		{"GET", "/api/admin/panel/summary", "", viewer, 200},
		{"GET", "/api/admin/metrics", "", user, 403},
		{"GET", "/api/admin/metrics", "", viewer, 200},
	} {
		if r := s.do(c.method, c.path, c.body, as(c.in.Access)); r.status != c.want {
			t.Errorf("%s %s %s as %s: %d, want %d: %s", c.method, c.path, c.body, c.in.User.Role, r.status, c.want, r.text)
		}
	}
}

func TestAListOfUsersIsFilteredPagedAndBareUnderV1(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	s.another("vera", voiceassist.RoleViewer)
	off := s.person("otto_100%")
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, off.User.ID)
	s.person("zoe")
	for query, want := range map[string]string{
		"":                               "zoe otto_100% vera admin",
		"?offset=1&limit=2":              "otto_100% vera",
		"?page=2&page_size=3":            "admin",
		"?offset=50":                     "",
		"?search=ZOE":                    "zoe",
		"?search=doctor+v":               "vera",
		"?search=0%25":                   "otto_100%",
		"?search=%25":                    "otto_100%",
		"?is_active=false":               "otto_100%",
		"?is_active=true&is_admin=false": "zoe vera",
		"?role=viewer":                   "vera",
		"?is_admin=1":                    "admin",
		"?role=user&is_admin=true":       "",
	} {
		for _, path := range []string{"/api/users", "/api/admin/panel/users"} {
			r := s.want(200, s.do("GET", path+query, "", as(admin.Access)))
			if got := emails(r.at("users")); got != want {
				t.Errorf("%s%s = %q, want %q", path, query, got, want)
			}
		}
	}
	for _, query := range []string{"?offset=-1", "?limit=0", "?limit=x", "?is_active=maybe", "?role=king", "?search=%00", "?is_admin=2"} {
		s.want(422, s.do("GET", "/api/users"+query, "", as(admin.Access)))
	}
	page := s.want(200, s.do("GET", "/api/admin/panel/users?limit=1&offset=2", "", as(admin.Access)))
	for name, want := range map[string]float64{"total": 4, "page": 3, "pageSize": 1, "limit": 1, "offset": 2} {
		if page.at(name) != want {
			t.Errorf("%s = %v, want %v", name, page.at(name), want)
		}
	}
	flat := s.want(200, s.do("GET", "/v1/api/users?skip=3", "", as(admin.Access)))
	if !strings.HasPrefix(flat.text, `[{"id":`) || flat.header.Get("X-Total-Count") != "4" {
		t.Errorf("v1: %s %s", flat.header.Get("X-Total-Count"), flat.text)
	}
}

// emails returns the names in the addresses of a list of users.
func emails(list any) string {
	var all []string
	rows, _ := list.([]any)
	for _, row := range rows {
		name, _, _ := strings.Cut(row.(map[string]any)["email"].(string), "@")
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestAChangeOfRoleOrStandingEndsSessionsAndIsAudited(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	path := "/api/users/" + user.User.ID.String()
	alive := func(want int, in voiceassist.SignIn) {
		t.Helper()
		s.want(want, s.do("GET", "/api/auth/me", "", as(in.Access)))
	}
	login := func() voiceassist.SignIn {
		t.Helper()
		in, err := s.accounts.Login(t.Context(), "ada@example.org", password)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	r := s.want(200, s.do("PUT", path+"/promote-admin", `{"reason":"head of department"}`, as(admin.Access)))
	if r.at("is_admin") != true || r.at("user", "adminRole") != "admin" {
		t.Errorf("promoted: %s", r.text)
	}
	alive(401, user)
	user = login()
	s.want(200, s.do("PUT", path+"/promote-admin", "", as(admin.Access))) // changes nothing
	alive(200, user)
	s.want(200, s.do("PUT", path+"/revoke-admin", "", as(admin.Access)))
	alive(401, user)
	user = login()
	s.want(200, s.do("PUT", path+"/deactivate", "", as(admin.Access)))
	alive(401, user)
	s.want(401, s.do("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, user.Refresh)))
	s.want(200, s.do("PUT", path+"/activate", "", as(admin.Access)))
	alive(401, user) // what ended stays ended
	alive(200, login())
	s.sql(`UPDATE users SET full_name = '', first_name = '', last_name = '' WHERE id = $1`, user.User.ID)
	s.want(200, s.do("PUT", path+"/deactivate", "", as(admin.Access))) // somebody without a name, too
	if got := s.history(user); got != "user.role_changed user.role_changed user.deactivated user.activated user.deactivated" {
		t.Errorf("audited: %s", got)
	}
	if got := s.read(`SELECT details->>'reason' FROM audit_entries WHERE action = 'user.role_changed' ORDER BY at LIMIT 1`); got != "head of department" {
		t.Errorf("reason = %q", got)
	}
}

func TestNobodyChangesTheirOwnStandingAndTheLastAdminStays(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	own := "/api/users/" + admin.User.ID.String()
	panel := "/api/admin/panel" + own[4:]
	for _, r := range []response{
		s.do("PUT", own+"/activate", "", as(admin.Access)),
		s.do("PUT", own+"/deactivate", "", as(admin.Access)),
		s.do("PUT", own+"/promote-admin", "", as(admin.Access)),
		s.do("PUT", own+"/revoke-admin", "", as(admin.Access)),
		s.do("DELETE", own, "", as(admin.Access)),
		s.do("PATCH", own, `{"is_admin":false}`, as(admin.Access)),
		s.do("PUT", panel, `{"admin_role":"viewer"}`, as(admin.Access)),
		s.do("PUT", panel, `{"is_active":false}`, as(admin.Access)),
		s.do("DELETE", panel, "", as(admin.Access)),
		s.do("DELETE", panel+"/permanent", "", as(admin.Access)),
	} {
		if s.want(400, r).at("error", "message") != "You cannot do this to your own account" {
			t.Error(r.text)
		}
	}
	s.want(200, s.do("PUT", panel, `{"full_name":"Ada Min","is_admin":true,"role":"admin","is_active":true}`, as(admin.Access)))

	r := s.want(409, s.do("DELETE", "/api/users/me", "", as(admin.Access)))
	if !strings.Contains(r.at("detail").(string), "last active administrator") {
		t.Error(r.text)
	}
	off := s.another("off", voiceassist.RoleAdmin)
	s.sql(`UPDATE users SET is_active = false WHERE id = $1`, off.User.ID)
	s.want(409, s.do("DELETE", "/api/users/me", "", as(admin.Access))) // an inactive admin is none
	s.another("second", voiceassist.RoleAdmin)
	s.want(200, s.do("DELETE", "/api/users/me", "", as(admin.Access)))
	s.want(401, s.do("GET", "/api/auth/me", "", as(admin.Access)))
}

func TestADeletedUserIsShutOutAndMayBeTakenBackUntilErased(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	path := "/api/admin/panel/users/" + user.User.ID.String()
	r := s.want(200, s.do("DELETE", "/api/users/me", "", as(user.Access)))
	if r.at("status") != "deleted" || r.at("eraseAt") == nil || cookieOf(t, r).Value != "" {
		t.Errorf("deleted: %s", r.text)
	}
	s.want(401, s.do("GET", "/api/auth/me", "", as(user.Access)))
	s.want(403, s.do("POST", "/api/auth/login", credentials("ada@example.org")))
	if r := s.want(200, s.do("GET", path, "", as(admin.Access))); r.at("is_active") != false || r.at("erase_at") == nil {
		t.Errorf("a deleted user: %s", r.text)
	}
	s.want(200, s.do("PUT", "/api/users/"+user.User.ID.String()+"/activate", "", as(admin.Access)))
	if r := s.want(200, s.do("GET", path, "", as(admin.Access))); r.at("is_active") != true || r.at("erase_at") != nil {
		t.Errorf("taken back: %s", r.text)
	}
	user, err := s.accounts.Login(t.Context(), "ada@example.org", password)
	if err != nil {
		t.Fatal(err)
	}
	s.want(201, s.do("POST", "/api/conversations", `{"title":"private"}`, as(user.Access)))
	s.want(200, s.do("DELETE", path, "", as(admin.Access)))
	r = s.want(200, s.do("DELETE", path+"/permanent", "", as(admin.Access)))
	if r.at("status") != "erased" {
		t.Errorf("erased: %s", r.text)
	}
	if got := s.read(`SELECT count(*)::text FROM audit_people WHERE email = 'ada@example.org'`); got != "0" {
		t.Errorf("%s audit entries still name an erased user", got)
	}
	s.want(404, s.do("GET", path, "", as(admin.Access)))
	s.want(404, s.do("DELETE", path+"/permanent", "", as(admin.Access)))
	s.want(401, s.do("POST", "/api/auth/login", credentials("ada@example.org")))
	s.want(201, s.do("POST", "/api/auth/register", `{"email":"ada@example.org","password":"`+password+`","full_name":"Another Ada"}`))
	if got := s.read(`SELECT count(*)::text FROM conversations`); got != "0" {
		t.Errorf("%s conversations of nobody", got)
	}
	if got := s.history(user); got != "user.deleted user.activated user.deleted user.deleted user.erased" {
		t.Errorf("audited: %s", got)
	}
	if got := s.read(`SELECT count(*)::text FROM audit_entries WHERE user_id = $1`, user.User.ID); got == "0" {
		t.Error("the entries of an erased user are gone")
	}
}

func TestActionsOnUsersAreLimitedPerAdministrator(t *testing.T) {
	t.Parallel()
	s := start(t, withLimits(t), func(o *httpapi.Options) {
		o.Rates.AdminActions = voiceassist.Rate{N: 2, Per: 60e9}
	})
	admin, other := s.signIn(voiceassist.RoleAdmin), s.another("other", voiceassist.RoleAdmin)
	user := s.person("ada")
	path := "/api/admin/panel/users/" + user.User.ID.String()
	again, err := s.accounts.Login(t.Context(), admin.User.Email, password)
	if err != nil {
		t.Fatal(err)
	}
	r := s.want(200, s.do("PUT", path, `{"specialty":"cardiology"}`, as(admin.Access)))
	if r.at("rate_limit", "limit") != 2.0 || r.at("rate_limit", "remaining") != 1.0 || r.at("rateLimit", "reset_in") == 0.0 || r.header.Get("X-RateLimit-Limit") != "2" {
		t.Errorf("rate_limit: %s", r.text)
	}
	r = s.want(200, s.do("PUT", "/api/users/"+user.User.ID.String()+"/deactivate", "", as(again.Access)))
	if r.at("rate_limit", "remaining") != 0.0 {
		t.Errorf("another session of the same admin: %s", r.text)
	}
	r = s.want(429, s.do("DELETE", path, "", as(admin.Access)))
	if r.header.Get("Retry-After") == "" {
		t.Error("a refusal does not say when to come back")
	}
	s.want(429, s.do("POST", "/api/admin/panel/users/invite", `{"email":"eve@example.org"}`, as(admin.Access)))
	s.want(429, s.do("POST", path+"/reset-password", "", as(admin.Access)))
	s.want(429, s.do("POST", "/api/admin/panel/users/bulk", `{"action":"delete","user_ids":["x"]}`, as(admin.Access)))
	s.want(200, s.do("PUT", "/api/users/me", `{"name":"Ad Min"}`, as(admin.Access)))
	r = s.want(200, s.do("POST", "/api/admin/panel/users/bulk", fmt.Sprintf(`{"action":"activate","user_ids":[%q,%[1]q,%[1]q]}`, user.User.ID), as(other.Access)))
	if r.at("succeeded") != 2.0 || r.at("failed") != 1.0 || r.at("rate_limit", "remaining") != 0.0 {
		t.Errorf("each of several users counts: %s", r.text)
	}
}

func TestTheRateOfActionsIsToldWithoutALimit(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.person("ada").User.ID.String()
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/api/admin/panel/users/" + user, `{"specialty":"cardiology"}`},
		{"POST", "/api/admin/panel/users/" + user + "/reset-password", ""},
		{"POST", "/api/admin/panel/users/invite", `{"email":"eve@example.org"}`},
		{"POST", "/api/admin/panel/users/bulk", `{"action":"deactivate","user_ids":["` + user + `"]}`},
		{"DELETE", "/api/admin/panel/users/" + user, ""},
	} {
		r := s.do(c.method, c.path, c.body, as(admin.Access))
		if r.status/100 != 2 || r.at("rate_limit", "limit") != 0.0 || r.at("rate_limit", "remaining") != 0.0 || r.at("rate_limit", "reset_in") != 0.0 {
			t.Errorf("%s %s: %s", c.method, c.path, r.text)
		}
	}
}
