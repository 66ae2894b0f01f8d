package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// sessionInterval is how often the sessions of the open sockets are looked at,
// all in one query. A revoked one ends its sockets within a second.
const sessionInterval = 400 * time.Millisecond

// sockets are the open chat sockets of this process.
type sockets struct {
	s       *Server
	answers *answers
	open    prometheus.Gauge
	slow    prometheus.Counter

	serving sync.WaitGroup

	mu     sync.Mutex
	closed bool
	all    map[*socket]struct{}
}

func newSockets(s *Server, r prometheus.Registerer) *sockets {
	running := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "voiceassist_answers_running",
		Help: "Answers being written by this process.",
	})
	ss := &sockets{
		s:       s,
		answers: newAnswers(s.o.Assistant, running),
		all:     make(map[*socket]struct{}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_sockets_open",
			Help: "Chat sockets connected to this process.",
		}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_sockets_slow_total",
			Help: "Chat sockets closed because their client did not read.",
		}),
	}
	if r != nil {
		r.MustRegister(running, ss.open, ss.slow)
	}
	return ss
}

// opening is what the request for a socket says.
type opening struct {
	who          voiceassist.Principal
	err          error // why a token that was given is not good
	conversation string
}

// socketQuery are the query parameters that an opening is read from.
var socketQuery = []formField{
	{name: "token", doc: "the access token, unless it comes as the subprotocol after bearer or in a first frame auth"},
	{name: "conversationId", doc: "a conversation to continue; session_id and sessionId are the same"},
}

// openingKey is the name under which contrib/websocket hands an opening over.
const openingKey = "opening"

// handler upgrades a request to a chat socket. A page of an unknown origin is
// refused; a bad token is not, because a browser would not show why.
func (ss *sockets) handler() fiber.Handler {
	upgrade := websocket.New(ss.serve, websocket.Config{
		Subprotocols:   []string{"bearer"},
		RecoverHandler: ss.recoverPanic,
	})
	return func(c *fiber.Ctx) error {
		if !websocket.IsWebSocketUpgrade(c) {
			c.Set("Upgrade", "websocket")
			return fiber.ErrUpgradeRequired
		}
		if ss.s.o.Assistant == nil {
			return voiceassist.Errorf(voiceassist.Unavailable, "chat is not configured")
		}
		if !ss.s.sameOrigin(c.Context()) {
			return voiceassist.Errorf(voiceassist.Forbidden, "Origin not allowed")
		}
		o := ss.opening(c)
		if err := ss.s.countToken(c.UserContext(), rateSession, o.who.SessionID); err != nil {
			return err
		}
		c.Locals(openingKey, o)
		return upgrade(c)
	}
}

func (ss *sockets) opening(c *fiber.Ctx) opening {
	var o opening
	for _, name := range []string{"conversationId", "conversation_id", "session_id", "sessionId"} {
		if id := c.Query(name); id != "" {
			o.conversation = id
		}
	}
	if token := socketToken(c); token != "" {
		o.who, o.err = ss.s.o.Accounts.Authenticate(c.UserContext(), token)
	} else if value := c.Cookies(sessionCookie); value != "" {
		// A stale cookie is nothing: the client may still send its token.
		o.who, _ = ss.s.o.Accounts.AuthenticateCookie(c.UserContext(), value)
	}
	requestOf(c.Context()).who = o.who
	return o
}

// socketToken returns the access token of the request: of the query, of the
// subprotocols "bearer, <token>", or of the Authorization header.
func socketToken(c *fiber.Ctx) string {
	if token := c.Query("token"); token != "" {
		return token
	}
	protocols := strings.Split(c.Get("Sec-WebSocket-Protocol"), ",")
	if len(protocols) == 2 && strings.EqualFold(strings.TrimSpace(protocols[0]), "bearer") {
		return strings.TrimSpace(protocols[1])
	}
	return bearer(c.Context())
}

// recoverPanic ends a socket whose handler has a bug without telling the client
// more than that.
func (ss *sockets) recoverPanic(c *websocket.Conn) {
	if r := recover(); r != nil {
		ss.s.o.Log.Error("socket panic", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		message := websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "internal error")
		_ = c.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Second)) // it may be gone
	}
}

// serve runs a socket until it is closed. The connection must not be used
// afterwards: it goes back into a pool.
func (ss *sockets) serve(conn *websocket.Conn) {
	o, _ := conn.Locals(openingKey).(opening)
	k := newSocket(ss, conn)
	if !ss.add(k) {
		k.leave()
		k.write()
		return
	}
	defer ss.remove(k)
	k.run(o)
}

func (ss *sockets) add(k *socket) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return false
	}
	ss.serving.Add(1)
	ss.all[k] = struct{}{}
	ss.open.Inc()
	return true
}

func (ss *sockets) remove(k *socket) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.all, k)
	ss.open.Dec()
	ss.serving.Done()
}

// of returns the sockets of a user.
func (ss *sockets) of(user uuid.UUID) []*socket {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var some []*socket
	for k := range ss.all {
		if k.principal().User.ID == user {
			some = append(some, k)
		}
	}
	return some
}

// relay sends a frame to the user's sockets but one. It is dropped where a
// client is behind: nothing of it lasts.
func (ss *sockets) relay(user uuid.UUID, except *socket, f frame) {
	for _, k := range ss.of(user) {
		if k != except {
			k.offer(f)
		}
	}
}

// watch closes the sockets of sessions that end, until ctx does.
func (ss *sockets) watch(ctx context.Context) {
	tick := time.NewTicker(sessionInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := ss.closeEnded(ctx); err != nil && ctx.Err() == nil {
			ss.s.o.Log.WarnContext(ctx, "sessions of sockets not checked", slog.String("error", err.Error()))
		}
	}
}

func (ss *sockets) closeEnded(ctx context.Context) error {
	bySession := make(map[uuid.UUID][]*socket)
	var sessions []uuid.UUID
	ss.mu.Lock()
	for k := range ss.all {
		id := k.principal().SessionID
		if id == uuid.Nil {
			continue
		}
		if bySession[id] == nil {
			sessions = append(sessions, id)
		}
		bySession[id] = append(bySession[id], k)
	}
	ss.mu.Unlock()
	if len(sessions) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ended, err := ss.s.o.Chats.EndedSessions(ctx, sessions)
	if err != nil {
		return err
	}
	for _, id := range ended {
		for _, k := range bySession[id] {
			k.refuse("The session has ended")
		}
	}
	return nil
}

// drain takes no new sockets and no new questions, lets answers end until ctx
// does, and then closes every socket.
func (ss *sockets) drain(ctx context.Context) {
	ss.mu.Lock()
	ss.closed = true
	ss.mu.Unlock()
	ss.answers.drain(ctx)
	ss.mu.Lock()
	for k := range ss.all {
		k.leave()
	}
	ss.mu.Unlock()
	ss.serving.Wait()
}

// encodeFrame returns the JSON of a frame.
func encodeFrame(f frame) []byte {
	buf, err := json.Marshal(f)
	if err != nil {
		panic("httpapi: a frame cannot be encoded: " + err.Error())
	}
	return slices.Clip(buf)
}
