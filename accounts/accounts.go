// Package accounts says who somebody is: passwords, sessions and the tokens
// that stand for them.
//
// A session is a family of tokens: a login and every refresh that followed. Its
// row in the ledger is asked for with every request, so revoking it ends all of
// its tokens at once, in every process. An access token only names a session
// and says that we signed it; a refresh token works once, and one that comes
// back later ends its family, since somebody has stolen one of the two.
package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	voiceassist "github.com/voiceassist/backend"
)

// Store is what this package asks of the ledger.
type Store interface {
	// AddUser stores a new user and begins a session of theirs. It is Conflict
	// when the address is taken.
	AddUser(ctx context.Context, u voiceassist.User, passwordHash string, g voiceassist.Grant) (voiceassist.User, error)
	// PutAdmin makes the owner of an address an active admin with this password
	// and reports whether it had to create the account. Sessions of an account
	// that existed end.
	PutAdmin(ctx context.Context, u voiceassist.User, passwordHash string) (user voiceassist.User, created bool, err error)
	// Credentials returns a user and the hash of their password, or NotFound.
	Credentials(ctx context.Context, email string) (u voiceassist.User, passwordHash string, err error)
	// BeginSession begins a session of an active user and notes the login. It is
	// Unauthorized if passwordHash is no longer the user's; "" asks for none.
	BeginSession(ctx context.Context, userID uuid.UUID, passwordHash string, g voiceassist.Grant) (voiceassist.User, error)
	// Rotate spends the refresh token spent and stores g in its session. A
	// token that was spent no longer than grace ago may be spent again; after
	// that its session is revoked. Possible ends: the user; Unauthorized for a
	// token that is unknown, expired, of a dead session or revoked just now.
	Rotate(ctx context.Context, spent [32]byte, g voiceassist.Grant, grace time.Duration) (voiceassist.User, error)
	// SessionUser returns the active user of a living session, or NotFound.
	SessionUser(ctx context.Context, sessionID uuid.UUID) (voiceassist.User, error)
	// RevokeSessions ends sessions; dead ones and unknown ones are no error.
	RevokeSessions(ctx context.Context, ids []uuid.UUID, reason string) error
}

// Mode says who may register.
type Mode string

// The modes of registration. There are no invitations yet, so Invite lets
// nobody in whom an admin has not created.
const (
	Open   Mode = "open"
	Invite Mode = "invite"
	Closed Mode = "closed"
)

// Options tune a Service.
type Options struct {
	// Secrets sign tokens: the first signs, all verify. At least one, each of
	// at least 32 bytes.
	Secrets      []string
	AccessTTL    time.Duration // of access tokens; 0 is 15 min
	RefreshTTL   time.Duration // of refresh tokens and so of idle sessions; 0 is 7 days
	ReuseGrace   time.Duration // within which a spent refresh token may be sent again; 0 is 10 s
	Registration Mode          // "" is Closed
}

// Service is the accounts of the system. It is safe for concurrent use.
type Service struct {
	store  Store
	o      Options
	hashes *semaphore.Weighted
}

// New returns a Service that keeps its accounts in store.
func New(store Store, o Options) (*Service, error) {
	if len(o.Secrets) == 0 {
		return nil, errors.New("accounts need a secret to sign tokens with")
	}
	for i, secret := range o.Secrets {
		if len(secret) < minSecret {
			return nil, fmt.Errorf("secret %d to sign tokens with has %d bytes, fewer than %d", i+1, len(secret), minSecret)
		}
	}
	if o.AccessTTL == 0 {
		o.AccessTTL = 15 * time.Minute
	}
	if o.RefreshTTL == 0 {
		o.RefreshTTL = 7 * 24 * time.Hour
	}
	if o.ReuseGrace == 0 {
		o.ReuseGrace = 10 * time.Second
	}
	if o.Registration == "" {
		o.Registration = Closed
	}
	return &Service{store: store, o: o, hashes: semaphore.NewWeighted(int64(runtime.NumCPU()))}, nil
}

// Register creates an account and signs it in. Possible ends: success; Invalid;
// Conflict when the address is taken; Forbidden when registration is not open.
func (s *Service) Register(ctx context.Context, r voiceassist.Registration) (voiceassist.SignIn, error) {
	if s.o.Registration != Open {
		return voiceassist.SignIn{}, voiceassist.Errorf(voiceassist.Forbidden, "Registration is not open")
	}
	u, err := newUser(r)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	hash, err := s.hashNew(ctx, r.Password)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	issued, err := s.issue(u, uuid.New())
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u, err = s.store.AddUser(ctx, u, hash, issued.grant)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	return issued.signIn(u), nil
}

// CreateAdmin makes the owner of an address an active admin with this password.
// It reports whether the account is new; one that existed keeps its name and
// loses its sessions.
func (s *Service) CreateAdmin(ctx context.Context, email, password string) (u voiceassist.User, created bool, err error) {
	u, err = newUser(voiceassist.Registration{Email: email, FullName: "Administrator"})
	if err != nil {
		return voiceassist.User{}, false, err
	}
	u.Role = voiceassist.RoleAdmin
	hash, err := s.hashNew(ctx, password)
	if err != nil {
		return voiceassist.User{}, false, err
	}
	return s.store.PutAdmin(ctx, u, hash)
}

// Login begins a session. Possible ends: success; Unauthorized for an unknown
// address and for a wrong password, after the same time; Forbidden for an
// inactive account; Unavailable when too many wait for their password to be
// checked.
func (s *Service) Login(ctx context.Context, email, password string) (voiceassist.SignIn, error) {
	u, hash, err := s.checkPassword(ctx, email, password)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	if !u.IsActive {
		return voiceassist.SignIn{}, voiceassist.Errorf(voiceassist.Forbidden, "This account is not active")
	}
	return s.beginSession(ctx, u, hash)
}

// beginSession begins a session of a user whose password has this hash; "" is
// for one that was not asked for.
func (s *Service) beginSession(ctx context.Context, u voiceassist.User, hash string) (voiceassist.SignIn, error) {
	issued, err := s.issue(u, uuid.New())
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u, err = s.store.BeginSession(ctx, u.ID, hash, issued.grant)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	return issued.signIn(u), nil
}

// checkPassword returns the owner of an address with the hash that password has.
func (s *Service) checkPassword(ctx context.Context, email, password string) (u voiceassist.User, hash string, err error) {
	u, hash, err = s.store.Credentials(ctx, strings.ToLower(strings.TrimSpace(email)))
	unknown := errors.Is(err, voiceassist.NotFound)
	if err != nil && !unknown {
		return voiceassist.User{}, "", err
	}
	if unknown {
		hash = nobodysHash
	}
	ok, err := s.verify(ctx, password, hash)
	if err != nil {
		return voiceassist.User{}, "", err
	}
	if !ok || unknown {
		return voiceassist.User{}, "", voiceassist.Errorf(voiceassist.Unauthorized, "Incorrect email or password")
	}
	return u, hash, nil
}

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
	issued, err := s.issue(u, c.sessionID)
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

// newUser makes a user of what somebody says of themselves.
func newUser(r voiceassist.Registration) (voiceassist.User, error) {
	email, err := voiceassist.NormalizeEmail(r.Email)
	if err != nil {
		return voiceassist.User{}, err
	}
	return voiceassist.User{
		ID:        uuid.New(),
		Email:     email,
		FullName:  r.FullName,
		FirstName: r.FirstName,
		LastName:  r.LastName,
		Specialty: r.Specialty,
		Role:      voiceassist.RoleUser,
		IsActive:  true,
	}.Named()
}
