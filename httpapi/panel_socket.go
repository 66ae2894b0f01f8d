package httpapi

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/contrib/websocket"

	voiceassist "github.com/voiceassist/backend"
)

// Intervals of the panel sockets.
const (
	panelMetricsEvery   = 10 * time.Second
	panelHeartbeatEvery = 30 * time.Second
)

// Activity is what this package asks of postgres.DB about what goes on.
type Activity interface {
	Activity(ctx context.Context) (voiceassist.Activity, error)
}

// panels are the sockets of admin panels in this process.
type panels struct {
	s     *Server
	every time.Duration

	mu     sync.Mutex // held while figures are gathered: whoever comes meanwhile waits for them
	latest frame      // the last metrics_update
	at     time.Time
}

func newPanels(s *Server) *panels { return &panels{s: s, every: s.o.PanelEvery} }

// panelSocket is the socket of an admin panel.
type panelSocket struct {
	*wire
	ps     *panels
	wanted atomic.Pointer[[]string] // channels; nil is all
}

// serve runs a panel's socket until it is closed.
func (ps *panels) serve(conn *websocket.Conn, o opening) {
	k := &panelSocket{wire: newWire(ps.s.hub, channelAdmin, conn), ps: ps}
	if !ps.s.hub.add(k, channelAdmin) {
		k.leave()
		k.write()
		return
	}
	defer ps.s.hub.remove(k, channelAdmin)
	k.serve(func() {
		if k.authenticate(o) && k.greet() {
			k.read()
		}
	})
}

// leave ends the socket because the server stops.
func (k *panelSocket) leave() { k.end(websocket.CloseGoingAway, "the server is restarting") }

// greet opens the conversation with a client who may see what there is.
func (k *panelSocket) greet() bool {
	if err := viewer.allows(k.principal().User); err != nil {
		k.send(errorFrame(err))
		k.end(websocket.ClosePolicyViolation, explain(err).message)
		return false
	}
	k.send(frame{
		"type": "connected", "clientId": k.id, "client_id": k.id, "timestamp": stamp(time.Now()),
		"protocolVersion": protocolNumber, "capabilities": []string{"metrics_update", "heartbeat", "admin_event", "subscribe"},
	})
	if f, ok := k.ps.metrics(k.ctx); ok {
		return k.send(f)
	}
	return true
}

func (k *panelSocket) read() {
	for f, err := range k.received() {
		if err == nil {
			err = k.handle(f)
		}
		if err != nil && !k.send(errorFrame(err)) {
			return
		}
	}
}

// handle acts on a frame. Its error goes to the client; the socket stays.
func (k *panelSocket) handle(f clientFrame) error {
	switch f.Type {
	case "ping":
		k.send(frame{"type": "pong", "timestamp": stamp(time.Now())})
		return nil
	case "auth": // it has said so already, or fresh tokens came for a session that stands
		return nil
	case "subscribe":
		return k.subscribe(f.Channels)
	}
	return voiceassist.Errorf(voiceassist.Invalid, "Unknown event type")
}

// maxPanelChannels is how many channels a panel names.
const maxPanelChannels = 50

var panelChannel = regexp.MustCompile(`^[a-z][a-z_.]{0,39}$`)

// subscribe chooses what the panel is told: "metrics", "events" for all events,
// or the events of one kind of thing, "flag" or "flags". No channels are all.
func (k *panelSocket) subscribe(channels []string) error {
	if len(channels) > maxPanelChannels || slices.ContainsFunc(channels, func(c string) bool { return !panelChannel.MatchString(c) }) {
		return voiceassist.Errorf(voiceassist.Invalid, "channels must be at most %d names", maxPanelChannels)
	}
	k.wanted.Store(&channels)
	if len(channels) == 0 {
		channels = []string{"metrics", "events"}
		k.wanted.Store(nil)
	}
	k.send(frame{"type": "subscribed", "channels": channels, "timestamp": stamp(time.Now())})
	return nil
}

// wants reports whether the panel is to be told of a channel.
func (k *panelSocket) wants(names ...string) bool {
	wanted := k.wanted.Load()
	return wanted == nil || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(*wanted, name) })
}

// tell sends a frame to the panels that want one of the channels, unless they
// are behind or have not said who they are.
func (ps *panels) tell(f frame, channels ...string) {
	for _, c := range ps.s.hub.channels() {
		if k, ok := c.(*panelSocket); ok && k.principal().User.CanView() && (len(channels) == 0 || k.wants(channels...)) {
			k.offer(f)
		}
	}
}

// event tells the panels of this process what happened.
func (ps *panels) event(e adminNews) {
	resource, _, _ := strings.Cut(e.Kind, ".")
	ps.tell(frame{
		"type": "admin_event", "event": e.Kind, "resource_type": resource, "resource_id": e.ID, "id": e.ID, "timestamp": stamp(e.At),
	}, "events", "admin_event", resource, resource+"s", e.Kind)
}

// run sends figures and heartbeats until ctx ends.
func (ps *panels) run(ctx context.Context) {
	metrics, heartbeat := time.NewTicker(ps.every), time.NewTicker(panelHeartbeatEvery)
	defer metrics.Stop()
	defer heartbeat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
			ps.tell(frame{"type": "heartbeat", "timestamp": stamp(time.Now())})
		case <-metrics.C:
			if !ps.any() {
				continue
			}
			if f, ok := ps.metrics(ctx); ok {
				ps.tell(f, "metrics", "metrics_update")
			}
		}
	}
}

// any reports whether a panel is open.
func (ps *panels) any() bool {
	return slices.ContainsFunc(ps.s.hub.channels(), func(c channel) bool {
		_, ok := c.(*panelSocket)
		return ok
	})
}

// metricsTimeout bounds the gathering of figures.
const metricsTimeout = 5 * time.Second

// metrics returns the figures of the moment, at most half an interval old. ok
// is false when they could not be had.
func (ps *panels) metrics(ctx context.Context) (f frame, ok bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.latest != nil && time.Since(ps.at) < ps.every/2 {
		return ps.latest, true
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	f, err := ps.gather(ctx)
	if err != nil {
		if ctx.Err() == nil {
			ps.s.o.Log.WarnContext(ctx, "figures for the admin panel", slog.Any("error", err))
		}
		return nil, false
	}
	ps.latest, ps.at = f, time.Now()
	return f, true
}

func (ps *panels) gather(ctx context.Context) (frame, error) {
	library, err := ps.s.o.Ledger.LibraryStats(ctx)
	if err != nil {
		return nil, err
	}
	var a voiceassist.Activity
	if ps.s.o.Activity != nil {
		if a, err = ps.s.o.Activity.Activity(ctx); err != nil {
			return nil, err
		}
	}
	all, complete := ps.s.hub.presence.everywhere(ctx)
	answers, open, kinds := 0, 0, map[string]int{}
	for _, p := range all {
		answers += p.Answers
		for kind, n := range p.Counts {
			kinds[kind] += n
			open += n
		}
	}
	documents, queues := map[string]int{}, frame{}
	for state, n := range library.ByState {
		documents[wireStatus(state)] += n
	}
	for q, n := range a.Pending {
		queues[string(q)] = frame{"pending": n, "running": a.Running[q]}
	}
	metrics := frame{
		"documents": documents, "chunks": library.Passages, "queues": queues,
		"active_connections": open, "connections_by_type": kinds, "answers_running": answers,
		"total_users": a.Users, "active_users": a.ActiveUsers,
		"processes": len(all), "partial": !complete,
	}
	return frame{"type": "metrics_update", "metrics": metrics, "data": metrics, "timestamp": stamp(time.Now())}, nil
}
