package httpapi

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// channelKind is what an open channel is for.
type channelKind string

const (
	channelChat  channelKind = "chat"
	channelAdmin channelKind = "admin"
	channelSSE   channelKind = "sse"
)

// Bounds of the open channels of a process.
const (
	maxChannels     = 10_000
	maxUserChannels = 100
)

// sessionInterval is how often the sessions of the open channels are looked at,
// all in one query. A revoked one ends its channels within a second.
const sessionInterval = 400 * time.Millisecond

// channel is a connection over which the server speaks unasked: a socket, or a
// stream of events.
type channel interface {
	principal() voiceassist.Principal
	// refuse ends the channel because its client may not be here.
	refuse(message string)
	// leave ends the channel, when what it is telling has been told, because
	// the server stops.
	leave()
	// present is what administrators are told of it.
	present() presentChannel
}

// hub is all open channels of this process.
type hub struct {
	s        *Server
	presence *presence
	open     *prometheus.GaugeVec
	slow     prometheus.Counter

	serving sync.WaitGroup

	mu     sync.Mutex
	closed bool
	all    map[channel]struct{}
}

func newHub(s *Server, r prometheus.Registerer) *hub {
	h := &hub{
		s:   s,
		all: make(map[channel]struct{}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "voiceassist_sockets_open",
			Help: "Sockets and event streams connected to this process.",
		}, []string{"type"}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_sockets_slow_total",
			Help: "Sockets closed because their client did not read.",
		}),
	}
	for _, kind := range []channelKind{channelChat, channelAdmin, channelSSE} {
		h.open.WithLabelValues(string(kind)) // shown from the start
	}
	if r != nil {
		r.MustRegister(h.open, h.slow)
	}
	h.presence = newPresence(h)
	return h
}

// add takes a channel in, unless the server stops or has too many.
func (h *hub) add(c channel, kind channelKind) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.all) >= maxChannels {
		return false
	}
	h.serving.Add(1)
	h.all[c] = struct{}{}
	h.open.WithLabelValues(string(kind)).Inc()
	h.presence.touch()
	return true
}

func (h *hub) remove(c channel, kind channelKind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, c)
	h.open.WithLabelValues(string(kind)).Dec()
	h.presence.touch()
	h.serving.Done()
}

// channels returns the open channels.
func (h *hub) channels() []channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]channel, 0, len(h.all))
	for c := range h.all {
		list = append(list, c)
	}
	return list
}

// crowded reports whether a user has all the channels that one may have.
func (h *hub) crowded(user uuid.UUID) bool {
	n := 0
	for _, c := range h.channels() {
		if c.principal().User.ID == user {
			n++
		}
	}
	return n > maxUserChannels
}

// relay sends a frame to a user's chat sockets but one. It is dropped where a
// client is behind: nothing of it lasts.
func (h *hub) relay(user uuid.UUID, except *socket, f frame) {
	for _, c := range h.channels() {
		if k, ok := c.(*socket); ok && k != except && k.principal().User.ID == user {
			k.offer(f)
		}
	}
}

// watch closes the channels of sessions that end, until ctx does.
func (h *hub) watch(ctx context.Context) {
	tick := time.NewTicker(sessionInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := h.closeEnded(ctx); err != nil && ctx.Err() == nil {
			h.s.o.Log.WarnContext(ctx, "sessions of sockets not checked", slog.String("error", err.Error()))
		}
	}
}

func (h *hub) closeEnded(ctx context.Context) error {
	bySession := make(map[uuid.UUID][]channel)
	var sessions []uuid.UUID
	for _, c := range h.channels() {
		id := c.principal().SessionID
		if id == uuid.Nil {
			continue
		}
		if bySession[id] == nil {
			sessions = append(sessions, id)
		}
		bySession[id] = append(bySession[id], c)
	}
	if len(sessions) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ended, err := h.s.o.Chats.EndedSessions(ctx, sessions)
	if err != nil {
		return err
	}
	for _, id := range ended {
		for _, c := range bySession[id] {
			c.refuse("The session has ended")
		}
	}
	return nil
}

// close takes no more channels.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// endStreams ends the streams of events, which would keep their connections
// open for ever.
func (h *hub) endStreams() {
	for _, c := range h.channels() {
		if st, ok := c.(*flagStream); ok {
			st.leave()
		}
	}
}

// drain lets every channel end, and waits for it.
func (h *hub) drain() {
	for _, c := range h.channels() {
		c.leave()
	}
	h.serving.Wait()
}
