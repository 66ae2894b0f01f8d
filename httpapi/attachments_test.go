package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// question asks over a socket and returns the ids of conversation and question.
func (s *suite) question(in voiceassist.SignIn) (conversation, message string) {
	s.t.Helper()
	k := s.connect(in)
	k.send(`{"type":"message","content":"Does aspirin help?"}`)
	created := k.want("user_message.created")
	k.answer()
	return created.text("session_id"), created.text("messageId")
}

func TestAttachmentLivesThroughTheAPI(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	token := in.Tokens.Access
	conversation, message := s.question(in)
	path := "/api/messages/" + message + "/attachments"
	direct := s.want(201, s.upload(token, "/api/attachments/messages/"+message+"/attachments", part{"file", "a.txt", "One."}))
	file := s.mustKeep(token, "b.txt", "Two.").at("id").(string)
	named := s.want(201, s.do("POST", path, `{"fileId":"`+file+`"}`, as(token)))
	again := s.want(201, s.do("POST", path, `{"file_id":"`+file+`"}`, as(token)))
	if named.at("id") != again.at("id") || named.at("fileId") != file || named.at("messageId") != message || named.at("text_status") != "extracted" ||
		direct.at("file_name") != "a.txt" || direct.at("fileSize") != 4.0 {
		t.Errorf("attached are %s, %s and %s", direct.text, named.text, again.text)
	}
	list := s.want(200, s.do("GET", path, "", as(token)))
	if rows, _ := list.at("data").([]any); len(rows) != 2 || rows[0].(map[string]any)["id"] != direct.at("id") || list.at("total") != 2.0 {
		t.Errorf("the list is %s", list.text)
	}
	messages := s.want(200, s.do("GET", "/api/conversations/"+conversation+"/messages", "", as(token)))
	rows, _ := messages.at("messages").([]any)
	if attached := rows[0].(map[string]any)["attachments"].([]any); len(attached) != 2 || attached[1].(map[string]any)["id"] != named.at("id") {
		t.Errorf("the message shows %v", attached)
	}
	if none := rows[1].(map[string]any)["attachments"].([]any); len(none) != 0 {
		t.Errorf("the answer shows %v", none)
	}
	session := "/api/sessions/" + conversation
	link := s.want(201, s.do("POST", session+"/share", "", as(token))).at("shareId").(string)
	shared, _ := s.want(200, s.do("GET", "/api/shared/"+link, "")).at("messages").([]any)
	if names := shared[0].(map[string]any)["attachments"].([]any); len(names) != 2 || names[0] != "a.txt" || names[1] != "b.txt" {
		t.Errorf("readers of a link see %v", names)
	}
	if text := s.want(200, s.do("GET", session+"/export/markdown", "", as(token))).text; !strings.Contains(text, "\nAttached: a.txt, b.txt\n") {
		t.Errorf("the export is %s", text)
	}
	download := named.at("url").(string)
	if got := s.want(200, s.do("GET", download, "", header("Cookie", "va_session="+in.Tokens.Cookie))); got.text != "Two." {
		t.Errorf("downloaded is %q", got.text)
	}

	stranger := s.stranger()
	attachment := "/api/attachments/" + named.at("id").(string)
	for method, where := range map[string]string{"GET": path, "DELETE": attachment, "POST": path} {
		s.want(404, s.do(method, where, `{"file_id":"`+file+`"}`, as(stranger)))
	}
	s.want(404, s.do("GET", download, "", as(stranger)))
	s.want(404, s.upload(stranger, path, part{"file", "a.txt", "One."}))

	s.want(200, s.do("DELETE", attachment, "", as(token)))
	s.want(404, s.do("GET", download, "", as(token)))
	s.want(404, s.do("GET", "/api/files/"+file, "", as(token))) // it went with its last attachment
	s.want(404, s.do("DELETE", attachment, "", as(token)))
	if n := blobs(t, store.Blobs); n != 1 {
		t.Errorf("%d blobs, want 1", n)
	}
}

func TestBadAttachmentsAreRefused(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	token := in.Tokens.Access
	_, message := s.question(in)
	path := "/api/messages/" + message + "/attachments"
	foreign := s.mustKeep(s.stranger(), "a.txt", "Theirs.").at("id").(string)
	large := s.mustKeep(token, "large.bin", "\x00"+strings.Repeat("x", 10<<20)).at("id").(string)
	for body, status := range map[string]int{
		``:                                       422,
		`{}`:                                     422,
		`{"file_id":7}`:                          422,
		`{"file_id":"x\u0000"}`:                  422,
		`{"file_id"`:                             400,
		`{"file_id":"x"}`:                        404,
		`{"file_id":"` + uuid.NewString() + `"}`: 404,
		`{"file_id":"` + foreign + `"}`:          404,
		`{"file_id":"` + large + `"}`:            413,
		`"` + strings.Repeat("x", 20<<10) + `"`:  413,
	} {
		if r := s.do("POST", path, body, as(token)); r.status != status {
			t.Errorf("%.40s: %d, want %d: %s", body, r.status, status, r.text)
		}
	}
	s.want(404, s.do("POST", "/api/messages/nonsense/attachments", `{"file_id":"`+large+`"}`, as(token)))
	before := blobs(t, store.Blobs)
	s.want(413, s.upload(token, path, part{"file", "b.bin", "\x00" + strings.Repeat("x", 10<<20)}))
	s.want(413, s.upload(token, path, part{"file", "b.bin", "\x00" + strings.Repeat("x", 12<<20)}))
	for range voiceassist.MaxAttachments {
		s.want(201, s.upload(token, path, part{"file", "a.txt", "One."}))
	}
	s.want(409, s.upload(token, path, part{"file", "a.txt", "One."}))
	if n := blobs(t, store.Blobs); n != before+voiceassist.MaxAttachments {
		t.Errorf("%d blobs, want %d", n, before+voiceassist.MaxAttachments)
	}
}

func TestQuestionsCarryAttachments(t *testing.T) {
	t.Parallel()
	s, _, in := startFiles(t)
	token := in.Tokens.Access
	one, two := s.mustKeep(token, "a.txt", "One.").at("id").(string), s.mustKeep(token, "b.txt", "Two.").at("id").(string)
	k := s.connect(in)
	foreign := s.mustKeep(s.stranger(), "a.txt", "Theirs.").at("id").(string)
	for refs, code := range map[string]string{
		`["` + foreign + `"]`:          "NOT_FOUND",
		`["` + uuid.NewString() + `"]`: "NOT_FOUND",
		`["some name.pdf"]`:            "NOT_FOUND",
		`[{}]`:                         "NOT_FOUND",
		`[7]`:                          "INVALID_EVENT",
		`"` + one + `"`:                "INVALID_EVENT",
		`[` + strings.Repeat(`"x",`, voiceassist.MaxAttachments) + `"x"]`: "INVALID_EVENT",
	} {
		k.send(`{"type":"message_send","content":"Why?","attachments":` + refs + `}`)
		if e := k.want("error"); e.text("code") != code {
			t.Errorf("%s: %v, want %s", refs, e, code)
		}
	}
	if n := s.count(`SELECT count(*) FROM conversations`); n != 0 {
		t.Errorf("%d conversations were begun by questions that were refused", n)
	}
	k.send(`{"type":"message_send","content":"Why?","attachments":["` + one + `",{"id":"` + two + `","name":"b.txt"},"` + one + `"]}`)
	conversation := k.answer()[0].text("conversation_id")
	k.send(`{"type":"message_send","content":"And now?","attachments":null}`)
	k.answer()
	r := s.want(200, s.do("GET", "/v1/api/conversations/"+conversation+"/messages", "", as(token)))
	if strings.Count(r.text, `"file_id":"`) != 4 || // items and messages are the same rows
		!strings.Contains(r.text, `"file_id":"`+two) {
		t.Errorf("the messages are %s", r.text)
	}
}
