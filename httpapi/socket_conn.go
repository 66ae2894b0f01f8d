package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of one socket.
const (
	maxFirstFrame  = 64 << 10  // bytes of a frame from a client that has not said who it is
	maxFrame       = 256 << 10 // bytes of others: the longest question, with every letter escaped
	maxQueue       = 256       // frames waiting to be sent
	pingInterval   = 25 * time.Second
	silenceLimit   = 70 * time.Second // without a frame or a pong the client is gone
	closeWait      = time.Second      // for the client to answer a close
	historyLength  = 100              // messages
	protocolNumber = "1.0"
)

var socketCapabilities = []string{"streaming", "citations", "history", "resume", "cancel", "typing"}

// socket is one connection to a client. One goroutine reads frames and acts on
// them, one writes what is queued, and one for each answer followed fills the
// queue.
type socket struct {
	ss   *sockets
	conn *websocket.Conn
	id   string
	out  chan []byte
	who  atomic.Pointer[voiceassist.Principal]

	ctx    context.Context //nolint:containedctx // the life of the connection
	cancel context.CancelFunc
	wg     sync.WaitGroup // followers

	endOnce sync.Once
	code    int    // of the close frame; written before cancel
	reason  string // of the close frame

	// Of the reading goroutine alone:
	dialect      dialect
	conversation uuid.UUID // of questions that name none
	clinical     uuid.UUID // the conversation whose clinical context goes with its questions
	limit        int64     // bytes of a frame

	mu        sync.Mutex
	following map[uuid.UUID]bool // answers whose end is not being told yet
	followers int                // goroutines that tell of answers
	leaving   bool               // ends when the last of them has ended
}

func newSocket(ss *sockets, conn *websocket.Conn) *socket {
	k := &socket{ss: ss, conn: conn, id: uuid.NewString(), out: make(chan []byte, maxQueue), following: make(map[uuid.UUID]bool), limit: maxFirstFrame}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.who.Store(new(voiceassist.Principal))
	return k
}

func (k *socket) principal() voiceassist.Principal { return *k.who.Load() }

// run serves the socket and returns when nothing uses the connection any more.
func (k *socket) run(o opening) {
	var writer sync.WaitGroup
	writer.Go(k.write)
	defer writer.Wait()
	defer k.wg.Wait()
	defer k.end(websocket.CloseNormalClosure, "")
	k.listen()
	if k.authenticate(o) && k.greet(o) {
		k.limit = maxFrame
		k.read()
	}
	k.awaitClose()
}

// listen sets how long the client may be silent.
func (k *socket) listen() {
	k.heard()
	k.conn.SetPongHandler(func(string) error {
		k.heard()
		return nil
	})
}

// heard puts off the moment at which the client counts as gone.
func (k *socket) heard() {
	k.mu.Lock() // against end, which puts it forward
	defer k.mu.Unlock()
	if k.ctx.Err() == nil {
		_ = k.conn.SetReadDeadline(time.Now().Add(silenceLimit)) // reading will tell
	}
}

// next returns the next frame of the client. One that is too large ends the
// socket. The library's own limit would, too, without letting us say why.
func (k *socket) next() ([]byte, error) {
	_, r, err := k.conn.NextReader()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, k.limit+1))
	k.heard()
	if int64(len(data)) > k.limit {
		err = errFrameTooLarge
		k.send(errorFrame(err))
		k.linger()
		k.end(websocket.CloseMessageTooBig, errFrameTooLarge.Message)
	}
	return data, err
}

var errFrameTooLarge = voiceassist.Errorf(voiceassist.Invalid, "The frame is too large")

// awaitClose reads on for a moment, so that a close frame which the writer
// sends is answered and not lost. Frames that still come are skipped unread.
func (k *socket) awaitClose() {
	k.end(websocket.CloseNormalClosure, "")
	_ = k.conn.SetReadDeadline(time.Now().Add(closeWait)) // reading will tell
	for {
		if _, _, err := k.conn.NextReader(); err != nil {
			return
		}
	}
}

// send queues a frame, waiting while the client is behind; put ends the socket
// of one that stays behind. It reports whether the socket is still open.
func (k *socket) send(f frame) bool {
	select {
	case k.out <- encodeFrame(f):
		return true
	case <-k.ctx.Done():
		return false
	}
}

// offer queues a frame unless the client is behind.
func (k *socket) offer(f frame) {
	select {
	case k.out <- encodeFrame(f):
	default:
	}
}

// refuse tells the client that it may not be here and ends the socket.
func (k *socket) refuse(message string) {
	k.offer(errorEvent(socketUnauthorized, message))
	k.end(websocket.ClosePolicyViolation, message)
}

// end ends the socket with a close frame, after what is queued. The first call
// says why.
func (k *socket) end(code int, reason string) {
	k.endOnce.Do(func() {
		k.code, k.reason = code, reason
		k.cancel()
		k.mu.Lock()
		defer k.mu.Unlock()
		_ = k.conn.SetReadDeadline(time.Now().Add(closeWait)) // the reader ends, too
	})
}

// leave ends the socket once the answers it follows have been told to their
// end, because the server stops.
func (k *socket) leave() {
	k.mu.Lock()
	k.leaving = true
	busy := k.followers > 0
	k.mu.Unlock()
	if !busy {
		k.end(websocket.CloseGoingAway, "the server is restarting")
	}
}

// write sends what is queued until the socket ends, then the rest and a close
// frame.
func (k *socket) write() {
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	for {
		select {
		case data := <-k.out:
			if !k.put(websocket.TextMessage, data) {
				return
			}
		case <-ping.C:
			if !k.put(websocket.PingMessage, nil) {
				return
			}
		case <-k.ctx.Done():
			k.flush()
			return
		}
	}
}

func (k *socket) flush() {
	for {
		select {
		case data := <-k.out:
			if !k.put(websocket.TextMessage, data) {
				return
			}
		default:
			k.put(websocket.CloseMessage, websocket.FormatCloseMessage(k.code, k.reason))
			return
		}
	}
}

// put writes one frame. A client that does not take it in time is gone.
func (k *socket) put(kind int, data []byte) bool {
	_ = k.conn.SetWriteDeadline(time.Now().Add(k.ss.s.o.SocketWait)) // writing will tell
	err := k.conn.WriteMessage(kind, data)
	if err == nil {
		return true
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		k.ss.slow.Inc()
	}
	k.end(websocket.CloseAbnormalClosure, "")
	return false
}

// authenticate finds out who the client is: from the request, or from the
// first frames. It reports whether it may stay.
func (k *socket) authenticate(o opening) bool {
	if o.err != nil {
		k.refuse(explain(o.err).message)
		return false
	}
	if o.who.User.ID != uuid.Nil {
		k.who.Store(&o.who)
		return true
	}
	expired := time.AfterFunc(k.ss.s.o.SocketWait, func() { k.refuse("No token was sent in time") })
	defer expired.Stop()
	for {
		data, err := k.next()
		if err != nil {
			return false
		}
		f, err := parseFrame(data)
		if err != nil || f.Type != "auth" {
			k.send(errorEvent(socketUnauthorized, "Send an auth frame first"))
			continue
		}
		who, err := k.ss.s.o.Accounts.Authenticate(k.ctx, f.Token)
		if err != nil {
			k.refuse(explain(err).message)
			return false
		}
		k.who.Store(&who)
		return k.ctx.Err() == nil
	}
}

// greet opens the conversation with the client.
func (k *socket) greet(o opening) bool {
	k.send(frame{
		"type": "connected", "clientId": k.id, "client_id": k.id, "timestamp": stamp(time.Now()),
		"protocolVersion": protocolNumber, "capabilities": socketCapabilities,
	})
	if o.conversation == "" {
		return true
	}
	id, err := parseID(o.conversation, "conversation")
	if err == nil {
		err = k.sendHistory(id)
	}
	if err != nil {
		return k.send(errorFrame(err))
	}
	k.conversation = id
	return true
}

func (k *socket) sendHistory(conversation uuid.UUID) error {
	ctx, cancel := context.WithTimeout(k.ctx, requestTimeout)
	defer cancel()
	messages, _, err := k.ss.s.o.Chats.Messages(ctx, k.principal().User.ID, conversation, voiceassist.MainBranch, -historyLength, historyLength)
	if err == nil && len(messages) > 0 {
		k.send(frame{
			"type": "history", "messages": turnsOf(messages),
			"conversation_id": conversation.String(), "conversationId": conversation.String(), "session_id": conversation.String(),
		})
	}
	return err
}

// read acts on the client's frames until the socket ends.
func (k *socket) read() {
	for {
		data, err := k.next()
		if err != nil {
			return
		}
		f, err := parseFrame(data)
		if err == nil {
			err = k.handle(f)
		}
		if err != nil && !k.send(k.complaint(f, err)) {
			return
		}
	}
}

// linger lets the connection swallow the rest of a frame that is too large, so
// that its sender learns why the socket was closed.
func (k *socket) linger() {
	if hijacked, ok := k.conn.NetConn().(interface{ UnsafeConn() net.Conn }); ok {
		if c, ok := hijacked.UnsafeConn().(*lingerConn); ok {
			c.linger.Store(true)
		}
	}
}

// complaint is the error event about a frame.
func (k *socket) complaint(f clientFrame, err error) frame {
	e := errorFrame(err)
	if id := cmp.Or(f.MessageID, f.ClientMessageID); id != "" {
		e["messageId"], e["message_id"] = id, id
	}
	if f.ClientMessageID != "" {
		e["client_message_id"], e["clientMessageId"] = f.ClientMessageID, f.ClientMessageID
	}
	return e
}
