package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// sockets are the chat sockets of this process.
type sockets struct {
	s       *Server
	answers *answers
}

func newSockets(s *Server, r prometheus.Registerer) *sockets {
	running := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "voiceassist_answers_running",
		Help: "Answers being written by this process.",
	})
	if r != nil {
		r.MustRegister(running)
	}
	return &sockets{s: s, answers: newAnswers(s.o.Assistant, running)}
}

// handler upgrades a request to a chat socket.
func (ss *sockets) handler() fiber.Handler {
	upgrade := ss.s.upgrade(ss.serve)
	return func(c *fiber.Ctx) error {
		if ss.s.o.Assistant == nil && websocket.IsWebSocketUpgrade(c) {
			return voiceassist.Errorf(voiceassist.Unavailable, "chat is not configured")
		}
		return upgrade(c)
	}
}

// serve runs a chat socket until it is closed.
func (ss *sockets) serve(conn *websocket.Conn, o opening) {
	k := newSocket(ss, conn)
	if !ss.s.hub.add(k, channelChat) {
		k.leave()
		k.write()
		return
	}
	defer ss.s.hub.remove(k, channelChat)
	k.run(o)
}

// drain takes no new sockets and no new questions, lets answers end until ctx
// does, and then closes every channel.
func (ss *sockets) drain(ctx context.Context) {
	ss.s.hub.close()
	ss.s.hub.endStreams()
	ss.answers.drain(ctx)
	ss.s.hub.drain()
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

// upgrade returns a handler that makes a socket of a request. A page of an
// unknown origin is refused; a bad token is not, because a browser would not
// show why. serve must not use the connection after it has returned: it goes
// back into a pool.
func (s *Server) upgrade(serve func(*websocket.Conn, opening)) fiber.Handler {
	upgrade := websocket.New(func(conn *websocket.Conn) {
		o, _ := conn.Locals(openingKey).(opening)
		serve(conn, o)
	}, websocket.Config{
		Subprotocols:   []string{"bearer"},
		RecoverHandler: s.recoverSocket,
	})
	return func(c *fiber.Ctx) error {
		if !websocket.IsWebSocketUpgrade(c) {
			c.Set("Upgrade", "websocket")
			return fiber.ErrUpgradeRequired
		}
		if !s.sameOrigin(c.Context()) {
			return voiceassist.Errorf(voiceassist.Forbidden, "Origin not allowed")
		}
		o := s.opening(c)
		if err := s.countToken(c.UserContext(), rateSession, o.who.SessionID); err != nil {
			return err
		}
		c.Locals(openingKey, o)
		return upgrade(c)
	}
}

func (s *Server) opening(c *fiber.Ctx) opening {
	var o opening
	for _, name := range []string{"conversationId", "conversation_id", "session_id", "sessionId"} {
		if id := c.Query(name); id != "" {
			o.conversation = id
		}
	}
	if token := socketToken(c); token != "" {
		o.who, o.err = s.o.Accounts.Authenticate(c.UserContext(), token)
	} else if value := c.Cookies(sessionCookie); value != "" {
		// A stale cookie is nothing: the client may still send its token.
		o.who, _ = s.o.Accounts.AuthenticateCookie(c.UserContext(), value)
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

// recoverSocket ends a socket whose handler has a bug without telling the client
// more than that.
func (s *Server) recoverSocket(c *websocket.Conn) {
	if r := recover(); r != nil {
		s.o.Log.Error("socket panic", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		message := websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "internal error")
		_ = c.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Second)) // it may be gone
	}
}

// encodeFrame returns the JSON of a frame.
func encodeFrame(f frame) []byte {
	buf, err := json.Marshal(f)
	if err != nil {
		panic("httpapi: a frame cannot be encoded: " + err.Error())
	}
	return slices.Clip(buf)
}
