package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// answered begins a conversation with a question and its answer, whose path it
// returns.
func (s *suite) answered(in voiceassist.SignIn) (conversation, answer string) {
	s.t.Helper()
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	first := k.answer()[0]
	conversation = "/api/conversations/" + first.text("conversation_id")
	return conversation, conversation + "/messages/" + first.text("message_id")
}

func TestAnswerIsWrittenAgainInABranchOfItsOwn(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	s, in := startChat(t, a)
	token := as(in.Tokens.Access)
	c, answer := s.answered(in)
	s.say(c, "main", "Thank you", token)
	again := s.want(200, s.do("POST", answer+"/regenerate", `{"temperature":0.7,"lengthPreference":"detailed","use_clinical_context":false}`, token))
	branch, _ := again.at("branchId").(string)
	message, _ := again.at("message").(map[string]any)
	if branch == "main" || message["branch_id"] != branch || message["content"] != answerText || message["status"] != "complete" ||
		len(message["citations"].([]any)) != 1 || !strings.HasSuffix(answer, again.at("original_message_id").(string)) {
		t.Errorf("the answer is %s", again.text)
	}
	for name, want := range map[string][]string{
		"main": {"Does aspirin help?", answerText, "Thank you"}, branch: {"Does aspirin help?", answerText},
	} {
		list := s.want(200, s.do("GET", c+"/branches/"+name+"/messages", "", token))
		if diff := cmp.Diff(want, contents(list)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	temperature := 0.7
	want := []voiceassist.AnswerStyle{{Temperature: &temperature, Length: voiceassist.LongAnswer}}
	if diff := cmp.Diff(want, a.styles); diff != "" {
		t.Error(diff)
	}
}

func TestAnswerIsWrittenAgainBesideTheFirst(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c, _ := s.answered(in)
	question := s.want(200, s.do("GET", c+"/messages", "", token)).at("messages").([]any)[0].(map[string]any)["id"].(string)
	again := s.want(200, s.do("POST", c+"/messages/"+question+"/regenerate", `{"create_branch":false,"temperature":null}`, token))
	message, _ := again.at("message").(map[string]any)
	if again.at("branch_id") != "main" || message["parent_id"] != question {
		t.Errorf("the answer is %s", again.text)
	}
	if list := s.want(200, s.do("GET", c+"/messages", "", token)); list.at("total") != 3.0 {
		t.Errorf("the messages are %s", list.text)
	}
}

func TestAnswersThatCannotBeWrittenAgain(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	s, in := startChat(t, a)
	token := as(in.Tokens.Access)
	c, answer := s.answered(in)
	for _, body := range []string{
		`{"temperature":-0.1}`, `{"temperature":2.1}`, `{"temperature":"hot"}`, `{"length_preference":"endless"}`, `{"create_branch":"yes"}`,
	} {
		if r := s.do("POST", answer+"/regenerate", body, token); r.status != 422 {
			t.Errorf("%s: status %d", body, r.status)
		}
	}
	s.want(404, s.do("POST", c+"/messages/nonsense/regenerate", "", token))
	s.want(404, s.do("POST", answer+"/regenerate", `{"clinical_context_id":"nonsense"}`, token))
	system, _ := s.want(201, s.do("POST", c+"/messages", `{"content":"x","role":"system"}`, token)).at("id").(string)
	s.want(409, s.do("POST", c+"/messages/"+system+"/regenerate", "", token))
	if branches, _ := s.want(200, s.do("GET", c+"/branches", "", token)).at("data").([]any); len(branches) != 1 {
		t.Errorf("refusals left %d branches", len(branches))
	}
	a.err = voiceassist.Errorf(voiceassist.Unavailable, "the model is away")
	if r := s.want(503, s.do("POST", answer+"/regenerate", "", token)); r.at("error", "message") != "the model is away" {
		t.Errorf("told is %s", r.text)
	}
	mute := start(t, func(o *httpapi.Options) { o.Assistant = nil })
	mute.want(503, mute.do("POST", answer+"/regenerate", "", as(mute.signIn(voiceassist.RoleUser).Tokens.Access)))
}

func TestAnswersWrittenAgainCountAsQuestions(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	s, in := startChat(t, a)
	_, answer := s.answered(in)
	a.hold = make(chan struct{})
	k := s.connect(in)
	for range 4 {
		k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
		k.want("chunk")
	}
	s.want(429, s.do("POST", answer+"/regenerate", "", as(in.Tokens.Access)))
	k.send(`{"type":"cancel"}`)
	for range 4 {
		k.want("message_done")
	}
	close(a.hold)
	s.want(200, s.do("POST", answer+"/regenerate", "", as(in.Tokens.Access)))
}
