package httpapi

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// UsageBody is a user with the figures that administrators see.
type UsageBody struct {
	UserBody
	ConversationCount int     `json:"conversation_count"`
	MessageCount      int     `json:"message_count"`
	DocumentCount     int     `json:"document_count"`
	ActiveSessions    int     `json:"active_sessions"`
	LastActiveAt      *string `json:"last_active_at" format:"date-time" doc:"signed in, refreshed a token or used a conversation"`
	EraseAt           *string `json:"erase_at" format:"date-time" doc:"deleted: when the personal data goes"`
}

func usageOf(u voiceassist.UserUsage) UsageBody {
	return UsageBody{
		UserBody:          userOf(u.User),
		ConversationCount: u.Conversations,
		MessageCount:      u.Messages,
		DocumentCount:     u.Documents,
		ActiveSessions:    u.Sessions,
		LastActiveAt:      stampOrNil(u.LastActiveAt),
		EraseAt:           stampOrNil(u.EraseAt),
	}
}

// UsersPage is a page of users, the newest first.
type UsersPage struct {
	Users    []twins[UsageBody] `json:"users"`
	Items    []twins[UsageBody] `json:"items"`
	Total    int                `json:"total"`
	Page     int                `json:"page"`
	PageSize int                `json:"pageSize"`
	Offset   int                `json:"offset"`
	Limit    int                `json:"limit" doc:"0: there is none"`
}

func (b UsersPage) named() string { return "users" }

func (s *Server) panelUsers(ctx context.Context, in *usersInput) (UsersPage, error) {
	f, err := in.filter(requestOf(ctx).flat)
	if err != nil {
		return UsersPage{}, err
	}
	list, total, err := s.o.Users.Users(ctx, f)
	if err != nil {
		return UsersPage{}, err
	}
	rows := make([]twins[UsageBody], len(list))
	for i, u := range list {
		rows[i] = both(usageOf(u))
	}
	return UsersPage{
		Users: rows, Items: rows, Total: total, Page: f.Offset/f.Limit + 1, PageSize: f.Limit, Offset: f.Offset, Limit: f.Limit,
	}, nil
}

func (s *Server) panelUser(ctx context.Context, in *userInput) (twins[UsageBody], error) {
	id, err := parseID(in.ID, "user")
	if err != nil {
		return twins[UsageBody]{}, err
	}
	u, err := s.o.Users.User(ctx, id)
	return both(usageOf(u)), err
}

// rateLimitBody is how often the administrator may act on users. A limit of 0 is
// none: nothing is counted.
type rateLimitBody struct {
	Limit     int `json:"limit"`
	Remaining int `json:"remaining"`
	ResetIn   int `json:"reset_in" doc:"seconds until all of limit are available again"`
}

func rateLimitOf(d *voiceassist.Decision) rateLimitBody {
	if d == nil {
		return rateLimitBody{}
	}
	wait := int(math.Ceil(time.Until(d.Reset).Seconds()))
	return rateLimitBody{Limit: d.Limit, Remaining: d.Remaining, ResetIn: max(0, wait)}
}

// countAction counts an administrator's action on a user, whichever session it
// is made in.
func (s *Server) countAction(ctx context.Context) (rateLimitBody, error) {
	who := principal(ctx).User
	if s.o.Limits == nil || s.o.Rates.AdminActions == (voiceassist.Rate{}) || !who.IsAdmin() {
		return rateLimitBody{}, nil
	}
	err := s.count(ctx, rateAdminActions, who.ID.String())
	return rateLimitOf(requestOf(ctx).limit), err
}

// changedUserBody is a user after a change: their fields, and user again for
// clients that look there.
type changedUserBody struct {
	UserBody
	User      twins[UserBody] `json:"user"`
	RateLimit rateLimitBody   `json:"rate_limit" doc:"of the administrator's actions"`
}

// act makes a change to a user and counts it as one of the caller's actions.
func (s *Server) act(ctx context.Context, rawID string, c voiceassist.UserChange) (twins[changedUserBody], error) {
	limit, err := s.countAction(ctx)
	if err != nil {
		return twins[changedUserBody]{}, err
	}
	id, err := parseID(rawID, "user")
	if err != nil {
		return twins[changedUserBody]{}, err
	}
	if err := mayChange(principal(ctx), id, c); err != nil {
		return twins[changedUserBody]{}, err
	}
	u, err := s.changeUser(ctx, id, c)
	body := userOf(u)
	return both(changedUserBody{UserBody: body, User: both(body), RateLimit: limit}), err
}

// changeUser makes a change to a user and tells the admin panels.
func (s *Server) changeUser(ctx context.Context, id uuid.UUID, c voiceassist.UserChange) (voiceassist.User, error) {
	u, err := s.o.Users.ChangeUser(ctx, id, c)
	if err == nil {
		s.adminEvent(ctx, eventOf(c), id.String())
	}
	return u, err
}

// eventOf names a change as the audit log does if it is of one kind. Others may
// say again what has not changed, as whole users do that clients send back.
func eventOf(c voiceassist.UserChange) string {
	c.Reason = ""
	switch c {
	case voiceassist.UserChange{}:
		return voiceassist.ActionUserUpdated
	case voiceassist.UserChange{Role: c.Role, Admin: c.Admin}:
		return voiceassist.ActionRoleChanged
	case voiceassist.UserChange{Active: c.Active}:
		if *c.Active {
			return voiceassist.ActionUserActivated
		}
		return voiceassist.ActionUserDeactivated
	}
	return voiceassist.ActionUserUpdated
}

func (s *Server) deleteUser(ctx context.Context, in *userInput) (twins[deletedUserBody], error) {
	return s.removeOther(ctx, in.ID, s.remove)
}

// eraseUser deletes a user without a grace. What is theirs is gone with the
// reply.
func (s *Server) eraseUser(ctx context.Context, in *userInput) (twins[deletedUserBody], error) {
	return s.removeOther(ctx, in.ID, func(ctx context.Context, id uuid.UUID, reason string) (deletedUserBody, error) {
		at, err := s.o.Users.DeleteUser(ctx, id, 0, reason)
		if err != nil {
			return deletedUserBody{}, err
		}
		body := deletedUserBody{ID: id.String(), Status: "erased", EraseAt: stamp(at), Message: "User erased"}
		err = s.o.Users.EraseUser(ctx, id)
		if errors.Is(err, voiceassist.NotFound) { // the chore was faster
			err = nil
		}
		s.adminEvent(ctx, voiceassist.ActionUserErased, id.String())
		return body, err
	})
}

// removeOther removes somebody who is not the caller.
func (s *Server) removeOther(ctx context.Context, rawID string, remove func(context.Context, uuid.UUID, string) (deletedUserBody, error)) (twins[deletedUserBody], error) {
	limit, err := s.countAction(ctx)
	if err != nil {
		return twins[deletedUserBody]{}, err
	}
	id, err := parseID(rawID, "user")
	if err != nil {
		return twins[deletedUserBody]{}, err
	}
	if id == principal(ctx).User.ID {
		return twins[deletedUserBody]{}, errOneself
	}
	body, err := remove(ctx, id, "")
	body.RateLimit = &limit
	return both(body), err
}
