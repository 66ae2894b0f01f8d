package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/postgres"
)

func TestSocketSpeaksV1(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	k.send(`{"type":"session.start","mode":"quick_consult"}`)
	session := k.want("session.started").text("session_id")
	k.send(`{"type":"message.send","session_id":"` + session + `","content":"Does aspirin help?"}`)
	events := k.answer()
	types, seqs := kinds(events)
	if diff := cmp.Diff([]string{"message.delta", "message.delta", "message.delta", "message.complete", "citation.list"}, types); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5}, seqs); diff != "" {
		t.Error(diff)
	}
	first, last := events[0], events[4]
	if first.text("content_delta") != "Aspirin " || first.text("role") != "assistant" || first.text("session_id") != session {
		t.Errorf("the first delta is %v", first)
	}
	if citations, _ := last["citations"].([]any); len(citations) != 1 {
		t.Errorf("the citations are %v", last)
	}
}

func TestSocketSpeaksV2(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	k.send(`{"type":"ping"}`) // fixes nothing
	k.want("pong")
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	events := k.answer()
	types, seqs := kinds(events)
	if diff := cmp.Diff([]string{"chunk", "chunk", "chunk", "message_done"}, types); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4}, seqs); diff != "" {
		t.Error(diff)
	}
	done := events[3]
	message, _ := done["message"].(map[string]any)
	if done.text("content") != answerText || message["content"] != answerText || message["id"] != done["message_id"] || message["conversationId"] == nil {
		t.Errorf("the end is %v", done)
	}
	// Ids are those stored; the dialect stays whatever comes next.
	k.send(`{"type":"message","content":"Really?"}`)
	if again := k.answer(); again[0].text("type") != "chunk" || again[0].text("conversation_id") != done.text("conversation_id") {
		t.Errorf("the second answer is %v", again)
	}
	r := s.want(200, s.do("GET", "/api/conversations/"+done.text("conversation_id")+"/messages", "", as(in.Tokens.Access)))
	items, _ := r.at("items").([]any)
	if len(items) != 4 || items[1].(map[string]any)["id"] != done.text("message_id") {
		t.Errorf("stored is %s", r.text)
	}
}

func TestSocketSpeaksTheWebApp(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.dial("/api/realtime/ws?token="+in.Tokens.Access, nil)
	if hello := k.want("connected"); hello.text("clientId") == "" || hello.text("protocolVersion") != "1.0" || hello.text("timestamp") == "" {
		t.Errorf("the greeting is %v", hello)
	}
	k.send(`{"type":"message","content":"Does aspirin help?","client_message_id":"c1"}`)
	if created := k.want("user_message.created"); created.text("clientMessageId") != "c1" || created.text("messageId") == "" {
		t.Errorf("the question became %v", created)
	}
	events := k.answer()
	types, _ := kinds(events)
	if diff := cmp.Diff([]string{"chunk", "chunk", "chunk", "message.done"}, types); diff != "" {
		t.Error(diff)
	}
	message, _ := events[3]["message"].(map[string]any)
	if message["content"] != answerText || message["role"] != "assistant" || message["timestamp"].(float64) < 1e12 {
		t.Errorf("the end is %v", events[3])
	}
}

func TestSocketTakesItsTokenInEveryWay(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	for name, open := range map[string]func() *chatSocket{
		"query": func() *chatSocket { return s.dial("/api/ws?token="+in.Tokens.Access, nil) },
		"v1":    func() *chatSocket { return s.dial("/v1/api/realtime/ws?token="+in.Tokens.Access, nil) },
		"subprotocol": func() *chatSocket {
			return s.dial("/ws", &websocket.DialOptions{Subprotocols: []string{"bearer", in.Tokens.Access}})
		},
		"cookie": func() *chatSocket {
			return s.dial("/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"va_session=" + in.Tokens.Cookie}}})
		},
		"first frame": func() *chatSocket {
			k := s.dial("/ws", nil)
			k.send(`{"type":"ping"}`)
			if e := k.want("error"); e.text("code") != "UNAUTHORIZED" {
				t.Errorf("before auth: %v", e)
			}
			k.send(`{"type":"auth","token":"` + in.Tokens.Access + `"}`)
			return k
		},
	} {
		k := open()
		if e, err := k.receive(); err != nil || e.text("type") != "connected" {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}

func TestSocketRefusesABadToken(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	for name, open := range map[string]func() *chatSocket{
		"query":   func() *chatSocket { return s.dial("/ws?token=nonsense", nil) },
		"refresh": func() *chatSocket { return s.dial("/ws?token="+in.Tokens.Refresh, nil) },
		"first frame": func() *chatSocket {
			k := s.dial("/ws", nil)
			k.send(`{"type":"auth","token":"nonsense"}`)
			return k
		},
	} {
		k := open()
		if e := k.want("error"); e.text("code") != "UNAUTHORIZED" {
			t.Errorf("%s: %v", name, e)
		}
		k.wantClosed(websocket.StatusPolicyViolation)
	}
	if strings.Contains(s.log.String(), "nonsense") {
		t.Error("the log has a token in it")
	}
}

func TestSocketRefusesStrangeOrigins(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	for origin, want := range map[string]int{
		"https://evil.example":        http.StatusForbidden,
		"null":                        http.StatusForbidden,
		s.url:                         http.StatusSwitchingProtocols,
		httpapi.DefaultOrigins[0]:     http.StatusSwitchingProtocols,
		httpapi.DefaultOrigins[0][1:]: http.StatusForbidden,
	} {
		o := &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: http.Header{"Origin": {origin}}}
		conn, resp, err := websocket.Dial(t.Context(), "ws"+s.url[4:]+"/ws?token="+in.Tokens.Access, o)
		if resp == nil || resp.StatusCode != want {
			t.Errorf("%s: %v, want %d", origin, err, want)
		}
		if err == nil {
			_ = conn.CloseNow()
		}
	}
	s.want(http.StatusUpgradeRequired, s.do("GET", "/ws", ""))
}

func TestSocketSurvivesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	stranger := uuid.NewString()
	for frame, code := range map[string]string{
		`not json`:           "INVALID_EVENT",
		`[]`:                 "INVALID_EVENT",
		`{"type":"dance"}`:   "INVALID_EVENT",
		`{}`:                 "INVALID_EVENT",
		`{"type":7}`:         "INVALID_EVENT",
		`{"type":"message"}`: "INVALID_EVENT",
		`{"type":"message_send","content":"?","conversation_id":"` + stranger + `"}`: "NOT_FOUND",
		`{"type":"message_send","content":"?","conversation_id":"x"}`:                "NOT_FOUND",
		`{"type":"resume","message_id":"` + stranger + `"}`:                          "NOT_FOUND",
		`{"type":"cancel","messageId":"` + stranger + `"}`:                           "NOT_FOUND",
		`{"type":"auth","token":"nonsense"}`:                                         "AUTH_FAILED",
	} {
		k.send(frame)
		e := k.want("error")
		inner, _ := e["error"].(map[string]any)
		if e.text("code") != code || inner["code"] != code || e.text("message") == "" {
			t.Errorf("%s: %v, want %s", frame, e, code)
		}
	}
	k.send(`{"type":"ping"}`)
	k.want("pong")
}

func TestSocketClosesOnAFrameThatIsTooLarge(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	stranger := s.dial("/ws", nil)
	for k, size := range map[*chatSocket]int{s.connect(in): 300 << 10, stranger: 70 << 10} {
		k.send(`{"type":"message_send","content":"` + strings.Repeat("a", size) + `"}`)
		if e := k.want("error"); e.text("code") != "INVALID_EVENT" || e.text("message") != "The frame is too large" {
			t.Errorf("told is %v", e)
		}
		_, err := k.receive()
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != websocket.StatusMessageTooBig || closed.Reason != "The frame is too large" {
			t.Errorf("closed with %v", err)
		}
	}
}

func TestSocketTakesTheLongestQuestionWithEveryLetterEscaped(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"` + strings.Repeat(`\ud83d\ude00`, 8000) + `"}`)
	if events := k.answer(); events[len(events)-1].text("status") != "complete" {
		t.Errorf("the answer ends with %v", events)
	}
}

func TestSocketWithoutATokenIsClosedInTime(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) {
		o.Assistant = &assistant{}
		o.SocketWait = 50 * time.Millisecond
	})
	k := s.dial("/ws", nil)
	if e := k.want("error"); e.text("code") != "UNAUTHORIZED" {
		t.Errorf("told is %v", e)
	}
	k.wantClosed(websocket.StatusPolicyViolation)
}

// TestClientThatDoesNotReadIsClosed has an answer sent that fits into no buffer
// between the server and a client which writes and never reads.
func TestClientThatDoesNotReadIsClosed(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	registry := prometheus.NewRegistry()
	s := start(t, func(o *httpapi.Options) {
		a.db, o.Assistant, o.Registry = o.Chats.(*postgres.DB), a, registry
		o.SocketWait = 200 * time.Millisecond
	})
	in := s.signIn(voiceassist.RoleUser)
	x, err := a.db.BeginAnswer(t.Context(), voiceassist.Question{UserID: in.User.ID, Content: "Why?"})
	if err != nil {
		t.Fatal(err)
	}
	m := x.Answer
	m.Content, m.Status = strings.Repeat("Because. ", 1<<20), voiceassist.MessageComplete
	if _, err := a.db.FinishAnswer(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	k := s.connect(in)
	k.send(`{"type":"resume","message_id":"` + m.ID.String() + `"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for metric(t, registry, "voiceassist_sockets_slow_total") != 1 {
		select {
		case <-ctx.Done():
			t.Fatal("the socket does not count as slow")
		case <-time.After(10 * time.Millisecond):
		}
	}
	for err == nil {
		err = k.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`))
	}
	if ctx.Err() != nil {
		t.Fatal("the socket is still open")
	}
}

// metric returns the value of a counter or gauge without labels.
func metric(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
