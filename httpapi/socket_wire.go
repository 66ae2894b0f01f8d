package httpapi

import (
	"context"
	"errors"
	"io"
	"iter"
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
	maxFirstFrame = 64 << 10  // bytes of a frame from a client that has not said who it is
	maxFrame      = 256 << 10 // bytes of others: the longest question, with every letter escaped
	maxQueue      = 256       // frames waiting to be sent
	pingInterval  = 25 * time.Second
	silenceLimit  = 70 * time.Second // without a frame or a pong the client is gone
	closeWait     = time.Second      // for the client to answer a close
)

// wire is one socket to a client, whatever is spoken over it. One goroutine
// reads frames and acts on them, and one writes what is queued.
type wire struct {
	hub    *hub
	kind   channelKind
	conn   *websocket.Conn
	id     string
	opened time.Time
	out    chan []byte
	who    atomic.Pointer[voiceassist.Principal]
	about  atomic.Pointer[uuid.UUID] // the conversation, for the eyes of administrators
	frames atomic.Int64              // received
	last   atomic.Int64              // when, in unix nanoseconds

	ctx    context.Context //nolint:containedctx // the life of the connection
	cancel context.CancelFunc

	endOnce sync.Once
	code    int        // of the close frame; written before cancel
	reason  string     // of the close frame
	ending  sync.Mutex // over the read deadline, which end puts forward and frames put off

	// Of the reading goroutine alone:
	limit int64 // bytes of a frame
	pace  pace
}

func newWire(h *hub, kind channelKind, conn *websocket.Conn) *wire {
	k := &wire{hub: h, kind: kind, conn: conn, id: uuid.NewString(), opened: time.Now(), out: make(chan []byte, maxQueue), limit: maxFirstFrame}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.who.Store(new(voiceassist.Principal))
	k.last.Store(k.opened.UnixNano())
	return k
}

func (k *wire) principal() voiceassist.Principal { return *k.who.Load() }

// acting returns a context of the socket in which its user acts.
func (k *wire) acting() context.Context {
	u := k.principal().User
	return voiceassist.WithActor(k.ctx, voiceassist.Actor{UserID: u.ID, Email: u.Email, Role: u.Role, Specialty: u.Specialty})
}

// serve runs read between the writer's start and its end. When it returns,
// nothing uses the connection any more.
func (k *wire) serve(read func()) {
	var writer sync.WaitGroup
	writer.Go(k.write)
	defer writer.Wait()
	defer k.end(websocket.CloseNormalClosure, "")
	k.listen()
	read()
	k.awaitClose()
}

// listen sets how long the client may be silent.
func (k *wire) listen() {
	k.heard()
	k.conn.SetPongHandler(func(string) error {
		k.heard()
		return nil
	})
}

// heard puts off the moment at which the client counts as gone.
func (k *wire) heard() {
	k.ending.Lock()
	defer k.ending.Unlock()
	if k.ctx.Err() == nil {
		_ = k.conn.SetReadDeadline(time.Now().Add(silenceLimit)) // reading will tell
	}
}

// next returns the next frame of the client. One that is too large ends the
// socket. The library's own limit would, too, without letting us say why.
func (k *wire) next() ([]byte, error) {
	_, r, err := k.conn.NextReader()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, k.limit+1))
	k.heard()
	k.frames.Add(1)
	k.last.Store(time.Now().UnixNano())
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
func (k *wire) awaitClose() {
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
func (k *wire) send(f frame) bool {
	select {
	case k.out <- encodeFrame(f):
		return true
	case <-k.ctx.Done():
		return false
	}
}

// offer queues a frame unless the client is behind.
func (k *wire) offer(f frame) {
	select {
	case k.out <- encodeFrame(f):
	default:
	}
}

// refuse tells the client that it may not be here and ends the socket.
func (k *wire) refuse(message string) {
	k.offer(errorEvent(socketUnauthorized, message))
	k.end(websocket.ClosePolicyViolation, message)
}

// end ends the socket with a close frame, after what is queued. The first call
// says why.
func (k *wire) end(code int, reason string) {
	k.endOnce.Do(func() {
		k.code, k.reason = code, reason
		k.cancel()
		k.ending.Lock()
		defer k.ending.Unlock()
		_ = k.conn.SetReadDeadline(time.Now().Add(closeWait)) // the reader ends, too
	})
}

// write sends what is queued until the socket ends, then the rest and a close
// frame.
func (k *wire) write() {
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

func (k *wire) flush() {
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
func (k *wire) put(kind int, data []byte) bool {
	_ = k.conn.SetWriteDeadline(time.Now().Add(k.hub.s.o.SocketWait)) // writing will tell
	err := k.conn.WriteMessage(kind, data)
	if err == nil {
		return true
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		k.hub.slow.Inc()
	}
	k.end(websocket.CloseAbnormalClosure, "")
	return false
}

// authenticate finds out who the client is: from the request, or from the
// first frames. It reports whether it may stay.
func (k *wire) authenticate(o opening) bool {
	if o.err != nil {
		k.refuse(explain(o.err).message)
		return false
	}
	if o.who.User.ID != uuid.Nil {
		return k.admit(o.who)
	}
	expired := time.AfterFunc(k.hub.s.o.SocketWait, func() { k.refuse("No token was sent in time") })
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
		who, err := k.hub.s.o.Accounts.Authenticate(k.ctx, f.Token)
		if err != nil {
			k.refuse(explain(err).message)
			return false
		}
		return k.admit(who)
	}
}

// admit notes who the client is, and reports whether it may stay.
func (k *wire) admit(who voiceassist.Principal) bool {
	k.who.Store(&who)
	k.hub.presence.touch()
	if k.hub.crowded(who.User.ID) {
		k.send(errorEvent(socketRateLimited, "You have too many connections open"))
		k.end(websocket.ClosePolicyViolation, "too many connections")
		return false
	}
	return k.ctx.Err() == nil
}

// received yields the client's frames until the socket ends, and what is wrong
// with each. One who sends too many is told so, and closed if that helps
// nothing.
func (k *wire) received() iter.Seq2[clientFrame, error] {
	return func(yield func(clientFrame, error) bool) {
		for {
			data, err := k.next()
			if err != nil {
				return
			}
			f, err := parseFrame(data)
			switch k.pace.take(time.Now()) {
			case paceTooFast:
				err = errTooManyFrames
			case paceAbusive:
				k.send(errorFrame(errTooManyFrames))
				k.end(websocket.ClosePolicyViolation, errTooManyFrames.Message)
				return
			case paceGood:
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// linger lets the connection swallow the rest of a frame that is too large, so
// that its sender learns why the socket was closed.
func (k *wire) linger() {
	if hijacked, ok := k.conn.NetConn().(interface{ UnsafeConn() net.Conn }); ok {
		if c, ok := hijacked.UnsafeConn().(*lingerConn); ok {
			c.linger.Store(true)
		}
	}
}
