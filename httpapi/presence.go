package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Presence is what this package asks of redis.Presence: what each API process
// says of itself, for all to read. What a process said is forgotten when ttl
// has passed.
type Presence interface {
	Put(ctx context.Context, process string, state []byte, ttl time.Duration) error
	Remove(ctx context.Context, process string) error
	All(ctx context.Context) (map[string][]byte, error)
}

// Bounds of presence.
const (
	presenceEvery   = 4 * time.Second        // how often a process says that it is there
	presenceTTL     = 15 * time.Second       // after which it is not
	presenceSettle  = 150 * time.Millisecond // changes within it are told together
	presenceTimeout = time.Second            // for Redis to answer
	presenceFinal   = 250 * time.Millisecond // likewise, when this process ends
	presenceRows    = 50                     // channels that a process tells of, the newest
)

// presentChannel is an open channel as administrators see it.
type presentChannel struct {
	ClientID       string `json:"client_id"`
	UserID         string `json:"user_id"`
	Type           string `json:"type" enum:"chat,admin,sse"`
	ConnectedAt    string `json:"connected_at" format:"date-time"`
	LastActivity   string `json:"last_activity" format:"date-time"`
	ConversationID string `json:"conversation_id"`
	Messages       int64  `json:"messages" doc:"frames received, or events sent over a stream"`
	Process        string `json:"process"`
}

// presentProcess is what a process says of itself.
type presentProcess struct {
	Process string           `json:"process"`
	Counts  map[string]int   `json:"counts"` // of channels, by type
	Users   []string         `json:"users"`  // with a channel, at most presenceUsers
	Answers int              `json:"answers"`
	Recent  []presentChannel `json:"recent"`
}

// presenceUsers is how many users a process names.
const presenceUsers = 2000

// presence tells the other processes which channels are open in this one.
type presence struct {
	hub   *hub
	dirty chan struct{}
}

func newPresence(h *hub) *presence { return &presence{hub: h, dirty: make(chan struct{}, 1)} }

// touch has a change told soon.
func (p *presence) touch() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// run tells until ctx ends, and then that this process is gone.
func (p *presence) run(ctx context.Context) {
	store := p.hub.s.o.Presence
	if store == nil {
		return
	}
	tick := time.NewTicker(presenceEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := p.put(ctx, store); err != nil && ctx.Err() == nil {
			p.hub.s.o.Log.DebugContext(ctx, "presence not told", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-p.dirty:
			select {
			case <-ctx.Done():
			case <-time.After(presenceSettle):
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), presenceFinal)
	defer cancel()
	_ = store.Remove(ctx, p.hub.s.news.process) // else it is forgotten by itself
}

func (p *presence) put(ctx context.Context, store Presence) error {
	state, err := json.Marshal(p.own())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	return store.Put(ctx, p.hub.s.news.process, state, presenceTTL)
}

// own is what this process says of itself.
func (p *presence) own() presentProcess {
	all := p.hub.channels()
	own := presentProcess{Process: p.hub.s.news.process, Counts: map[string]int{}, Answers: p.hub.s.sockets.answers.running()}
	users := map[string]bool{}
	rows := make([]presentChannel, 0, len(all))
	for _, c := range all {
		row := c.present()
		row.Process = own.Process
		own.Counts[row.Type]++
		if row.UserID != "" && !users[row.UserID] && len(own.Users) < presenceUsers {
			users[row.UserID] = true
			own.Users = append(own.Users, row.UserID)
		}
		rows = append(rows, row)
	}
	own.Recent = newest(rows)
	return own
}

// newest returns the channels opened last, the newest first.
func newest(rows []presentChannel) []presentChannel {
	slices.SortFunc(rows, func(a, b presentChannel) int {
		return cmp.Or(cmp.Compare(b.ConnectedAt, a.ConnectedAt), cmp.Compare(a.ClientID, b.ClientID))
	})
	return rows[:min(len(rows), presenceRows)]
}

// everywhere returns what all API processes say of themselves, this one as it
// is now. complete is false when the others could not be asked.
func (p *presence) everywhere(ctx context.Context) (all []presentProcess, complete bool) {
	own := p.own()
	all = []presentProcess{own}
	store := p.hub.s.o.Presence
	if store == nil {
		return all, true
	}
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	states, err := store.All(ctx)
	if err != nil {
		return all, false
	}
	for process, state := range states {
		var other presentProcess
		if process == own.Process || json.Unmarshal(state, &other) != nil {
			continue
		}
		all = append(all, other)
	}
	return all, true
}

// Pools are the figures of the connections that this process keeps.
type Pools struct {
	Database Pool `json:"database"`
	Redis    Pool `json:"redis"`
}

// Pool are the figures of one pool of connections.
type Pool struct {
	Max   int `json:"max"`
	Open  int `json:"open"`
	InUse int `json:"in_use"`
	Idle  int `json:"idle"`
}

// socketStatusBody is who is connected, over all API processes.
type socketStatusBody struct {
	ActiveConnections int              `json:"active_connections"`
	ConnectionsByType map[string]int   `json:"connections_by_type" doc:"chat, admin (panels) and sse (streams of flags)"`
	RecentConnections []presentChannel `json:"recent_connections" doc:"the newest fifty"`
	ActiveUsers       int              `json:"active_users" doc:"with an open connection"`
	Processes         int              `json:"processes"`
	Partial           bool             `json:"partial" doc:"other processes could not be asked, only this one is counted"`
	PoolStats         Pools            `json:"pool_stats" doc:"connections of the process that answers"`
	Timestamp         string           `json:"timestamp" format:"date-time"`
}

func (s *Server) socketStatus(ctx context.Context, _ *none) (twins[socketStatusBody], error) {
	all, complete := s.hub.presence.everywhere(ctx)
	b := socketStatusBody{
		ConnectionsByType: map[string]int{string(channelChat): 0, string(channelAdmin): 0, string(channelSSE): 0},
		Processes:         len(all), Partial: !complete, Timestamp: stamp(time.Now()),
	}
	users := map[string]bool{}
	rows := []presentChannel{}
	for _, p := range all {
		for kind, n := range p.Counts {
			b.ConnectionsByType[kind] += n
			b.ActiveConnections += n
		}
		for _, u := range p.Users {
			users[u] = true
		}
		rows = append(rows, p.Recent...)
	}
	b.RecentConnections, b.ActiveUsers = newest(rows), len(users)
	if s.o.Pools != nil {
		b.PoolStats = s.o.Pools()
	}
	return both(b), nil
}

// present is what administrators are told of a socket.
func (k *wire) present() presentChannel {
	p := presentAs(k.id, k.kind, k.principal(), k.opened)
	p.LastActivity = stamp(time.Unix(0, k.last.Load()))
	p.Messages = k.frames.Load()
	if id := k.about.Load(); id != nil {
		p.ConversationID = id.String()
	}
	return p
}

func presentAs(id string, kind channelKind, who voiceassist.Principal, opened time.Time) presentChannel {
	p := presentChannel{ClientID: id, Type: string(kind), ConnectedAt: stamp(opened), LastActivity: stamp(opened)}
	if who.User.ID != uuid.Nil {
		p.UserID = who.User.ID.String()
	}
	return p
}
