package httpapi

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

type bulkInput struct {
	Body struct {
		Action  string            `json:"action" enum:"activate,deactivate,delete,set_role"`
		UserIDs []string          `json:"user_ids" minItems:"1" maxItems:"100" minLength:"1" nullable:"false"`
		Role    *voiceassist.Role `json:"role,omitempty" enum:"user,viewer,admin" doc:"for set_role"`
		Reason  string            `json:"reason,omitempty" maxLength:"500" doc:"for the audit log, which never forgets it: nothing personal"`
	}
}

// bulkResultBody says what became of one of the users.
type bulkResultBody struct {
	UserID string            `json:"user_id"`
	OK     bool              `json:"ok"`
	Code   *voiceassist.Code `json:"code,omitempty"`
	Error  *string           `json:"error,omitempty"`
}

// bulkBody has a result for each id, in their order. Each user is changed, or
// not, on their own.
type bulkBody struct {
	Action    string                  `json:"action"`
	Results   []twins[bulkResultBody] `json:"results"`
	Total     int                     `json:"total"`
	Succeeded int                     `json:"succeeded"`
	Failed    int                     `json:"failed"`
	RateLimit rateLimitBody           `json:"rate_limit" doc:"of the administrator's actions"`
}

// bulkUsers does the same to several users, each of which counts as one action.
func (s *Server) bulkUsers(ctx context.Context, in *bulkInput) (bulkBody, error) {
	do, err := s.bulkAction(in)
	if err != nil {
		return bulkBody{}, err
	}
	body := bulkBody{Action: in.Body.Action, Total: len(in.Body.UserIDs)}
	for i, id := range in.Body.UserIDs {
		limit, err := s.countAction(ctx)
		if err != nil && i == 0 {
			return bulkBody{}, err
		}
		body.RateLimit = limit
		if err == nil {
			err = s.bulkOne(ctx, id, do)
		}
		if err != nil {
			body.Failed++
		} else {
			body.Succeeded++
		}
		body.Results = append(body.Results, both(s.bulkResult(ctx, id, err)))
	}
	return body, nil
}

// bulkAction returns what is to be done to each user.
func (s *Server) bulkAction(in *bulkInput) (func(context.Context, uuid.UUID) error, error) {
	c := voiceassist.UserChange{Reason: in.Body.Reason}
	switch in.Body.Action {
	case "delete":
		return func(ctx context.Context, id uuid.UUID) error {
			_, err := s.remove(ctx, id, in.Body.Reason)
			return err
		}, nil
	case "activate":
		c.Active = new(true)
	case "deactivate":
		c.Active = new(false)
	default:
		if in.Body.Role == nil {
			return nil, voiceassist.FieldError("role", "role is required to set it")
		}
		c.Role = in.Body.Role
	}
	return func(ctx context.Context, id uuid.UUID) error {
		_, err := s.changeUser(ctx, id, c)
		return err
	}, nil
}

func (s *Server) bulkOne(ctx context.Context, rawID string, do func(context.Context, uuid.UUID) error) error {
	id, err := parseID(rawID, "user")
	if err != nil {
		return err
	}
	if id == principal(ctx).User.ID {
		return errOneself
	}
	return do(ctx, id)
}

// bulkResult explains err as a reply of its own would.
func (s *Server) bulkResult(ctx context.Context, id string, err error) bulkResultBody {
	if err == nil {
		return bulkResultBody{UserID: id, OK: true}
	}
	f := explain(err)
	if f.code == voiceassist.Internal {
		s.o.Log.ErrorContext(ctx, "bulk action on a user", slog.String("request_id", requestOf(ctx).id), slog.Any("error", err))
	}
	return bulkResultBody{UserID: id, Code: &f.code, Error: &f.message}
}
