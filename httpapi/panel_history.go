package httpapi

import (
	"context"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

type historyInput struct {
	Paging
	ID string `path:"id"`
}

// events reads the page of the audit log that in asks for.
func (s *Server) events(ctx context.Context, in *historyInput, actions ...string) (list []voiceassist.UserEvent, total int, err error) {
	id, err := parseID(in.ID, "user")
	if err != nil {
		return nil, 0, err
	}
	offset, limit := in.window(requestOf(ctx).flat)
	return s.o.Users.UserEvents(ctx, id, actions, offset, limit)
}

type roleChangeBody struct {
	ID        string           `json:"id"`
	ChangedAt string           `json:"changed_at" format:"date-time"`
	Actor     string           `json:"actor" doc:"the address of who did it; their id once the address is not known any more; system"`
	FromRole  voiceassist.Role `json:"from_role" enum:"user,viewer,admin"`
	ToRole    voiceassist.Role `json:"to_role" enum:"user,viewer,admin"`
	Reason    string           `json:"reason"`
	TraceID   string           `json:"trace_id"`
}

// roleHistoryBody is a page of changes, the latest first.
type roleHistoryBody struct {
	History []twins[roleChangeBody] `json:"history"`
	Total   int                     `json:"total"`
}

func (s *Server) roleHistory(ctx context.Context, in *historyInput) (roleHistoryBody, error) {
	list, total, err := s.events(ctx, in, voiceassist.ActionRoleChanged)
	body := roleHistoryBody{History: make([]twins[roleChangeBody], len(list)), Total: total}
	for i, e := range list {
		body.History[i] = both(roleChangeBody{
			ID: e.ID.String(), ChangedAt: stamp(e.At), Actor: e.Actor, FromRole: e.From, ToRole: e.To, Reason: e.Reason, TraceID: e.TraceID,
		})
	}
	return body, err
}

type lockEventBody struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp" format:"date-time"`
	Actor     string `json:"actor" doc:"the address of who did it; their id once the address is not known any more; system"`
	Status    string `json:"status" enum:"locked,unlocked,activated,deactivated,deleted"`
	Reason    string `json:"reason"`
	TraceID   string `json:"trace_id"`
}

// lockReasonsBody is a page of events, the latest first.
type lockReasonsBody struct {
	Events []twins[lockEventBody] `json:"events"`
	Total  int                    `json:"total"`
}

func (s *Server) lockReasons(ctx context.Context, in *historyInput) (lockReasonsBody, error) {
	list, total, err := s.events(ctx, in, voiceassist.ActionAccountLocked, voiceassist.ActionAccountUnlocked,
		voiceassist.ActionUserActivated, voiceassist.ActionUserDeactivated, voiceassist.ActionUserDeleted)
	body := lockReasonsBody{Events: make([]twins[lockEventBody], len(list)), Total: total}
	for i, e := range list {
		_, status, _ := strings.Cut(e.Action, ".")
		body.Events[i] = both(lockEventBody{
			ID: e.ID.String(), Timestamp: stamp(e.At), Actor: e.Actor, Status: status, Reason: e.Reason, TraceID: e.TraceID,
		})
	}
	return body, err
}
