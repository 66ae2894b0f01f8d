package httpapi_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

func TestAnswerThatFailsTellsSoAndEnds(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{err: &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the model is away", Err: errors.New("secret")}})
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	events := k.answer()
	types, seqs := kinds(events)
	if diff := cmp.Diff([]string{"chunk", "chunk", "chunk", "error", "message_done"}, types); diff != "" || seqs[4] != 5 {
		t.Error(diff, seqs)
	}
	if e := events[3]; e.text("code") != "BACKEND_ERROR" || e.text("message") != "the model is away" || e.text("messageId") == "" {
		t.Errorf("the error is %v", e)
	}
	if events[4].text("status") != "failed" {
		t.Errorf("the end is %v", events[4])
	}
}

func TestCancelEndsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cancel", "message.cancel", "message_cancel"} {
		a := &assistant{hold: make(chan struct{})}
		s, in := startChat(t, a)
		k := s.connect(in)
		k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
		chunk := k.want("chunk")
		k.send(`{"type":"` + name + `","message_id":"` + chunk.text("message_id") + `"}`)
		done := k.want("message_done")
		if done.text("status") != "cancelled" || done["final"] != true || done.text("content") != "Aspirin " {
			t.Errorf("%s: the end is %v", name, done)
		}
		m, err := a.db.UserMessage(t.Context(), in.User.ID, uuid.MustParse(done.text("message_id")))
		if err != nil || m.Status != voiceassist.MessageCancelled {
			t.Errorf("%s: stored is %+v, %v", name, m, err)
		}
	}
}

func TestAnswerOutlivesItsSocketAndIsResumed(t *testing.T) {
	t.Parallel()
	a := &assistant{hold: make(chan struct{})}
	s, in := startChat(t, a)
	lost := s.connect(in)
	lost.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	chunk := lost.want("chunk")
	_ = lost.conn.CloseNow()
	a.hold <- struct{}{}
	k := s.connect(in)
	k.send(`{"type":"resume","message_id":"` + chunk.text("message_id") + `","last_seq":1}`)
	if second := k.want("chunk"); second.text("content") != "helps " || second.number("seq") != 2 {
		t.Errorf("the stream goes on with %v", second)
	}
	a.hold <- struct{}{}
	k.want("chunk")
	if done := k.want("message_done"); done.text("content") != answerText || done.number("seq") != 4 {
		t.Errorf("the end is %v", done)
	}
	late := s.connect(in)
	late.send(`{"type":"resume","messageId":"` + chunk.text("message_id") + `","lastSeq":3}`)
	if done := late.want("message_done"); done.number("seq") != 4 {
		t.Errorf("the end, again, is %v", done)
	}
}

func TestAnswerOfAnEarlierProcessIsResumedFromTheLedger(t *testing.T) {
	t.Parallel()
	a := &assistant{}
	s, in := startChat(t, a)
	x, err := a.db.BeginAnswer(t.Context(), voiceassist.Question{UserID: in.User.ID, Content: "Why?"})
	if err != nil {
		t.Fatal(err)
	}
	m := x.Answer
	m.Content, m.Status = "Because.", voiceassist.MessageComplete
	if _, err := a.db.FinishAnswer(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	k := s.connect(in)
	k.send(`{"type":"resume","message_id":"` + m.ID.String() + `","last_seq":7}`)
	if done := k.want("message_done"); done.text("content") != "Because." || done.number("seq") != 8 {
		t.Errorf("the end is %v", done)
	}
	k.send(`{"type":"resume","message_id":"` + m.ID.String() + `"}`)
	if chunk := k.want("chunk"); chunk.text("content") != "Because." {
		t.Errorf("the text is %v", chunk)
	}
	k.want("message_done")
}

func TestSameClientMessageOnTwoSocketsIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	a := &assistant{hold: make(chan struct{})}
	s, in := startChat(t, a)
	one, two := s.connect(in), s.connect(in)
	const ask = `{"type":"message","content":"Does aspirin help?","client_message_id":"c1"}`
	one.send(ask)
	first := one.want("user_message.created")
	two.send(ask)
	second := two.want("user_message.created")
	if first["messageId"] != second["messageId"] || first["is_duplicate"] != false || second["is_duplicate"] != true {
		t.Errorf("two questions: %v and %v", first, second)
	}
	close(a.hold)
	answers := [][]event{one.answer(), two.answer()}
	for _, events := range answers {
		if last := events[len(events)-1]; last["message_id"] != answers[0][0]["message_id"] || last.text("status") != "complete" {
			t.Errorf("an answer ends with %v", last)
		}
	}
	list, total, err := a.db.Messages(t.Context(), in.User.ID, uuid.MustParse(first.text("conversationId")), "main", 0, 10)
	if err != nil || total != 2 {
		t.Errorf("%d messages are stored: %+v, %v", total, list, err)
	}
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{hold: make(chan struct{})})
	k := s.connect(in)
	for range 4 {
		k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
		k.want("chunk")
	}
	k.send(`{"type":"message_send","content":"Does aspirin help?","client_message_id":"fifth"}`)
	if e := k.want("error"); e.text("code") != "QUOTA_EXCEEDED" || e.text("clientMessageId") != "fifth" {
		t.Errorf("the fifth question ends in %v", e)
	}
	k.send(`{"type":"cancel"}`)
	for range 4 {
		k.want("message_done")
	}
}

func TestTypingIsToldToTheUsersOtherSockets(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	other, err := s.accounts.Register(t.Context(), voiceassist.Registration{Email: "other@example.org", Password: password, FullName: "O"})
	if err != nil {
		t.Fatal(err)
	}
	one, two, stranger := s.connect(in), s.connect(in), s.connect(other)
	one.send(`{"type":"typing_start","conversation_id":"x"}`)
	if e := two.want("typing_start"); e.text("conversation_id") != "x" {
		t.Errorf("relayed is %v", e)
	}
	for _, k := range []*chatSocket{one, stranger} {
		k.send(`{"type":"ping"}`)
		k.want("pong")
	}
}

func TestStrangersReachNoAnswer(t *testing.T) {
	t.Parallel()
	a := &assistant{hold: make(chan struct{})}
	s, in := startChat(t, a)
	other, err := s.accounts.Register(t.Context(), voiceassist.Registration{Email: "other@example.org", Password: password, FullName: "O"})
	if err != nil {
		t.Fatal(err)
	}
	k, stranger := s.connect(in), s.connect(other)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	chunk := k.want("chunk")
	for _, frame := range []string{
		`{"type":"resume","message_id":"` + chunk.text("message_id") + `"}`,
		`{"type":"cancel","message_id":"` + chunk.text("message_id") + `"}`,
		`{"type":"message_send","content":"And?","conversation_id":"` + chunk.text("conversation_id") + `"}`,
		`{"type":"session.start","session_id":"` + chunk.text("conversation_id") + `"}`,
	} {
		stranger.send(frame)
		if e := stranger.want("error"); e.text("code") != "NOT_FOUND" {
			t.Errorf("%s: %v", frame, e)
		}
	}
	close(a.hold)
	if done := k.answer(); done[len(done)-1].text("status") != "complete" {
		t.Errorf("the answer ends with %v", done)
	}
}

func TestSocketOpensWithTheHistory(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	conversation := k.answer()[0].text("conversation_id")
	for _, name := range []string{"conversationId", "session_id", "sessionId"} {
		again := s.dial("/ws?token="+in.Tokens.Access+"&"+name+"="+conversation, nil)
		again.want("connected")
		messages, _ := again.want("history")["messages"].([]any)
		if len(messages) != 2 || messages[1].(map[string]any)["content"] != answerText {
			t.Errorf("%s: the history is %v", name, messages)
		}
	}
	empty := s.dial("/ws?token="+in.Tokens.Access+"&conversationId="+uuid.NewString(), nil)
	empty.want("connected")
	if e := empty.want("error"); e.text("code") != "NOT_FOUND" {
		t.Errorf("a strange conversation: %v", e)
	}
}

func TestRevokedSessionClosesItsSockets(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	again, err := s.accounts.Login(t.Context(), in.User.Email, password)
	if err != nil {
		t.Fatal(err)
	}
	stays := s.connect(again)
	s.want(200, s.do("POST", "/api/auth/logout", "", as(in.Tokens.Access)))
	begun := time.Now()
	if e := k.want("error"); e.text("code") != "UNAUTHORIZED" {
		t.Errorf("told is %v", e)
	}
	k.wantClosed(websocket.StatusPolicyViolation)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the socket closed after %s", took)
	}
	stays.send(`{"type":"ping"}`)
	stays.want("pong")
}

func TestShutdownLetsAnswersEnd(t *testing.T) {
	t.Parallel()
	a := &assistant{hold: make(chan struct{})}
	s, in := startChat(t, a)
	k, idle := s.connect(in), s.connect(in)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	k.want("chunk")
	s.stop()
	close(a.hold)
	if events := k.answer(); events[len(events)-1].text("status") != "complete" {
		t.Errorf("the answer ends with %v", events)
	}
	k.wantClosed(websocket.StatusGoingAway)
	idle.wantClosed(websocket.StatusGoingAway)
	if err := <-s.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
