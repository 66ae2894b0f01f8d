package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// Bus is what this package asks of redis.Bus: it carries news to all API
// processes, the sender included, and may lose them.
type Bus interface {
	Publish(ctx context.Context, topic string, payload []byte) error
	// Handle has f called with what is published under topic, one call after
	// another.
	Handle(topic string, f func(payload []byte))
}

// What the API processes tell one another. What is told is never logged.
const (
	topicTyping     = "typing"
	topicTranscript = "transcript"
	topicAdmin      = "admin"
	topicCancel     = "cancel"
)

// Bounds of telling.
const (
	newsQueue   = 256
	newsTimeout = 2 * time.Second
)

// news carries what happens in this process to the others. It is told here at
// once, and elsewhere by a goroutine of its own, so that nobody waits for Redis.
type news struct {
	bus     Bus // nil: there are no others
	log     *slog.Logger
	process string // who we are
	out     chan tiding
	dropped prometheus.Counter
}

// tiding is what one process tells the others.
type tiding struct {
	topic   string
	payload []byte
}

// heard is how a tiding travels.
type heard struct {
	From string          `json:"from"` // the process
	News json.RawMessage `json:"news"`
}

func newNews(o Options) *news {
	n := &news{
		bus: o.Bus, log: o.Log, process: uuid.NewString(), out: make(chan tiding, newsQueue),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_news_dropped_total",
			Help: "News for other processes that Redis did not take.",
		}),
	}
	if o.Registry != nil {
		o.Registry.MustRegister(n.dropped)
	}
	return n
}

// tell tells the other processes, some time soon.
func (n *news) tell(topic string, v any) {
	if n.bus == nil {
		return
	}
	text, err := json.Marshal(v)
	if err == nil {
		text, err = json.Marshal(heard{From: n.process, News: text})
	}
	if err != nil {
		panic("httpapi: news cannot be encoded: " + err.Error())
	}
	select {
	case n.out <- tiding{topic, text}:
	default:
		n.dropped.Inc()
	}
}

// run passes news on until ctx ends.
func (n *news) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-n.out:
			n.publish(ctx, t)
		}
	}
}

func (n *news) publish(ctx context.Context, t tiding) {
	ctx, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	if err := n.bus.Publish(ctx, t.topic, t.payload); err != nil {
		n.dropped.Inc()
	}
}

// hear has f called with what other processes tell under topic.
func hear[T any](n *news, topic string, f func(T)) {
	if n.bus == nil {
		return
	}
	n.bus.Handle(topic, func(payload []byte) {
		var h heard
		var v T
		if json.Unmarshal(payload, &h) != nil || h.From == n.process || json.Unmarshal(h.News, &v) != nil {
			return
		}
		f(v)
	})
}

// listenToOthers has this process act on what others tell.
func (s *Server) listenToOthers() {
	hear(s.news, topicTyping, func(t typing) { s.hub.relay(t.User, nil, t.frame()) })
	hear(s.news, topicTranscript, func(t Transcript) { s.hub.relay(t.UserID, nil, t.frame()) })
	hear(s.news, topicAdmin, func(e adminNews) { s.panels.event(e) })
	hear(s.news, topicCancel, func(c cancellation) {
		if a := s.sockets.answers.find(c.User, c.Answer); a != nil {
			a.cancel()
		}
	})
}

// cancellation is that a user wants no more of an answer, which some other
// process writes.
type cancellation struct {
	User   uuid.UUID `json:"user"`
	Answer uuid.UUID `json:"answer"`
}

// typing is that a user begins or ends typing.
type typing struct {
	Kind         string    `json:"kind"` // typing_start or typing_stop
	User         uuid.UUID `json:"user"`
	Conversation string    `json:"conversation"`
}

func (t typing) frame() frame {
	return frame{
		"type": t.Kind, "user_id": t.User.String(), "userId": t.User.String(),
		"conversation_id": t.Conversation, "conversationId": t.Conversation, "session_id": t.Conversation,
	}
}

// tellTyping tells the user's sockets but the one that it came from.
func (s *Server) tellTyping(t typing, from *socket) {
	s.hub.relay(t.User, from, t.frame())
	s.news.tell(topicTyping, t)
}

// Transcript is what has become of a recording.
type Transcript struct {
	ID     uuid.UUID `json:"id"`
	UserID uuid.UUID `json:"user_id"`
	Status string    `json:"status"`
	Text   string    `json:"text"` // "" unless it is completed
}

func (t Transcript) frame() frame {
	return frame{"type": "voice.transcript", "id": t.ID.String(), "status": t.Status, "text": t.Text, "timestamp": stamp(time.Now())}
}

// TellTranscript tells all of the user's chat sockets, in every process, of a
// transcript. Like all news it may be lost; the transcript itself is stored.
func (s *Server) TellTranscript(t Transcript) {
	s.hub.relay(t.UserID, nil, t.frame())
	s.news.tell(topicTranscript, t)
}

// adminNews is that something happened which administrators may want to see:
// what, and the id of the thing, from which they can look the rest up.
type adminNews struct {
	Kind string    `json:"kind"` // as in the audit log: "flag.toggled"
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
}

// adminEvent tells the admin panels, in every process, that something happened
// to the thing with this id. kind is named as in the audit log, "flag.toggled".
func (s *Server) adminEvent(_ context.Context, kind, id string) {
	e := adminNews{Kind: kind, ID: id, At: time.Now()}
	s.panels.event(e)
	s.news.tell(topicAdmin, e)
}
