package httpapi_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestMessageIsStoredOnceForItsClientsName(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c := s.conversation(token)
	const body = `{"content":"What is gout?","client_message_id":"c1","metadata":{"source":"voice","n":[1]}}`
	replies := make([]response, 6)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() { replies[i] = s.do("POST", c+"/messages", body, token) })
	}
	wg.Wait()
	fresh := 0
	for _, r := range replies {
		if r.at("id") != replies[0].at("id") || (r.status == 201) != (r.at("is_duplicate") == false) || r.status/100 != 2 {
			t.Errorf("status %d: %s", r.status, r.text)
		}
		if r.status == 201 {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of them are new", fresh)
	}
	if m := replies[0]; m.at("role") != "user" || m.at("metadata", "source") != "voice" || m.at("branchId") != "main" || m.at("status") != "complete" {
		t.Errorf("stored is %s", m.text)
	}
	got := s.want(200, s.do("GET", c, "", token))
	if got.at("title") != "What is gout?" || got.at("message_count") != 1.0 {
		t.Errorf("the conversation is %s", got.text)
	}
	// The name belongs to its branch.
	id, _ := replies[0].at("id").(string)
	b, _ := s.want(201, s.do("POST", c+"/branches", `{"parent_message_id":"`+id+`"}`, token)).at("branch_id").(string)
	s.want(201, s.do("POST", c+"/messages", `{"content":"x","client_message_id":"c1","branch_id":"`+b+`"}`, token))
}

func TestMessagesThatCannotBeStoredAreRefused(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c, elsewhere := s.conversation(token), s.conversation(token)
	strange := s.say(elsewhere, "main", "1", token)
	for body, status := range map[string]int{
		`{"content":"x","role":"system","metadata":null,"parent_message_id":null,"branch_id":null}`: 201,
		`{"content":"` + strings.Repeat("é", 32000) + `","role":"assistant"}`:                       201,
		`{"content":"` + strings.Repeat("é", 32001) + `","role":"assistant"}`:                       422,
		`{"content":"` + strings.Repeat("é", 8001) + `"}`:                                           422,
		`{"content":" \n "}`:              422,
		`{}`:                              422,
		`{"content":"x","role":"doctor"}`: 422,
		`{"content":"a\u0000b"}`:          422,
		`{"content":"x","metadata":{"a":"\u0000"}}`: 422,
		`{"content":"x","metadata":[1]}`:            422,
		`{"content":"x","metadata":{"a":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `}}`: 201,
		`{"content":"x","metadata":{"a":"` + strings.Repeat("x", 17000) + `"}}`:                          422,
		`{"content":"x","client_message_id":"` + strings.Repeat("x", 201) + `"}`:                         422,
		`{"content":"x","parent_message_id":"nonsense"}`:                                                 404,
		`{"content":"x","parent_message_id":"` + strange + `"}`:                                          404,
		`{"content":`: 400,
	} {
		if r := s.do("POST", c+"/messages", body, token); r.status != status {
			t.Errorf("%.80s: status %d, want %d: %.300s", body, r.status, status, r.text)
		}
	}
	s.want(404, s.do("POST", "/api/conversations/"+uuid.NewString()+"/messages", `{"content":"x"}`, token))
	s.want(404, s.do("POST", c+"/messages", `{"content":"x"}`, s.other()))
}

func TestOnlyWhatTheUserSaidCanBeChanged(t *testing.T) {
	t.Parallel()
	a := &assistant{hold: make(chan struct{})}
	s, in := startChat(t, a)
	token := as(in.Tokens.Access)
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	chunk := k.want("chunk")
	c := "/api/conversations/" + chunk.text("conversation_id")
	answer := c + "/messages/" + chunk.text("message_id")
	s.want(409, s.do("DELETE", answer, "", token)) // while it is being written
	s.want(409, s.do("POST", answer+"/regenerate", "", token))
	close(a.hold)
	k.answer()
	list := s.want(200, s.do("GET", c+"/messages", "", token))
	question := c + "/messages/" + list.at("messages").([]any)[0].(map[string]any)["id"].(string)

	s.want(409, s.do("PATCH", answer, `{"content":"It does not."}`, token))
	s.want(422, s.do("PATCH", question, `{"content":""}`, token))
	s.want(422, s.do("PATCH", question, `{}`, token))
	changed := s.want(200, s.do("PATCH", question, `{"content":"Does it?"}`, token))
	if changed.at("content") != "Does it?" || changed.at("role") != "user" {
		t.Errorf("changed is %s", changed.text)
	}
	stranger := s.other()
	s.want(404, s.do("PATCH", question, `{"content":"Mine"}`, stranger))
	s.want(404, s.do("DELETE", question, "", stranger))
	s.want(404, s.do("POST", question+"/regenerate", "", stranger))
	s.want(404, s.do("PATCH", c+"/messages/nonsense", `{"content":"x"}`, token))

	s.want(200, s.do("DELETE", question, "", token))
	left := s.want(200, s.do("GET", c+"/messages", "", token))
	if left.at("total") != 1.0 || left.at("messages").([]any)[0].(map[string]any)["parent_id"] != nil {
		t.Errorf("left is %s", left.text)
	}
	if got := s.want(200, s.do("GET", c, "", token)); got.at("message_count") != 1.0 {
		t.Errorf("the conversation is %s", got.text)
	}
	s.want(409, s.do("POST", answer+"/regenerate", "", token)) // its question is gone
}
