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
	"crypto/cipher"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	voiceassist "github.com/voiceassist/backend"
)

// Mode says who may register.
type Mode string

// The modes of registration.
const (
	Open   Mode = "open"
	Invite Mode = "invite" // who has been invited
	Closed Mode = "closed" // nobody, and nobody can be invited
)

// Mailer takes mails to be sent. It does not wait until they are.
type Mailer interface {
	// Ready returns nil, or Unavailable when no mail can be sent.
	Ready() error
	// Send sends a mail, or loses it and counts that.
	Send(ctx context.Context, m voiceassist.Mail)
}

// Options tune a Service.
type Options struct {
	// Secrets sign tokens and seal second factors: the first signs and seals,
	// all verify and open. At least one, each of at least 32 bytes.
	Secrets      []string
	AccessTTL    time.Duration // of access tokens; 0 is 15 min
	RefreshTTL   time.Duration // of refresh tokens and so of idle sessions; 0 is 7 days
	SessionTTL   time.Duration // of sessions, however busy; 0 is 30 days
	ReuseGrace   time.Duration // within which a spent refresh token may be sent again; 0 is 10 s
	Registration Mode          // "" is Closed
	Mailer       Mailer        // nil: no mail can be sent
	PublicURL    string        // of the web app, to which mailed links lead
	Hashers      *Hashers      // nil: passwords are hashed in this process
	HashCost     Cost          // of new hashes, each being verified at its own; the zero value is OWASP's for 19 MiB
}

// Service is the accounts of the system. It is safe for concurrent use.
type Service struct {
	store   Store
	o       Options
	seals   []cipher.AEAD // of Secrets
	turns   *semaphore.Weighted
	waiting atomic.Int64
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
	if o.SessionTTL == 0 {
		o.SessionTTL = 30 * 24 * time.Hour
	}
	if o.Registration == "" {
		o.Registration = Closed
	}
	if o.Mailer == nil {
		o.Mailer = noMail{}
	}
	if o.HashCost == (Cost{}) {
		o.HashCost = standardCost
	}
	if !o.HashCost.possible() {
		return nil, fmt.Errorf("passwords cannot be hashed at the cost %+v", o.HashCost)
	}
	seals, err := newSeals(o.Secrets)
	if err != nil {
		return nil, err
	}
	// One processor is left to everybody who is not signing in.
	turns := max(1, runtime.GOMAXPROCS(0)-1)
	return &Service{store: store, o: o, seals: seals, turns: semaphore.NewWeighted(int64(turns))}, nil
}

// noMail is the Mailer where there is none.
type noMail struct{}

func (noMail) Ready() error {
	return voiceassist.Errorf(voiceassist.Unavailable, "Mail is not configured on this server: set SMTP_URL")
}

func (noMail) Send(context.Context, voiceassist.Mail) {}

// Register creates an account and signs it in. Possible ends: success; Invalid;
// Conflict when the address is taken; Forbidden when registration is not open.
func (s *Service) Register(ctx context.Context, r voiceassist.Registration) (voiceassist.SignIn, error) {
	switch s.o.Registration {
	case Open:
	case Invite:
		return voiceassist.SignIn{}, voiceassist.Errorf(voiceassist.Forbidden, "Registration is by invitation: ask an administrator for one and accept it with the link in its mail")
	default:
		return voiceassist.SignIn{}, voiceassist.Errorf(voiceassist.Forbidden, "Registration is not open")
	}
	u, err := newUser(r)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	return s.addUser(ctx, u, r.Password, func(hash string, g voiceassist.Grant) (voiceassist.User, error) {
		return s.store.AddUser(ctx, u, hash, g)
	})
}

// addUser has a new user stored by add and returns their first session.
func (s *Service) addUser(ctx context.Context, u voiceassist.User, password string, add func(hash string, g voiceassist.Grant) (voiceassist.User, error)) (voiceassist.SignIn, error) {
	hash, err := s.hashNew(ctx, password)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	issued, err := s.issue(u, uuid.New(), s.o.SessionTTL)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	if u, err = add(hash, issued.grant); err != nil {
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
