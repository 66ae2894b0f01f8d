package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// streamHeartbeat is how often a silent stream says that it lives. It is also
// when a client that has gone is noticed.
const streamHeartbeat = 15 * time.Second

// streamRetry is how long a browser waits before it connects again.
const streamRetry = 3 * time.Second

// streamQuery is how a page that cannot send Last-Event-ID continues a stream.
var streamQuery = []formField{{name: "last_event_id", doc: "the id of the last event, where the header Last-Event-ID does not say it"}}

// flagStream is a stream of events that tells a client what the flags say.
type flagStream struct {
	s      *Server
	id     string
	who    voiceassist.Principal
	opened time.Time
	conn   net.Conn
	sent   atomic.Int64 // events
	last   atomic.Int64 // when, in unix nanoseconds

	ctx    context.Context //nolint:containedctx // the life of the connection
	cancel context.CancelFunc
}

func (st *flagStream) principal() voiceassist.Principal { return st.who }
func (st *flagStream) refuse(string)                    { st.cancel() }
func (st *flagStream) leave()                           { st.cancel() }

func (st *flagStream) present() presentChannel {
	p := presentAs(st.id, channelSSE, st.who, st.opened)
	p.LastActivity, p.Messages = stamp(time.Unix(0, st.last.Load())), st.sent.Load()
	return p
}

// streamFlags answers with a stream that tells the caller what the flags say,
// and again whenever that changes.
func (s *Server) streamFlags(c *fiber.Ctx) error {
	fs, err := s.flags()
	if err != nil {
		return err
	}
	who := requestOf(c.Context()).who
	c.Set("Content-Type", "text/event-stream; charset=utf-8")
	c.Set("Cache-Control", "no-store")
	c.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if c.Context().Response.SkipBody {
		return nil // a HEAD
	}
	st := &flagStream{s: s, id: uuid.NewString(), who: who, opened: time.Now(), conn: c.Context().Conn()}
	st.last.Store(st.opened.UnixNano())
	st.ctx, st.cancel = context.WithCancel(s.base)
	if !s.hub.add(st, channelSSE) {
		st.cancel()
		return voiceassist.Errorf(voiceassist.Unavailable, "The server has no room for another stream, try again in a moment")
	}
	if s.hub.crowded(who.User.ID) {
		s.hub.remove(st, channelSSE)
		st.cancel()
		return voiceassist.Errorf(voiceassist.RateLimited, "You have too many connections open")
	}
	known := c.Get("Last-Event-ID", c.Query("last_event_id"))
	c.Context().SetConnectionClose()
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { st.run(fs, known, w) })
	return nil
}

// run writes the stream to its end. The client has the state known already.
func (st *flagStream) run(fs Flags, known string, w *bufio.Writer) {
	defer st.s.hub.remove(st, channelSSE)
	defer st.cancel()
	defer func() {
		if r := recover(); r != nil { // nobody else would, and the process would end
			st.s.o.Log.Error("stream panic", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		}
	}()
	heartbeat := time.NewTicker(streamHeartbeat)
	defer heartbeat.Stop()
	next := fmt.Appendf(nil, "retry: %d\n: connected\n\n", streamRetry.Milliseconds())
	var told *myFlagsBody
	for {
		changed := fs.Changed()
		now := myFlagsOf(fs.Verdicts(st.who.User))
		if now.Version != known {
			next = append(next, st.event(told, now)...)
			known = now.Version
		}
		told = &now
		if !st.write(w, next) {
			return
		}
		next = nil
		select {
		case <-st.ctx.Done():
			return
		case <-changed:
		case <-heartbeat.C:
			next = []byte(": heartbeat\n\n")
		}
	}
}

// write sends text, if there is any. A client that does not take it in time is
// gone.
func (st *flagStream) write(w *bufio.Writer, text []byte) bool {
	if len(text) == 0 {
		return true
	}
	_ = st.conn.SetWriteDeadline(time.Now().Add(st.s.o.SocketWait)) // writing will tell
	_, err := w.Write(text)
	if err == nil {
		err = w.Flush()
	}
	return err == nil
}

// flagChange is one flag that says something else than before.
type flagChange struct {
	Name    string          `json:"name"`
	Value   json.RawMessage `json:"value"` // null if the flag is gone
	Variant *string         `json:"variant"`
	Removed bool            `json:"removed"`
}

// flagUpdate is what an event says: everything, and what of it has changed.
type flagUpdate struct {
	myFlagsBody
	Changes   []flagChange `json:"changes,omitempty"`
	Timestamp string       `json:"timestamp"`
}

// event is the event that tells what the flags say now. A client that connects
// is told all; one that was told before learns besides what has changed.
func (st *flagStream) event(before *myFlagsBody, now myFlagsBody) []byte {
	kind, update := "flags", flagUpdate{myFlagsBody: now, Timestamp: stamp(time.Now())}
	if before != nil {
		kind, update.Changes = "flag_update", changesOf(*before, now)
	}
	data, err := json.Marshal(update)
	if err != nil {
		panic("httpapi: an event cannot be encoded: " + err.Error())
	}
	st.sent.Add(1)
	st.last.Store(time.Now().UnixNano())
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", now.Version, kind, data)
}

func changesOf(before, now myFlagsBody) []flagChange {
	var changes []flagChange
	for _, name := range slices.Sorted(maps.Keys(now.Flags)) {
		if !bytes.Equal(before.Flags[name], now.Flags[name]) || before.Variants[name] != now.Variants[name] ||
			!bytes.Equal(before.Values[name], now.Values[name]) {
			change := flagChange{Name: name, Value: now.Flags[name]}
			if variant, ok := now.Variants[name]; ok {
				change.Variant = &variant
			}
			changes = append(changes, change)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Flags)) {
		if _, ok := now.Flags[name]; !ok {
			changes = append(changes, flagChange{Name: name, Value: json.RawMessage("null"), Removed: true})
		}
	}
	return changes
}
