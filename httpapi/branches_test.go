package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// other registers a second user.
func (s *suite) other() func(*http.Request) {
	s.t.Helper()
	in, err := s.accounts.Register(s.t.Context(), voiceassist.Registration{Email: "other@example.org", Password: password, FullName: "O"})
	if err != nil {
		s.t.Fatal(err)
	}
	return as(in.Tokens.Access)
}

// conversation begins a conversation and returns its path.
func (s *suite) conversation(token func(*http.Request)) string {
	s.t.Helper()
	id, _ := s.want(201, s.do("POST", "/api/conversations", "", token)).at("id").(string)
	return "/api/conversations/" + id
}

// say stores a message and returns its id.
func (s *suite) say(conversation, branch, content string, token func(*http.Request)) string {
	s.t.Helper()
	body := `{"content":"` + content + `","branchId":"` + branch + `"}`
	id, _ := s.want(201, s.do("POST", conversation+"/messages", body, token)).at("id").(string)
	return id
}

// contents are the texts of a list of messages.
func contents(r response) []string {
	list, _ := r.at("messages").([]any)
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i], _ = m.(map[string]any)["content"].(string)
	}
	return texts
}

func TestBranchSeesItsAncestorsUpToTheFork(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c := s.conversation(token)
	s.say(c, "main", "1", token)
	fork := s.say(c, "main", "2", token)
	s.say(c, "main", "3", token)
	made := s.want(201, s.do("POST", c+"/branches", `{"parentMessageId":"`+fork+`","initialMessage":"2a"}`, token))
	a, _ := made.at("branchId").(string)
	if made.at("parent_message_id") != fork || made.at("message_count") != 3.0 || made.at("sessionId") != strings.TrimPrefix(c, "/api/conversations/") {
		t.Errorf("the branch is %s", made.text)
	}
	inner := s.say(c, a, "2b", token)
	s.say(c, a, "2c", token)
	b, _ := s.want(201, s.do("POST", c+"/branches", `{"parent_message_id":"`+inner+`"}`, token)).at("branch_id").(string)
	s.say(c, b, "2b'", token)
	s.say(c, "main", "4", token)

	for branch, want := range map[string][]string{
		"main": {"1", "2", "3", "4"}, a: {"1", "2", "2a", "2b", "2c"}, b: {"1", "2", "2a", "2b", "2b'"},
	} {
		for _, path := range []string{c + "/messages?branch_id=" + branch, c + "/branches/" + branch + "/messages"} {
			list := s.want(200, s.do("GET", path, "", token))
			if diff := cmp.Diff(want, contents(list)); diff != "" || list.at("total") != float64(len(want)) {
				t.Errorf("%s: %s", path, diff)
			}
		}
	}
	page := s.want(200, s.do("GET", c+"/branches/"+b+"/messages?page=2&pageSize=2", "", token))
	if diff := cmp.Diff([]string{"2a", "2b"}, contents(page)); diff != "" {
		t.Error(diff)
	}
	list := s.want(200, s.do("GET", c+"/branches", "", token))
	rows, _ := list.at("data").([]any)
	if len(rows) != 3 || rows[0].(map[string]any)["branchId"] != "main" || rows[0].(map[string]any)["parent_message_id"] != nil ||
		rows[2].(map[string]any)["messageCount"] != 5.0 || rows[2].(map[string]any)["lastActivity"] == nil {
		t.Errorf("the branches are %s", list.text)
	}
	if got := s.want(200, s.do("GET", c, "", token)); got.at("message_count") != 8.0 || got.at("last_message_preview") != "4" {
		t.Errorf("the conversation is %s", got.text)
	}
}

func TestBranchOutlivesTheMessageItWasForkedFrom(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c := s.conversation(token)
	first := s.say(c, "main", "1", token)
	fork := s.say(c, "main", "2", token)
	b, _ := s.want(201, s.do("POST", c+"/branches", `{"parent_message_id":"`+fork+`","initial_message":"2a"}`, token)).at("branch_id").(string)
	s.want(200, s.do("DELETE", c+"/messages/"+fork, "", token))
	list := s.want(200, s.do("GET", c+"/branches/"+b+"/messages", "", token))
	if diff := cmp.Diff([]string{"1", "2a"}, contents(list)); diff != "" {
		t.Error(diff)
	}
	if last := list.at("messages").([]any)[1].(map[string]any); last["parent_id"] != first {
		t.Errorf("what followed the deleted message follows %v", last["parent_id"])
	}
	branches, _ := s.want(200, s.do("GET", c+"/branches", "", token)).at("data").([]any)
	if branches[1].(map[string]any)["parent_message_id"] != first {
		t.Errorf("the branch begins after %v", branches[1])
	}
	s.want(404, s.do("DELETE", c+"/messages/"+fork, "", token))
}

func TestBranchesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c, elsewhere := s.conversation(token), s.conversation(token)
	own, strange := s.say(c, "main", "1", token), s.say(elsewhere, "main", "1", token)
	for body, status := range map[string]int{
		`{}`:                                      422,
		`{"parent_message_id":""}`:                422,
		`{"parent_message_id":7}`:                 422,
		`{"parent_message_id":"nonsense"}`:        404,
		`{"parent_message_id":"` + strange + `"}`: 404,
		`{"parent_message_id":"` + own + `","initial_message":"  "}`:                                422,
		`{"parent_message_id":"` + own + `","initial_message":"` + strings.Repeat("x", 8001) + `"}`: 422,
	} {
		if r := s.do("POST", c+"/branches", body, token); r.status != status {
			t.Errorf("%.60s: status %d, want %d", body, r.status, status)
		}
	}
	if branches, _ := s.want(200, s.do("GET", c+"/branches", "", token)).at("data").([]any); len(branches) != 1 {
		t.Errorf("there are %d branches", len(branches))
	}
	s.want(404, s.do("GET", c+"/branches/"+uuid.NewString()+"/messages", "", token))
	s.want(404, s.do("POST", c+"/messages", `{"content":"x","branch_id":"typo"}`, token))
	stranger := s.other()
	s.want(404, s.do("GET", c+"/branches", "", stranger))
	s.want(404, s.do("POST", c+"/branches", `{"parent_message_id":"`+own+`"}`, stranger))
	s.want(404, s.do("GET", c+"/branches/main/messages", "", stranger))

	k := s.connect(in)
	for _, conversation := range []string{"", strings.TrimPrefix(c, "/api/conversations/")} {
		k.send(`{"type":"message_send","content":"Why?","branch_id":"typo","conversation_id":"` + conversation + `"}`)
		if e := k.want("error"); e.text("code") != "NOT_FOUND" {
			t.Errorf("the socket says %v", e)
		}
	}
	if list := s.want(200, s.do("GET", "/api/conversations", "", token)); list.at("total") != 2.0 {
		t.Errorf("the refused question began a conversation: %s", list.text)
	}
}

func TestQuestionOnTheSocketIsAnsweredInItsBranch(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c := s.conversation(token)
	fork := s.say(c, "main", "1", token)
	b, _ := s.want(201, s.do("POST", c+"/branches", `{"parent_message_id":"`+fork+`"}`, token)).at("branch_id").(string)
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?","branch_id":"` + b + `","conversation_id":"` + strings.TrimPrefix(c, "/api/conversations/") + `"}`)
	k.answer()
	list := s.want(200, s.do("GET", c+"/branches/"+b+"/messages", "", token))
	if diff := cmp.Diff([]string{"1", "Does aspirin help?", answerText}, contents(list)); diff != "" {
		t.Error(diff)
	}
	if question := list.at("messages").([]any)[1].(map[string]any); question["parent_id"] != fork {
		t.Errorf("the question follows %v", question["parent_id"])
	}
}
