package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Accounts is what this package asks of accounts.Service.
type Accounts interface {
	signIns
	links
	factors
	keys
}

type signIns interface {
	// Register creates an account and signs it in. Possible ends: success;
	// Invalid; Conflict when the address is taken; Forbidden when registration
	// is closed or by invitation.
	Register(ctx context.Context, r voiceassist.Registration) (voiceassist.SignIn, error)
	// Login begins a session, or returns a challenge if the account has a second
	// factor. Possible ends: success; Unauthorized for an unknown address or a
	// wrong password alike; Forbidden for an inactive or locked account;
	// RateLimited for one that has failed just now; Unavailable when too many
	// wait for their password to be checked.
	Login(ctx context.Context, email, password string) (voiceassist.SignIn, error)
	// VerifyLogin begins the session of a login that was answered by a
	// challenge. It is Unauthorized for a challenge that has expired and for a
	// code that is wrong or was used before, otherwise ends like Login.
	VerifyLogin(ctx context.Context, challenge, code string) (voiceassist.SignIn, error)
	// Refresh spends a refresh token for new tokens, or is Unauthorized.
	Refresh(ctx context.Context, refreshToken string) (voiceassist.SignIn, error)
	// Logout ends the sessions of the tokens; either may be empty, expired or
	// of a dead session. It is Unauthorized when we signed neither.
	Logout(ctx context.Context, accessToken, refreshToken string) error
	// ChangePassword ends all sessions of a user who knows their password and
	// begins a new one. It is Invalid for a wrong or unusable password.
	ChangePassword(ctx context.Context, userID uuid.UUID, oldPassword, newPassword string) (voiceassist.SignIn, error)
	// SessionState tells of a session, and after which idle time and which age
	// sessions end.
	SessionState(ctx context.Context, id uuid.UUID) (session voiceassist.Session, idle, age time.Duration, err error)
	// Authenticate returns who an access token belongs to, or is Unauthorized.
	Authenticate(ctx context.Context, accessToken string) (voiceassist.Principal, error)
	// AuthenticateCookie is Authenticate for the value of the session cookie.
	AuthenticateCookie(ctx context.Context, value string) (voiceassist.Principal, error)
	// AuthenticateKey is Authenticate for an API key.
	AuthenticateKey(ctx context.Context, key string) (voiceassist.Principal, error)
	// Family returns the session that an access or refresh token was signed
	// for, without asking whether either lives; the zero id if we did not sign
	// it.
	Family(token string) uuid.UUID
}

type links interface {
	// ForgotPassword mails the owner of an address a reset link, and ends alike
	// when nobody has it.
	ForgotPassword(ctx context.Context, email string) error
	// ResetPassword spends a reset link; it is Invalid for one that is not good
	// any more.
	ResetPassword(ctx context.Context, token, password string) error
	// SendReset mails a user a reset link. Possible ends: success; NotFound;
	// Conflict for an inactive account; RateLimited; Unavailable without mail.
	SendReset(ctx context.Context, userID uuid.UUID) error
	// Invite mails an address an invitation. Possible ends: success; Invalid;
	// Conflict when the address has an account; Forbidden when registration is
	// closed; Unavailable without mail.
	Invite(ctx context.Context, i voiceassist.Invitation) (voiceassist.Invitation, error)
	// AcceptInvitation makes the account that an invitation offers, and ends
	// like Register.
	AcceptInvitation(ctx context.Context, token string, r voiceassist.Registration) (voiceassist.SignIn, error)
}

type factors interface {
	// FactorStatus says since when a user's second factor is enabled, nil if it
	// is not, and how many backup codes are left.
	FactorStatus(ctx context.Context, userID uuid.UUID) (since *time.Time, codes int, err error)
	// SetUpFactor begins to set up a second factor. It is Conflict when one is
	// enabled.
	SetUpFactor(ctx context.Context, u voiceassist.User) (voiceassist.FactorSetup, error)
	// EnableFactor enables it with its first code, or is Invalid for a wrong
	// one.
	EnableFactor(ctx context.Context, u voiceassist.User, code string) error
	// DisableFactor removes a second factor, given the password or a code.
	DisableFactor(ctx context.Context, userID uuid.UUID, password, code string) error
	// NewBackupCodes replaces backup codes, given the password or a code.
	NewBackupCodes(ctx context.Context, userID uuid.UUID, password, code string) ([]string, error)
}

type keys interface {
	// CreateAPIKey makes a key and returns it, once. Possible ends: success;
	// Invalid; Conflict when there are too many.
	CreateAPIKey(ctx context.Context, userID uuid.UUID, name string, scopes []voiceassist.Scope, expires *time.Time) (key string, k voiceassist.APIKey, err error)
	// APIKeys returns a page of a user's keys and how many they have.
	APIKeys(ctx context.Context, userID uuid.UUID, offset, limit int) ([]voiceassist.APIKey, int, error)
	// DeleteAPIKey ends one of a user's keys, or is NotFound.
	DeleteAPIKey(ctx context.Context, userID, id uuid.UUID) error
}

// sessionBody is what a web app needs to warn before a session ends.
type sessionBody struct {
	AbsoluteTimeoutHours       float64 `json:"absolute_timeout_hours"`
	InactivityTimeoutMinutes   float64 `json:"inactivity_timeout_minutes"`
	AbsoluteRemainingSeconds   int     `json:"absolute_remaining_seconds"`
	InactivityRemainingSeconds int     `json:"inactivity_remaining_seconds" doc:"until the session ends if nobody refreshes it"`
	SessionStartedAt           string  `json:"session_started_at" format:"date-time"`
	LastActivityAt             string  `json:"last_activity_at" format:"date-time" doc:"when it began or was last refreshed"`
}

func (s *Server) session(ctx context.Context, _ *none) (twins[sessionBody], error) {
	state, idle, age, err := s.o.Accounts.SessionState(ctx, principal(ctx).SessionID)
	if err != nil {
		return twins[sessionBody]{}, err
	}
	return both(sessionBody{
		AbsoluteTimeoutHours:       age.Hours(),
		InactivityTimeoutMinutes:   idle.Minutes(),
		AbsoluteRemainingSeconds:   secondsUntil(state.EndsAt),
		InactivityRemainingSeconds: secondsUntil(state.ExpiresAt),
		SessionStartedAt:           stamp(state.CreatedAt),
		LastActivityAt:             stamp(state.LastUsedAt),
	}), nil
}

func secondsUntil(t time.Time) int { return max(0, int(time.Until(t)/time.Second)) }
