package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/flags"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/postgres"
)

// withFlags adds feature flags that nobody keeps up to date but their own
// changes.
func withFlags(t *testing.T) func(*httpapi.Options) {
	t.Helper()
	return func(o *httpapi.Options) {
		service, err := flags.Open(t.Context(), o.Chats.(*postgres.DB), flags.Options{})
		if err != nil {
			t.Fatal(err)
		}
		o.Flags = service
	}
}

const flagsPath = "/api/admin/feature-flags"

func TestFlagsAreCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	r := s.want(201, s.do("POST", flagsPath, `{"name":"new.feature","enabled":false,"description":"It's new","rolloutPercentage":0,
		"metadata":{"owner":"team a","nested":{"x_y":[1,2]}},"unknown":1}`, admin))
	if r.at("data", "rollout_percentage") != 0.0 || r.at("rolloutPercentage") != 0.0 || r.at("flagType") != "boolean" || r.at("environment") != "all" || r.at("value") != true {
		t.Errorf("created is %s", r.text)
	}
	if r.at("metadata", "owner") != "team a" || r.at("data", "metadata", "nested", "x_y") == nil {
		t.Errorf("the flag's own metadata did not survive: %s", r.text)
	}
	s.want(409, s.do("POST", flagsPath, `{"name":"new.feature"}`, admin))
	r = s.want(200, s.do("PATCH", flagsPath+"/new.feature", `{"enabled":true,"rollout_percentage":50}`, admin))
	if r.at("enabled") != true || r.at("rollout_percentage") != 50.0 || r.at("description") != "It's new" || r.at("metadata", "owner") != "team a" {
		t.Errorf("changed is %s", r.text)
	}
	if r = s.want(200, s.do("POST", flagsPath+"/new.feature/toggle", "", admin)); r.at("enabled") != false {
		t.Errorf("toggled is %s", r.text)
	}
	if r = s.want(200, s.do("POST", flagsPath+"/new.feature/archive", "", admin)); r.at("archived") != true {
		t.Errorf("archived is %s", r.text)
	}
	s.want(409, s.do("POST", flagsPath+"/new.feature/toggle", "", admin))
	s.want(409, s.do("PATCH", flagsPath+"/new.feature", `{"enabled":true}`, admin))
	if r = s.want(200, s.do("POST", flagsPath+"/new.feature/archive", `{"archived":false}`, admin)); r.at("archived") != false {
		t.Errorf("restored is %s", r.text)
	}
	s.want(200, s.do("DELETE", flagsPath+"/new.feature", "", admin))
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		s.want(404, s.do(method, flagsPath+"/new.feature", "{}", admin))
	}
	s.want(404, s.do("POST", flagsPath+"/%00/toggle", "", admin))
	if got := s.flagActions(); got != "flag.created flag.updated flag.toggled flag.archived flag.restored flag.deleted" {
		t.Errorf("the audit log has %s", got)
	}
}

// flagActions are the flags' actions in the audit log, in order.
func (s *suite) flagActions() (all string) {
	s.t.Helper()
	s.scan(&all, `SELECT coalesce(string_agg(action, ' ' ORDER BY at, id), '') FROM audit_entries WHERE resource_type = 'feature_flag'`)
	return all
}

func TestFlagsAreListedWithFilters(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin, viewer := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access), as(s.signIn(voiceassist.RoleViewer).Tokens.Access)
	for i := range 30 {
		s.want(201, s.do("POST", flagsPath, fmt.Sprintf(`{"name":"f%02d","environment":"staging"}`, i), admin))
	}
	s.want(200, s.do("POST", flagsPath+"/f07/archive", "", admin))
	for query, want := range map[string][2]int{
		"":                               {34, 34},
		"?limit=5":                       {5, 34},
		"?page=7&pageSize=5":             {4, 34},
		"?offset=1000":                   {0, 34},
		"?environment=staging":           {30, 30},
		"?archived=true":                 {1, 1},
		"?search=LANGUAGE":               {1, 1},
		"?environment=all&archived=true": {0, 0},
	} {
		r := s.want(200, s.do("GET", flagsPath+query, "", viewer))
		rows, _ := r.at("flags").([]any)
		if len(rows) != want[0] || r.at("total") != float64(want[1]) {
			t.Errorf("%s: %d rows of %v, want %v", query, len(rows), r.at("total"), want)
		}
	}
	s.want(422, s.do("GET", flagsPath+"?archived=perhaps", "", viewer))
	s.want(422, s.do("GET", flagsPath+"?offset=-1", "", viewer))
}

func TestOnlyAdministratorsChangeFlags(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	user, viewer := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleViewer)
	for _, c := range []struct{ method, path string }{
		{"POST", flagsPath},
		{"PATCH", flagsPath + "/voice_mode"},
		{"DELETE", flagsPath + "/voice_mode"},
		{"POST", flagsPath + "/voice_mode/toggle"},
		{"POST", flagsPath + "/voice_mode/archive"},
	} {
		s.want(401, s.do(c.method, c.path, `{"name":"x"}`))
		s.want(403, s.do(c.method, c.path, `{"name":"x"}`, as(user.Tokens.Access)))
		s.want(403, s.do(c.method, c.path, `{"name":"x"}`, as(viewer.Tokens.Access)))
	}
	s.want(403, s.do("GET", flagsPath, "", as(user.Tokens.Access)))
	s.want(200, s.do("GET", flagsPath+"/voice_mode", "", as(viewer.Tokens.Access)))
	s.want(401, s.do("GET", "/api/experiments/flags", ""))
}

func TestBadFlagsAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	rule := func(fields string) string { return `{"name":"f","targeting_rules":[{` + fields + `}]}` }
	for _, body := range []string{
		`{}`, `[]`, `{"name":""}`, `{"name":"Caps"}`, `{"name":"1st"}`, `{"name":"a b"}`, `{"name":"` + strings.Repeat("a", 65) + `"}`,
		`{"name":"f","rollout_percentage":101}`, `{"name":"f","rollout_percentage":-1}`, `{"name":"f","rollout_percentage":"50"}`,
		`{"name":"f","enabled":"yes"}`, `{"name":"f","flag_type":"colour"}`, `{"name":"f","description":"` + strings.Repeat("x", 1001) + `"}`,
		`{"name":"f","description":"a\u0000b"}`, `{"name":"f","environment":"Prod"}`, `{"name":"f","metadata":[1]}`, `{"name":"f","metadata":"x"}`,
		`{"name":"f","value":"x"}`, `{"name":"f","flag_type":"number","value":true}`, `{"name":"f","flag_type":"json","value":` + deep + `}`,
		`{"name":"f","flag_type":"string","value":"` + strings.Repeat("x", 17<<10) + `"}`,
		`{"name":"f","variants":[{"name":"a"}]}`,
		`{"name":"f","flag_type":"variant","variants":[{"name":"a","weight":60},{"name":"b","weight":41}]}`,
		`{"name":"f","flag_type":"variant","variants":[{"name":"a"},{"name":"a"}]}`,
		rule(``), rule(`"attribute":"shoe_size","operator":"in","values":["x"],"enabled":true`),
		rule(`"attribute":"role","operator":"like","values":["x"],"enabled":true`), rule(`"attribute":"role","operator":"in","values":[],"enabled":true`),
		rule(`"attribute":"role","operator":"equals","values":["a","b"],"enabled":true`), rule(`"attribute":"role","operator":"in","values":["a"]`),
		rule(`"attribute":"role","operator":"in","values":["a"],"enabled":true,"variant":"v"`), rule(`"attribute":"role","operator":"in","values":["a"],"variant":"v"`),
		rule(`"attribute":"role","operator":"in","values":"admin","enabled":true`),
	} {
		r := s.do("POST", flagsPath, body, admin)
		if r.status != http.StatusUnprocessableEntity || r.at("error", "code") != "VALIDATION_ERROR" {
			t.Errorf("%.120s: %d %s", body, r.status, r.text)
		}
	}
	s.want(400, s.do("POST", flagsPath, `{"name":`, admin))
	s.want(422, s.do("PATCH", flagsPath+"/voice_mode", `{"flag_type":"string"}`, admin))
	if r := s.want(200, s.do("GET", flagsPath+"/voice_mode", "", admin)); r.at("flag_type") != "boolean" {
		t.Errorf("half of a refused change was stored: %s", r.text)
	}
}

func TestStrangeJSONOfFlagsIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	s.want(201, s.do("POST", flagsPath, `{"name":"odd","flag_type":"json","enabled":true,
		"value": {"big":123456789012345678901234567890.5,"u":"\ud83d\ude00 <b>","a_b":null}, "default_value": null}`, admin))
	r := s.want(200, s.do("GET", "/api/experiments/flags", "", admin))
	if want := `"odd":{"big":123456789012345678901234567890.5,"u":"\ud83d\ude00 <b>","a_b":null}`; !strings.Contains(r.text, want) {
		t.Errorf("the value is not as it was: %s", r.text)
	}
}

func TestParallelTogglesAllCount(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	var all sync.WaitGroup
	for range 11 {
		all.Go(func() {
			if r := s.do("POST", flagsPath+"/voice_mode/toggle", "", admin); r.status != 200 {
				t.Errorf("a toggle is %d %s", r.status, r.text)
			}
		})
	}
	all.Wait()
	if r := s.do("GET", flagsPath+"/voice_mode", "", admin); r.at("enabled") != false {
		t.Error("an odd number of toggles left the flag as it was")
	}
	var toggles string
	s.scan(&toggles, `SELECT count(DISTINCT (details->>'old_enabled') || at)::text FROM audit_entries WHERE action = 'flag.toggled'`)
	if toggles != "11" {
		t.Errorf("the audit log has %s toggles", toggles)
	}
}

func TestBuiltInFlagsStay(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	for _, name := range []string{"voice_mode", "registration", "model_answers", "outside_models"} {
		r := s.want(200, s.do("GET", flagsPath+"/"+name, "", admin))
		if r.at("enabled") != true || r.at("rollout_percentage") != 100.0 || r.at("description") == "" || r.at("built_in") != true {
			t.Errorf("%s is %s", name, r.text)
		}
		s.want(409, s.do("DELETE", flagsPath+"/"+name, "", admin))
		s.want(409, s.do("POST", flagsPath+"/"+name+"/archive", "", admin))
	}
}

func TestCallersSeeWhatTheFlagsSayToThem(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin, user := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access), as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	for _, body := range []string{
		`{"name":"beta","enabled":true,"rollout_percentage":0,"targeting_rules":[{"attribute":"role","operator":"equals","value":"admin","enabled":true}]}`,
		`{"name":"theme","flag_type":"variant","enabled":true,"variants":[{"name":"dark","weight":100,"value":{"bg":"#000"}},{"name":"light"}],
			"targeting_rules":[{"attribute":"role","operator":"in","values":["admin"],"variant":"light"}]}`,
		`{"name":"greeting","flag_type":"string","enabled":true,"value":"hello","default_value":"bye"}`,
		`{"name":"limit","flag_type":"number","value":5,"default_value":1.5}`,
	} {
		s.want(201, s.do("POST", flagsPath, body, admin))
	}
	u, a := s.want(200, s.do("GET", "/api/experiments/flags", "", user)), s.want(200, s.do("GET", "/api/experiments/flags", "", admin))
	for name, want := range map[string][2]any{
		"beta": {false, true}, "theme": {true, true}, "greeting": {"hello", "hello"}, "limit": {1.5, 1.5}, "voice_mode": {true, true},
	} {
		if u.at("flags", name) != want[0] || a.at("data", "flags", name) != want[1] {
			t.Errorf("%s is %v for a user and %v for an administrator, want %v", name, u.at("flags", name), a.at("data", "flags", name), want)
		}
	}
	if u.at("variants", "theme") != "dark" || a.at("variants", "theme") != "light" || u.at("values", "theme", "bg") != "#000" {
		t.Errorf("the variants are %v and %v", u.json["variants"], a.json["variants"])
	}
	s.want(200, s.do("POST", flagsPath+"/beta/toggle", "", admin))
	if again := s.do("GET", "/api/experiments/flags", "", user); again.at("version") != u.at("version") {
		t.Error("the version changed for a user to whom the flags say the same")
	}
	if again := s.do("GET", "/api/experiments/flags", "", admin); again.at("version") == a.at("version") {
		t.Error("the version did not change with what the flags say")
	}
}

func TestRegistrationIsSwitchedOffByItsFlag(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin := as(s.signIn(voiceassist.RoleAdmin).Tokens.Access)
	body := `{"email":"new@example.org","password":"` + password + `","full_name":"New"}`
	s.want(200, s.do("PATCH", flagsPath+"/registration", `{"rollout_percentage":99}`, admin))
	if r := s.want(403, s.do("POST", "/api/auth/register", body)); r.at("error", "code") != "FORBIDDEN" {
		t.Errorf("refused with %s", r.text)
	}
	s.want(200, s.do("PATCH", flagsPath+"/registration", `{"rollout_percentage":100}`, admin))
	s.want(201, s.do("POST", "/api/auth/register", body))
}
