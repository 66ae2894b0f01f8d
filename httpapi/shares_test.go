package httpapi_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// shared begins a conversation with an answer and shares it.
func (s *suite) shared(in voiceassist.SignIn, body string) (session, link string, r response) {
	s.t.Helper()
	c, _ := s.answered(in)
	session = strings.Replace(c, "/conversations/", "/sessions/", 1)
	r = s.want(201, s.do("POST", session+"/share", body, as(in.Tokens.Access)))
	link, _ = r.at("shareUrl").(string)
	return session, link, r
}

func TestSharedConversationIsReadByAnybodyWithItsLink(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	session, link, made := s.shared(in, `{"expiresInHours":24}`)
	token := as(in.Tokens.Access)
	if made.at("passwordProtected") != false || made.at("shareId") == nil || made.at("expiresAt") == nil || !strings.HasPrefix(link, "/shared/") || len(link) < 50 {
		t.Errorf("made is %s", made.text)
	}
	read := s.want(200, s.do("GET", "/api"+link, ""))
	messages, _ := read.at("messages").([]any)
	if read.at("title") != "Does aspirin help?" || len(messages) != 2 || read.at("total") != 2.0 {
		t.Fatalf("read is %s", read.text)
	}
	if answer := messages[1].(map[string]any); answer["content"] != answerText || answer["citations"].([]any)[0].(map[string]any)["quote"] != "helps" {
		t.Errorf("the answer is %v", answer)
	}
	for _, secret := range []string{in.User.ID.String(), in.User.Email, in.User.FullName} {
		if strings.Contains(read.text, secret) {
			t.Errorf("%s is told", secret)
		}
	}
	s.want(200, s.do("GET", "/api/shared/"+made.at("shareId").(string), ""))
	s.want(200, s.do("GET", link, ""))
	if page := s.want(200, s.do("GET", link+"?offset=1&limit=1", "")); len(page.at("messages").([]any)) != 1 {
		t.Errorf("the page is %s", page.text)
	}
	list := s.want(200, s.do("GET", session+"/shares", "", token))
	rows, _ := list.at("data").([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["shareId"] != made.at("id") || made.at("shareUrl") != "/shared/"+made.at("shareId").(string) || strings.Contains(list.text, strings.TrimPrefix(link, "/shared/")) {
		t.Errorf("the list is %s", list.text)
	}
	s.want(404, s.do("GET", "/api/shared/"+made.at("id").(string), ""))
	s.want(200, s.do("DELETE", session+"/share/"+made.at("id").(string), "", token))
	s.want(410, s.do("GET", link, ""))
	s.want(200, s.do("DELETE", session+"/share/"+made.at("shareId").(string), "", token)) // once more changes nothing
	if gone := s.do("GET", link, ""); gone.at("error", "code") != "GONE" {
		t.Errorf("told is %s", gone.text)
	}
	if rows, _ := s.want(200, s.do("GET", session+"/shares", "", token)).at("data").([]any); len(rows) != 0 {
		t.Errorf("listed are %v", rows)
	}
	s.want(404, s.do("GET", "/api/shared/nonsense", ""))
}

func TestLinkIsRevokedByItsTokenAndEndsByItself(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	session, link, _ := s.shared(in, "")
	token := as(in.Tokens.Access)
	s.want(200, s.do("DELETE", session+"/share/"+strings.TrimPrefix(link, "/shared/"), "", token))
	s.want(410, s.do("GET", link, ""))
	expired, _ := s.want(201, s.do("POST", session+"/share", `{"expires_in_hours":1}`, token)).at("share_url").(string)
	s.want(200, s.do("GET", expired, ""))
	s.sql(`UPDATE shares SET expires_at = now() - interval '1 second' WHERE revoked_at IS NULL`)
	s.want(410, s.do("GET", expired, ""))
	orphaned, _ := s.want(201, s.do("POST", session+"/share", "", token)).at("share_url").(string)
	s.sql(`UPDATE users SET is_active = false`)
	s.want(410, s.do("GET", orphaned, ""))
	s.sql(`UPDATE users SET is_active = true`)
	s.want(200, s.do("DELETE", strings.Replace(session, "sessions", "conversations", 1), "", token))
	s.want(404, s.do("GET", orphaned, ""))
}

func TestPasswordProtectsASharedConversation(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	_, link, made := s.shared(in, `{"password":"paß & word"}`)
	if made.at("passwordProtected") != true {
		t.Errorf("made is %s", made.text)
	}
	for path, status := range map[string]int{
		link: 401, link + "?password=wrong-one": 401, link + "?password=" + url.QueryEscape("paß & word"): 200,
		link + "?password=" + strings.Repeat("x", 3000): 401,
	} {
		r := s.do("GET", path, "")
		if r.status != status || status == 401 && strings.Contains(r.text, "aspirin") {
			t.Errorf("%.80s: status %d, want %d: %s", path, r.status, status, r.text)
		}
	}
	s.want(200, s.do("GET", link, "", header("X-Share-Password", "paß & word")))
	if strings.Contains(s.log.String(), "word") && strings.Contains(s.log.String(), "pa%C3%9F") {
		t.Error("the password is in the log")
	}
}

func TestSharePasswordsCannotBeTriedForEver(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	s, in := startChat(t, a, withLimits(t))
	_, link, _ := s.shared(in, `{"password":"a password"}`)
	if r := s.want(401, s.do("GET", link, "")); r.header.Get("X-RateLimit-Limit") != "300" {
		t.Errorf("whoever opens a link may do it %s times", r.header.Get("X-RateLimit-Limit"))
	}
	statuses := map[int]int{}
	for range 12 {
		statuses[s.do("GET", link, "", header("X-Share-Password", "guess!")).status]++
	}
	if statuses[401] != 10 || statuses[429] != 2 {
		t.Errorf("the tries end with %v", statuses)
	}
	if r := s.want(429, s.do("GET", link, "", header("X-Share-Password", "a password"))); r.header.Get("Retry-After") == "" || r.header.Get("X-RateLimit-Limit") != "10" {
		t.Errorf("told is %v", r.header)
	}
}

// Every reading of a link is a row of the audit log.
func TestReadersOfALinkAreCountedAsAnonymous(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{}, withLimits(t), func(o *httpapi.Options) {
		o.Rates.Anonymous = voiceassist.Rate{N: 3, Per: time.Hour}
	})
	_, link, _ := s.shared(in, "")
	for range 3 {
		s.want(200, s.do("GET", link, ""))
	}
	s.want(429, s.do("GET", link, ""))
}

func TestLinkForPeopleWithAnAccount(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	_, link, _ := s.shared(in, `{"allowAnonymous":false}`)
	s.want(401, s.do("GET", link, ""))
	s.want(401, s.do("GET", link, "", as("stale")))
	s.want(200, s.do("GET", link, "", s.other()))
}

func TestLinksAreTheOwnersToMake(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	session, _, made := s.shared(in, "")
	token, stranger := as(in.Tokens.Access), s.other()
	for body, status := range map[string]int{
		`{"expiresInHours":0}`: 422, `{"expiresInHours":1e9}`: 422, `{"expiresInHours":"1"}`: 422, `{"password":"short"}`: 422,
		`{"password":"` + strings.Repeat("x", 2000) + `"}`: 422, `{"password":"","expiresInHours":null}`: 201,
	} {
		if r := s.do("POST", session+"/share", body, token); r.status != status {
			t.Errorf("%.60s: status %d, want %d: %s", body, r.status, status, r.text)
		}
	}
	s.want(404, s.do("POST", session+"/share", "", stranger))
	s.want(404, s.do("GET", session+"/shares", "", stranger))
	s.want(404, s.do("DELETE", session+"/share/"+made.at("shareId").(string), "", stranger))
	s.want(404, s.do("DELETE", session+"/share/"+uuid.NewString(), "", token))
	s.want(404, s.do("POST", "/api/sessions/nonsense/share", "", token))
}

func TestSharingIsAudited(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	session, link, made := s.shared(in, `{"password":"a password"}`)
	s.want(401, s.do("GET", link+"?password=another+one", ""))
	s.want(200, s.do("GET", link+"?password=a+password", ""))
	s.want(200, s.do("DELETE", session+"/share/"+made.at("shareId").(string), "", as(in.Tokens.Access)))
	for action, n := range map[string]int{"share.created": 1, "share.opened": 2, "share.revoked": 1} {
		if got := s.count(`SELECT count(*) FROM audit_entries WHERE action = $1 AND resource_id = $2`, action, made.at("id")); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
	if got := s.count(`SELECT count(*) FROM audit_entries WHERE NOT success AND level = 'warning' AND user_id IS NULL`); got != 1 {
		t.Errorf("%d refusals, want 1", got)
	}
}
