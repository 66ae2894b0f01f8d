package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// cited asks and returns the id of the citation in the answer.
func (s *suite) cited(in voiceassist.SignIn) (conversation, citation string) {
	s.t.Helper()
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	events := k.answer()
	done := events[len(events)-1]
	return done.text("conversation_id"), done["citations"].([]any)[0].(map[string]any)["id"].(string)
}

func TestWrongCitationIsReportedAndSettled(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	conversation, citation := s.cited(in)
	path := "/api/citations/" + citation + "/report"
	made := s.want(201, s.do("POST", path, `{"reason":"outdated"}`, token))
	again := s.want(201, s.do("POST", path, `{"reason":"wrong_quote","comment":"It says the opposite."}`, token))
	id := again.at("id").(string)
	if made.at("id") != id || again.at("reason") != "wrong_quote" || again.at("state") != "open" || again.at("citationId") != citation ||
		again.at("citation", "quote") != "helps" || again.at("reporterId") != in.User.ID.String() {
		t.Errorf("reported are %s and %s", made.text, again.text)
	}
	for body, status := range map[string]int{
		`{}`: 422, `{"reason":"ugly"}`: 422, `{"reason":7}`: 422, `{"reason":"other","comment":"` + strings.Repeat("x", 2001) + `"}`: 422, `{`: 400,
	} {
		s.want(status, s.do("POST", path, body, token))
	}
	s.want(404, s.do("POST", path, `{"reason":"other"}`, as(s.stranger())))
	s.want(404, s.do("POST", "/api/citations/nonsense/report", `{"reason":"other"}`, token))
	s.want(404, s.do("POST", "/api/citations/"+uuid.NewString()+"/report", `{"reason":"other"}`, token))

	const list = "/api/admin/kb/citation-reports"
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	s.want(403, s.do("GET", list, "", token))
	open := s.want(200, s.do("GET", list+"?state=open", "", as(viewer.Tokens.Access)))
	if rows, _ := open.at("reports").([]any); open.at("total") != 1.0 || len(rows) != 1 || rows[0].(map[string]any)["comment"] != "It says the opposite." {
		t.Errorf("the open ones are %s", open.text)
	}
	s.want(422, s.do("GET", list+"?state=closed", "", as(viewer.Tokens.Access)))
	s.want(403, s.do("PATCH", list+"/"+id, `{"state":"resolved"}`, as(viewer.Tokens.Access)))
	settled := s.want(200, s.do("PATCH", list+"/"+id, `{"state":"resolved","note":"Reindexed."}`, as(admin.Tokens.Access)))
	if settled.at("state") != "resolved" || settled.at("note") != "Reindexed." || settled.at("resolvedBy") != admin.User.ID.String() || settled.at("resolved_at") == nil {
		t.Errorf("settled is %s", settled.text)
	}
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = 'citation_report.changed' AND resource_id = $1 AND user_id = $2`, id, admin.User.ID); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
	for state, want := range map[string]float64{"open": 0, "resolved": 1} {
		if r := s.want(200, s.do("GET", list+"?state="+state, "", as(viewer.Tokens.Access))); r.at("total") != want {
			t.Errorf("%s are %s", state, r.text)
		}
	}
	if r := s.want(200, s.do("POST", list+"/"+id, `{"state":"open"}`, as(admin.Tokens.Access))); r.at("note") != "Reindexed." || r.at("resolved_by") != nil {
		t.Errorf("opened again is %s", r.text)
	}
	s.want(422, s.do("PATCH", list+"/"+id, `{"state":"gone"}`, as(admin.Tokens.Access)))
	s.want(404, s.do("PATCH", list+"/"+uuid.NewString(), `{"state":"open"}`, as(admin.Tokens.Access)))

	// The report outlives the answer, with what it was about.
	s.want(200, s.do("DELETE", "/api/conversations/"+conversation, "", token))
	left := s.want(200, s.do("GET", list, "", as(viewer.Tokens.Access)))
	row := left.at("reports").([]any)[0].(map[string]any)
	if row["citation_id"] != nil || row["citation"].(map[string]any)["quote"] != "helps" {
		t.Errorf("left is %s", left.text)
	}
}
