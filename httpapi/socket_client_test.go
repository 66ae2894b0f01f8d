package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/postgres"
)

// assistant answers every question with the same three pieces and one
// citation. It stores like the real one.
type assistant struct {
	db   *postgres.DB
	hold chan struct{} // if not nil, each piece but the first waits for it
	err  error         // of the end, if the answer is to fail

	styles []voiceassist.AnswerStyle // asked for, of answers that were written again
	mu     sync.Mutex
	last   voiceassist.Question
}

// asked returns the last question.
func (a *assistant) asked() voiceassist.Question {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

var answerPieces = []string{"Aspirin ", "helps ", "[1]."}

const answerText = "Aspirin helps [1]."

func (a *assistant) Begin(ctx context.Context, q voiceassist.Question) (voiceassist.Exchange, error) {
	if q.Content == "" {
		return voiceassist.Exchange{}, voiceassist.FieldError("content", "content must not be empty")
	}
	a.mu.Lock()
	a.last = q
	a.mu.Unlock()
	return a.db.BeginAnswer(ctx, q)
}

func (a *assistant) Regenerate(ctx context.Context, r voiceassist.Regeneration) (voiceassist.Exchange, error) {
	a.styles = append(a.styles, r.Style)
	return a.db.BeginRegeneration(ctx, r)
}

func (a *assistant) Answer(ctx context.Context, x voiceassist.Exchange) iter.Seq2[voiceassist.AnswerEvent, error] {
	return func(yield func(voiceassist.AnswerEvent, error) bool) {
		if x.Question.Duplicate {
			m, err := a.db.Answer(ctx, x.Answer.ID)
			yield(voiceassist.AnswerEvent{Seq: 1, Final: true, Message: m}, err)
			return
		}
		m := x.Answer
		m.Status = a.say(ctx, &m, yield)
		m.Citations = []voiceassist.Citation{{
			Index: 1, DocumentID: uuid.New(), PassageID: uuid.New(), Generation: 1, Page: 1, CharEnd: 5, Quote: "helps",
		}}
		stored, err := a.db.FinishAnswer(context.WithoutCancel(ctx), m)
		yield(voiceassist.AnswerEvent{Seq: 9, Final: true, Message: stored}, errors.Join(err, a.err))
	}
}

func (a *assistant) say(ctx context.Context, m *voiceassist.Message, yield func(voiceassist.AnswerEvent, error) bool) voiceassist.MessageStatus {
	for i, piece := range answerPieces {
		if i > 0 && a.hold != nil {
			select {
			case <-a.hold:
			case <-ctx.Done():
				return voiceassist.MessageCancelled
			}
		}
		m.Content += piece
		yield(voiceassist.AnswerEvent{Seq: i + 1, Delta: piece, Message: *m}, nil)
	}
	if a.err != nil {
		return voiceassist.MessageFailed
	}
	return voiceassist.MessageComplete
}

// startChat starts a server with an assistant and a user.
func startChat(t *testing.T, a *assistant, change ...func(*httpapi.Options)) (*suite, voiceassist.SignIn) {
	t.Helper()
	s := start(t, append(change, func(o *httpapi.Options) {
		a.db = o.Chats.(*postgres.DB)
		o.Assistant = a
	})...)
	return s, s.signIn(voiceassist.RoleUser)
}

// event is a frame from the server.
type event map[string]any

func (e event) text(name string) string {
	s, _ := e[name].(string)
	return s
}

func (e event) number(name string) int {
	n, _ := e[name].(float64)
	return int(n)
}

// chatSocket is a client's end of a socket.
type chatSocket struct {
	t    *testing.T
	conn *websocket.Conn

	operation string // of the AsyncAPI document, which has its frames
}

// dial opens a socket at path without reading from it.
func (s *suite) dial(path string, o *websocket.DialOptions) *chatSocket {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.HTTPClient = s.client
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+path, o)
	if err != nil {
		s.t.Fatalf("dial %s: %v", path, err)
	}
	if resp.Body != nil {
		defer resp.Body.Close()
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	operation := "hearAnswers"
	if strings.Contains(path, "/admin/panel/") {
		operation = "watchPanel"
	}
	return &chatSocket{s.t, conn, operation}
}

// connect opens a socket and reads its greeting.
func (s *suite) connect(in voiceassist.SignIn) *chatSocket {
	s.t.Helper()
	k := s.dial("/ws?token="+in.Tokens.Access, nil)
	k.want("connected")
	return k
}

func (k *chatSocket) send(frame string) {
	k.t.Helper()
	if err := k.conn.Write(k.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		k.t.Fatalf("send %.80s: %v", frame, err)
	}
}

func (k *chatSocket) receive() (event, error) {
	ctx, cancel := context.WithTimeout(k.t.Context(), 10*time.Second)
	defer cancel()
	_, data, err := k.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	checkFrame(k.t, k.operation, data)
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	return e, nil
}

// want returns the next event, which must be of this type.
func (k *chatSocket) want(kind string) event {
	k.t.Helper()
	e, err := k.receive()
	if err != nil {
		k.t.Fatalf("want %s: %v", kind, err)
	}
	if e.text("type") != kind {
		k.t.Fatalf("got %v, want %s", e, kind)
	}
	return e
}

// wantClosed reads until the socket is closed, with this code.
func (k *chatSocket) wantClosed(code websocket.StatusCode) {
	k.t.Helper()
	for {
		if _, err := k.receive(); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				k.t.Errorf("closed with %d, want %d: %v", got, code, err)
			}
			return
		}
	}
}

// answer reads the events of an answer up to the final one.
func (k *chatSocket) answer() []event {
	k.t.Helper()
	var events []event
	for {
		e, err := k.receive()
		if err != nil {
			k.t.Fatalf("after %v: %v", events, err)
		}
		events = append(events, e)
		if e.number("seq") == 0 || e.text("message_id") == "" || e["message_id"] != events[0]["message_id"] {
			k.t.Errorf("an event of the answer is %v", e)
		}
		if e["final"] == true {
			return events
		}
	}
}

func kinds(events []event) (kinds []string, seqs []int) {
	for _, e := range events {
		kinds, seqs = append(kinds, e.text("type")), append(seqs, e.number("seq"))
	}
	return kinds, seqs
}
