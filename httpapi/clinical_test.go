package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

const facts = `{"age":67,"gender":" female ","weightKg":71.5,"chief_complaint":"chest pain","problems":["diabetes",""],` +
	`"medications":["metformin"],"allergies":null,"vitals":{"heartRate":88,"blood_pressure":"150/90"},"patientName":"Ada"}`

func TestClinicalContextLivesThroughTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	token := as(in.Tokens.Access)
	if r := s.want(200, s.do("GET", "/api/clinical-contexts/current", "", token)); !strings.Contains(r.text, `"data":null`) || r.at("success") != true {
		t.Errorf("no context is %s", r.text)
	}
	if r := s.want(200, s.do("GET", "/v1/api/clinical-contexts/current", "", token)); r.text != "null" {
		t.Errorf("no context under /v1 is %s", r.text)
	}
	made := s.want(201, s.do("POST", "/api/clinical-contexts", facts, token))
	id := made.at("id").(string)
	if made.at("gender") != "female" || made.at("weight_kg") != 71.5 || made.at("weightKg") != 71.5 || made.at("heightCm") != nil ||
		made.at("vitals", "heartRate") != 88.0 || made.at("demographics", "weightKg") != 71.5 || made.at("sessionId") != nil ||
		len(made.at("problems").([]any)) != 1 || len(made.at("allergies").([]any)) != 0 || strings.Contains(made.text, "Ada") {
		t.Errorf("made is %s", made.text)
	}
	got := s.want(200, s.do("GET", "/api/clinical-contexts/current", "", token))
	if got.at("id") != id || got.at("chiefComplaint") != "chest pain" {
		t.Errorf("current is %s", got.text)
	}
	changed := s.want(200, s.do("PUT", "/api/clinical-contexts/"+id, `{"demographics":{"age":68,"heightCm":180},"age":null}`, token))
	if changed.at("age") != 68.0 || changed.at("height_cm") != 180.0 || changed.at("gender") != "" || changed.at("id") != id {
		t.Errorf("changed is %s", changed.text)
	}
	if list := s.want(200, s.do("GET", "/api/clinical-contexts?limit=5", "", token)); list.at("total") != 1.0 || list.at("limit") != 5.0 {
		t.Errorf("the list is %s", list.text)
	}
	stranger := as(s.stranger())
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		s.want(404, s.do(method, "/api/clinical-contexts/"+id, "{}", stranger))
		s.want(404, s.do(method, "/api/clinical-contexts/nonsense", "{}", token))
	}
	s.want(200, s.do("DELETE", "/api/clinical-contexts/"+id, "", token))
	s.want(404, s.do("GET", "/api/clinical-contexts/"+id, "", token))
	s.want(401, s.do("GET", "/api/clinical-contexts", ""))
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE resource_id = $1 AND details = '{}'`, id); n != 3 {
		t.Errorf("%d audit entries, want 3 without details", n)
	}
	if strings.Contains(s.log.String(), "chest") {
		t.Error("the log tells facts")
	}
}

func TestConversationHasOneClinicalContext(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	token := as(in.Tokens.Access)
	conversation := s.want(201, s.do("POST", "/api/conversations", "", token)).at("id").(string)
	first := s.want(201, s.do("POST", "/api/clinical-contexts", `{"age":1,"session_id":"`+conversation+`"}`, token))
	second := s.want(201, s.do("POST", "/api/clinical-contexts", `{"age":2,"sessionId":"`+conversation+`"}`, token))
	if first.at("id") != second.at("id") || second.at("session_id") != conversation {
		t.Errorf("two contexts: %s and %s", first.text, second.text)
	}
	if r := s.want(200, s.do("GET", "/api/clinical-contexts/current?session_id="+conversation, "", token)); r.at("age") != 2.0 {
		t.Errorf("current is %s", r.text)
	}
	if r := s.want(200, s.do("GET", "/api/clinical-contexts/current", "", token)); !strings.Contains(r.text, `"data":null`) {
		t.Errorf("a session's context is current without the session: %s", r.text)
	}
	stranger := as(s.stranger())
	s.want(404, s.do("POST", "/api/clinical-contexts", `{"session_id":"`+conversation+`"}`, stranger))
	s.want(404, s.do("GET", "/api/clinical-contexts/current?sessionId="+conversation, "", stranger))
	s.want(404, s.do("POST", "/api/clinical-contexts", `{"session_id":"`+uuid.NewString()+`"}`, token))
	s.want(404, s.do("GET", "/api/clinical-contexts/current?session_id=x", "", token))
	s.want(200, s.do("DELETE", "/api/conversations/"+conversation, "", token))
	s.want(404, s.do("GET", "/api/clinical-contexts/"+first.at("id").(string), "", token))
}

func TestClinicalFactsHaveBounds(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	many, _ := json.Marshal(strings.Split(strings.Repeat("x,", 51), ","))
	for body, field := range map[string]string{
		`{"age":-1}`:        "age",
		`{"age":131}`:       "age",
		`{"age":"old"}`:     "age",
		`{"weight_kg":1e9}`: "weight_kg",
		`{"heightCm":-1}`:   "height_cm",
		`{"gender":"` + strings.Repeat("x", 41) + `"}`:       "gender",
		`{"chief_complaint":"a\u0000"}`:                      "chief_complaint",
		`{"problems":` + string(many) + `}`:                  "problems",
		`{"problems":["` + strings.Repeat("x", 201) + `"]}`:  "problems.0",
		`{"vitals":{"a":{"b":1}}}`:                           "vitals",
		`{"vitals":{"a":"` + strings.Repeat("x", 61) + `"}}`: "vitals",
		`{"vitals":7}`:                 "vitals",
		`{"demographics":{"age":400}}`: "age",
		`{"problems":"diabetes"}`:      "problems",
	} {
		if r := s.do("POST", "/api/clinical-contexts", body, token); r.status != 422 || r.at("error", "field") != field {
			t.Errorf("%.60s: %d: %s", body, r.status, r.text)
		}
	}
	s.want(400, s.do("POST", "/api/clinical-contexts", `{"age"`, token))
	if n := s.count(`SELECT count(*) FROM clinical_contexts`); n != 0 {
		t.Errorf("%d contexts were stored", n)
	}
}

func TestPresetsBeginContexts(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	list := s.want(200, s.do("GET", "/api/clinical-presets", "", token))
	builtIn := list.at("data").([]any)[0].(map[string]any)
	if builtIn["isBuiltIn"] != true || builtIn["name"] == "" || list.at("total").(float64) < 5 {
		t.Errorf("the list is %s", list.text)
	}
	ours := "/api/clinical-presets/" + builtIn["id"].(string)
	s.want(200, s.do("GET", ours, "", token))
	s.want(403, s.do("PUT", ours, `{"name":"x","context":{}}`, token))
	s.want(403, s.do("DELETE", ours, "", token))

	made := s.want(201, s.do("POST", "/api/clinical-presets", `{"name":" Ward 7 ","context":{"age":67,"chiefComplaint":"cough"}}`, token))
	path := "/api/clinical-presets/" + made.at("id").(string)
	if made.at("name") != "Ward 7" || made.at("context", "chief_complaint") != "cough" || made.at("is_built_in") != false {
		t.Errorf("made is %s", made.text)
	}
	s.want(409, s.do("POST", "/api/clinical-presets", `{"name":"WARD 7","context":{}}`, token))
	s.want(422, s.do("POST", "/api/clinical-presets", `{"name":"  ","context":{}}`, token))
	s.want(422, s.do("POST", "/api/clinical-presets", `{"name":"x","context":{"age":-4}}`, token))
	s.want(422, s.do("POST", "/api/clinical-presets", `{"name":"x"}`, token))
	if r := s.want(200, s.do("PUT", path, `{"name":"Ward 8","description":"d","context":{"age":68}}`, token)); r.at("name") != "Ward 8" || r.at("context", "age") != 68.0 {
		t.Errorf("changed is %s", r.text)
	}
	stranger := as(s.stranger())
	s.want(404, s.do("GET", path, "", stranger))
	s.want(404, s.do("PUT", path, `{"name":"x","context":{}}`, stranger))
	s.want(404, s.do("DELETE", path, "", stranger))
	s.want(404, s.do("POST", path+"/apply", "", stranger))

	conversation := s.want(201, s.do("POST", "/api/conversations", "", token)).at("id").(string)
	applied := s.want(201, s.do("POST", path+"/apply", `{"session_id":"`+conversation+`"}`, token))
	if applied.at("age") != 68.0 || applied.at("session_id") != conversation {
		t.Errorf("applied is %s", applied.text)
	}
	s.want(201, s.do("POST", ours+"/apply", "", token))
	s.want(404, s.do("POST", ours+"/apply", `{"session_id":"`+uuid.NewString()+`"}`, token))
	s.want(200, s.do("DELETE", path, "", token))
	s.want(404, s.do("GET", path, "", token))
}

func TestSessionThatBeginsWithFactsHasThemInItsContext(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	s, in := startChat(t, a)
	token := as(in.Tokens.Access)
	k := s.connect(in)
	k.send(`{"type":"session.start","clinical_context":{"age":-3}}`)
	if e := k.want("error"); e.text("code") != "INVALID_EVENT" {
		t.Errorf("bad facts: %v", e)
	}
	k.send(`{"type":"session.start","clinical_context":"Ada"}`)
	if e := k.want("error"); e.text("code") != "INVALID_EVENT" {
		t.Errorf("no facts: %v", e)
	}
	if n := s.count(`SELECT count(*) FROM conversations`); n != 0 {
		t.Errorf("%d conversations, want none", n)
	}
	k.send(`{"type":"session.start","clinical_context":{"age":67,"chiefComplaint":"cough"}}`)
	session := k.want("session.started").text("session_id")
	current := s.want(200, s.do("GET", "/api/clinical-contexts/current?session_id="+session, "", token))
	if current.at("chief_complaint") != "cough" {
		t.Errorf("the context is %s", current.text)
	}
	ask := `{"type":"message.send","content":"Why?","session_id":"` + session + `"}`
	k.send(ask)
	k.answer()
	if got := a.asked().ClinicalContextID.String(); got != current.at("id") {
		t.Errorf("the question went with the context %s, want %s", got, current.at("id"))
	}
	k.send(`{"type":"message.send","content":"Why?","session_id":"` + s.want(201, s.do("POST", "/api/conversations", "", token)).at("id").(string) + `"}`)
	k.answer()
	if got := a.asked().ClinicalContextID; got != uuid.Nil {
		t.Errorf("a question of another session went with the context %s", got)
	}
	s.want(200, s.do("DELETE", "/api/clinical-contexts/"+current.at("id").(string), "", token))
	k.send(ask)
	k.answer()
	if got := a.asked().ClinicalContextID; got != uuid.Nil {
		t.Errorf("a question went with a context that was deleted: %s", got)
	}
	other := s.want(201, s.do("POST", "/api/clinical-contexts", `{"age":3}`, token)).at("id").(string)
	k.send(`{"type":"message.send","content":"Why?","clinicalContextId":"` + other + `"}`)
	k.answer()
	if got := a.asked().ClinicalContextID.String(); got != other {
		t.Errorf("the question went with the context %s, want the named one", got)
	}
	k.send(`{"type":"message.send","content":"Why?","clinical_context_id":"x"}`)
	if e := k.want("error"); e.text("code") != "NOT_FOUND" {
		t.Errorf("no context: %v", e)
	}
}
