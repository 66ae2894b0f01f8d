package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

func TestConversationLivesThroughTheAPI(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	made := s.want(201, s.do("POST", "/api/conversations", `{"title":" Aspirin "}`, token))
	id, _ := made.at("id").(string)
	if made.at("title") != "Aspirin" || made.at("userId") != in.User.ID.String() || made.at("messageCount") != 0.0 || made.at("folderId") != nil {
		t.Errorf("made is %s", made.text)
	}
	for method, body := range map[string]string{"PUT": `{"title":"Stroke"}`, "PATCH": `{"archived":true}`} {
		s.want(200, s.do(method, "/api/conversations/"+id, body, token))
	}
	got := s.want(200, s.do("GET", "/conversations/"+id, "", token))
	if got.at("data", "title") != "Stroke" || got.at("archived") != true || got.at("createdAt") == nil || got.at("created_at") == nil {
		t.Errorf("changed is %s", got.text)
	}
	for query, want := range map[string]float64{"": 1, "?archived=true": 1, "?archived=false": 0, "?search=STROKE": 1, "?search=gout": 0} {
		if list := s.want(200, s.do("GET", "/api/conversations"+query, "", token)); list.at("total") != want || list.at("pageSize") != 20.0 {
			t.Errorf("the list %s is %s", query, list.text)
		}
	}
	if flat := s.want(200, s.do("GET", "/v1/api/conversations", "", token)); !strings.HasPrefix(flat.text, `{"items":[{"id":`) || flat.at("total") != 1.0 || flat.at("data") != nil {
		t.Errorf("the flat list is %s", flat.text)
	}
	s.want(200, s.do("DELETE", "/api/conversations/"+id, "", token))
	s.want(404, s.do("GET", "/api/conversations/"+id, "", token))
	s.want(404, s.do("GET", "/api/conversations/nonsense", "", token))
	s.want(401, s.do("GET", "/api/conversations", ""))
	s.want(422, s.do("POST", "/api/conversations", `{"title":"`+strings.Repeat("x", 201)+`"}`, token))
	s.want(201, s.do("POST", "/api/conversations", "", token))
}

func TestMessagesAndCitationsAreReadBack(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?","client_message_id":"c1"}`)
	conversation := k.answer()[0].text("conversation_id")

	list := s.want(200, s.do("GET", "/api/conversations/"+conversation+"/messages?branch_id=main&limit=50", "", token))
	messages, _ := list.at("messages").([]any)
	if len(messages) != 2 || list.at("total") != 2.0 {
		t.Fatalf("the messages are %s", list.text)
	}
	question, answer := messages[0].(map[string]any), messages[1].(map[string]any)
	if question["clientMessageId"] != "c1" || question["role"] != "user" || question["sessionId"] != conversation || question["timestamp"].(float64) < 1e12 {
		t.Errorf("the question is %v", question)
	}
	if answer["parentId"] != question["id"] || answer["status"] != "complete" || answer["branchId"] != "main" {
		t.Errorf("the answer is %v", answer)
	}
	cited := answer["citations"].([]any)[0].(map[string]any)
	for _, name := range []string{"documentId", "sourceType", "snippet", "page_label", "char_start", "relevanceScore", "pubmedId", "publicationYear", "authors"} {
		if _, has := cited[name]; !has {
			t.Errorf("the citation has no %s: %v", name, cited)
		}
	}
	one := s.want(200, s.do("GET", "/api/citations/"+cited["id"].(string), "", token))
	if one.at("quote") != "helps" || one.at("passage") != nil || one.at("message_id") != answer["id"] {
		t.Errorf("the citation is %s", one.text)
	}
	s.want(404, s.do("GET", "/api/citations/"+uuid.NewString(), "", token))
	s.want(404, s.do("GET", "/api/conversations/"+conversation+"/messages?branch_id=other", "", token))
	other, err := s.accounts.Register(t.Context(), voiceassist.Registration{Email: "other@example.org", Password: password, FullName: "O"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/conversations/" + conversation, "/api/conversations/" + conversation + "/messages", "/api/citations/" + cited["id"].(string)} {
		s.want(404, s.do("GET", path, "", as(other.Tokens.Access)))
	}
}
