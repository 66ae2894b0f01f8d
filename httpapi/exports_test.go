package httpapi_test

import (
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestConversationIsExportedAsMarkdown(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c, _ := s.answered(in)
	s.want(200, s.do("PATCH", c, `{"title":"../Ärzte: \"Aspirin\""}`, token))
	path := strings.Replace(c, "/conversations/", "/sessions/", 1) + "/export/markdown"
	r := s.want(200, s.do("GET", path, "", token))
	for _, part := range []string{"# ../Ärzte: \"Aspirin\"\n", "## User\n", "\nDoes aspirin help?\n", "Aspirin helps \\[1\\].", "### References", "> helps\n"} {
		if !strings.Contains(r.text, part) {
			t.Errorf("%q is not in it:\n%s", part, r.text)
		}
	}
	disposition, params, err := mime.ParseMediaType(r.header.Get("Content-Disposition"))
	if err != nil || disposition != "attachment" || params["filename"] != "Ärzte Aspirin.md" {
		t.Errorf("Content-Disposition is %q", r.header.Get("Content-Disposition"))
	}
	if r.header.Get("Content-Type") != "text/markdown; charset=utf-8" {
		t.Errorf("Content-Type is %q", r.header.Get("Content-Type"))
	}
	alias := strings.Replace(path, "/api/sessions/", "/api/export/sessions/", 1)
	s.want(404, s.do("GET", alias+"/nothing", "", token))
	s.want(404, s.do("GET", path+"?branch_id=typo", "", token))
	s.want(404, s.do("GET", path, "", s.other()))
	s.want(404, s.do("GET", "/api/sessions/"+uuid.NewString()+"/export/markdown", "", token))
	s.want(401, s.do("GET", path, ""))
}

func TestLongConversationIsExportedWhole(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	token := as(in.Tokens.Access)
	c := s.conversation(token)
	s.sql(`INSERT INTO messages (id, conversation_id, role, content, status)
		SELECT gen_random_uuid(), $1, 'user', 'message ' || n || '.', 'complete' FROM generate_series(1, 250) n`, strings.TrimPrefix(c, "/api/conversations/"))
	path := strings.Replace(c, "/conversations/", "/sessions/", 1) + "/export/"
	r := s.want(200, s.do("GET", path+"markdown", "", token))
	if n := strings.Count(r.text, "\n## User\n"); n != 250 || !strings.Contains(r.text, "message 250.") {
		t.Errorf("%d messages are exported", n)
	}
	pdf := s.want(200, s.do("GET", path+"pdf", "", token))
	if n := strings.Count(pdf.text, "/Type /Page\n"); n < 5 {
		t.Errorf("they are on %d pages", n)
	}
}

func TestConversationIsExportedAsPDF(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	c, _ := s.answered(in)
	path := strings.Replace(c, "/conversations/", "/sessions/", 1) + "/export/pdf"
	// A link of a page opens with the cookie.
	cookie := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "va_session", Value: in.Cookie}) }
	r := s.want(200, s.do("GET", path, "", cookie))
	if !strings.HasPrefix(r.text, "%PDF-") || r.header.Get("Content-Type") != "application/pdf" ||
		!strings.Contains(r.header.Get("Content-Disposition"), "Does aspirin help.pdf") {
		t.Errorf("sent is %.100s with %v", r.text, r.header)
	}
	s.want(404, s.do("GET", path, "", s.other()))
	s.want(404, s.do("GET", "/api/sessions/nonsense/export/pdf", "", cookie))
}
