package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Refresh spends a refresh token for new tokens of the same session. It is
// Unauthorized for a token that is not ours, not alive or spent before; the
// last ends the session, unless it was spent only a moment ago.
func (s *Service) Refresh(ctx context.Context, refreshToken string) (voiceassist.SignIn, error) {
	c, err := s.parse(refreshToken, refreshType)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u, err := s.sessionUser(ctx, c)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	session, err := s.session(ctx, c.sessionID)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	issued, err := s.issue(u, c.sessionID, time.Until(session.EndsAt))
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u, err = s.store.Rotate(ctx, sha256.Sum256([]byte(refreshToken)), issued.grant, s.o.ReuseGrace)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	return issued.signIn(u), nil
}

// Logout ends the sessions of the tokens, of which either may be empty. Expired
// tokens are good enough. It is Unauthorized when we signed neither.
func (s *Service) Logout(ctx context.Context, accessToken, refreshToken string) error {
	var ids []uuid.UUID
	for typ, token := range map[string]string{accessType: accessToken, refreshType: refreshToken} {
		if c, err := s.parseExpired(token, typ); err == nil {
			ids = append(ids, c.sessionID)
		}
	}
	if len(ids) == 0 {
		return voiceassist.Errorf(voiceassist.Unauthorized, "Not authenticated")
	}
	return s.store.RevokeSessions(ctx, ids, "logout")
}

// Authenticate returns who an access token belongs to, or is Unauthorized.
func (s *Service) Authenticate(ctx context.Context, accessToken string) (voiceassist.Principal, error) {
	return s.authenticate(ctx, accessToken, accessType)
}

// AuthenticateCookie is Authenticate for the value of the session cookie.
func (s *Service) AuthenticateCookie(ctx context.Context, value string) (voiceassist.Principal, error) {
	return s.authenticate(ctx, value, cookieType)
}

func (s *Service) authenticate(ctx context.Context, token, typ string) (voiceassist.Principal, error) {
	c, err := s.parse(token, typ)
	if err != nil {
		return voiceassist.Principal{}, err
	}
	u, err := s.sessionUser(ctx, c)
	if err != nil {
		return voiceassist.Principal{}, err
	}
	return voiceassist.Principal{User: u, SessionID: c.sessionID}, nil
}

// sessionUser returns the user of a token whose session lives.
func (s *Service) sessionUser(ctx context.Context, c claims) (voiceassist.User, error) {
	u, err := s.store.SessionUser(ctx, c.sessionID)
	if errors.Is(err, voiceassist.NotFound) || err == nil && u.ID != c.userID {
		return voiceassist.User{}, voiceassist.Errorf(voiceassist.Unauthorized, "The session has ended")
	}
	return u, err
}

// session returns a session that lives, or Unauthorized.
func (s *Service) session(ctx context.Context, id uuid.UUID) (voiceassist.Session, error) {
	session, err := s.store.Session(ctx, id)
	if errors.Is(err, voiceassist.NotFound) {
		return voiceassist.Session{}, voiceassist.Errorf(voiceassist.Unauthorized, "The session has ended")
	}
	return session, err
}

// SessionState tells of a session, and after which idle time and which age
// sessions end.
func (s *Service) SessionState(ctx context.Context, id uuid.UUID) (session voiceassist.Session, idle, age time.Duration, err error) {
	session, err = s.session(ctx, id)
	return session, s.o.RefreshTTL, s.o.SessionTTL, err
}

// Family returns the session that an access or refresh token was signed for,
// without asking whether either lives; the zero id if we did not sign it.
func (s *Service) Family(token string) uuid.UUID {
	for _, typ := range []string{refreshType, accessType} {
		if c, err := s.parseExpired(token, typ); err == nil {
			return c.sessionID
		}
	}
	return uuid.Nil
}
