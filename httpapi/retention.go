package httpapi

import (
	"context"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Settings is what this package asks of postgres.DB about settings that are
// changed while the program runs.
type Settings interface {
	// Retention also returns when it was set, nil if it never was.
	Retention(ctx context.Context) (voiceassist.Retention, *time.Time, error)
	SetRetention(ctx context.Context, r voiceassist.Retention) (time.Time, error)
}

// retentionBody says for how many days things are kept.
type retentionBody struct {
	ConversationsDays int     `json:"conversations_days" doc:"since the last activity; 0 is for ever"`
	FilesDays         int     `json:"files_days" doc:"since the upload, attached or not; 0 is for ever"`
	AuditDays         int     `json:"audit_days" doc:"0 is for ever"`
	UpdatedAt         *string `json:"updated_at" format:"date-time"`
}

func retentionOf(r voiceassist.Retention, set *time.Time) retentionBody {
	return retentionBody{ConversationsDays: r.Conversations, FilesDays: r.Files, AuditDays: r.Audit, UpdatedAt: stampOrNil(set)}
}

func (s *Server) getRetention(ctx context.Context, _ *none) (twins[retentionBody], error) {
	r, set, err := s.o.Settings.Retention(ctx)
	return both(retentionOf(r, set)), err
}

// retentionInput replaces all of the settings: what is missing or null is kept
// for ever, which loses nothing.
type retentionInput struct {
	Body struct {
		ConversationsDays *int `json:"conversations_days,omitempty" nullable:"true" minimum:"0" maximum:"36500"`
		FilesDays         *int `json:"files_days,omitempty" nullable:"true" minimum:"0" maximum:"36500"`
		AuditDays         *int `json:"audit_days,omitempty" nullable:"true" minimum:"0" maximum:"36500"`
	}
}

func (s *Server) setRetention(ctx context.Context, in *retentionInput) (twins[retentionBody], error) {
	days := func(n *int) int {
		if n == nil {
			return 0
		}
		return *n
	}
	r := voiceassist.Retention{
		Conversations: days(in.Body.ConversationsDays), Files: days(in.Body.FilesDays), Audit: days(in.Body.AuditDays),
	}
	set, err := s.o.Settings.SetRetention(ctx, r)
	if err == nil {
		s.adminEvent(ctx, "settings.retention_changed", "retention")
	}
	return both(retentionOf(r, &set)), err
}
