package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// challengeTTL is how long a code may follow the password.
const challengeTTL = 5 * time.Minute

// Why a sign-in failed, as the audit log says it.
const (
	wrongPassword = "password"
	wrongCode     = "second factor"
	inactive      = "inactive account"
	locked        = "locked account"
)

// maxEmail is longer than any address that has an account.
const maxEmail = 254

// Login begins a session, or returns a challenge if the account has a second
// factor. Possible ends: success; Unauthorized for an unknown address and for a
// wrong password, after the same time; Forbidden for an account that is inactive
// or locked; RateLimited for one that has failed just now; Unavailable when too
// many wait for their password to be checked.
func (s *Service) Login(ctx context.Context, email, password string) (voiceassist.SignIn, error) {
	a := attempt(ctx, email)
	c, err := s.store.Credentials(ctx, a.Email)
	unknown := errors.Is(err, voiceassist.NotFound)
	if err != nil && !unknown {
		return voiceassist.SignIn{}, err
	}
	a.UserID = c.User.ID
	if unknown {
		c.PasswordHash = s.nobodysHash()
	}
	right, err := s.try(ctx, a, wrongPassword, func() (bool, error) { return s.matches(ctx, password, c.PasswordHash) })
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	if !right || unknown {
		return voiceassist.SignIn{}, voiceassist.Errorf(voiceassist.Unauthorized, "Incorrect email or password")
	}
	if !c.User.IsActive {
		return voiceassist.SignIn{}, s.refuse(ctx, a, inactive, voiceassist.Errorf(voiceassist.Forbidden, "This account is not active"))
	}
	if c.SecondFactor != nil {
		return s.challenge(c)
	}
	return s.beginSession(ctx, a, c, nil)
}

// attempt is an attempt of whoever acts in ctx on the account of an address.
func attempt(ctx context.Context, email string) voiceassist.Attempt {
	a := voiceassist.Attempt{Email: strings.ToLower(strings.TrimSpace(email)), Network: network(voiceassist.ActorOf(ctx).IP)}
	if len(a.Email) > maxEmail {
		a.Email = ""
	}
	return a
}

// attemptOn is an attempt of whoever acts in ctx on the account of a user.
func attemptOn(ctx context.Context, u voiceassist.User) voiceassist.Attempt {
	a := attempt(ctx, u.Email)
	a.UserID = u.ID
	return a
}

// network is what one customer is given: an IPv4 address, or the /64 network of
// an IPv6 address.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Is4() {
		return ip
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}

// try has a guess looked at and counts it if it is wrong. Guesses are looked at
// in turns, and whether an attempt may be made is asked within its turn, so that
// many at once are no more than a few over the limit; a right one among those is
// refused by the ledger.
func (s *Service) try(ctx context.Context, a voiceassist.Attempt, reason string, guess func() (bool, error)) (right bool, err error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	err = s.store.MaySignIn(ctx, a)
	if errors.Is(err, voiceassist.Forbidden) {
		return false, s.refuse(ctx, a, locked, err)
	}
	if err != nil {
		return false, err
	}
	right, err = guess()
	if err != nil || right && a.UserID != uuid.Nil {
		return right, err
	}
	return false, s.store.SignInFailed(ctx, a, reason)
}

// refuse notes in the audit log that an attempt was refused, and returns why.
func (s *Service) refuse(ctx context.Context, a voiceassist.Attempt, reason string, why error) error {
	e := voiceassist.AuditEntry{
		Action: "auth.login_failed", Level: voiceassist.AuditWarning, Failed: true, UserID: a.UserID, Email: a.Email,
		ResourceType: "user", Details: map[string]any{"reason": reason},
	}
	if a.UserID != uuid.Nil {
		e.ResourceID = a.UserID.String()
	}
	if err := s.store.Audit(ctx, e); err != nil {
		return err
	}
	return why
}

// challenge says that the password was right and a code is wanted.
func (s *Service) challenge(c voiceassist.Credentials) (voiceassist.SignIn, error) {
	token, err := s.signClaims(claims{
		Subject: c.User.ID.String(), Type: challengeType, SessionID: uuid.Nil.String(), Password: passwordMark(c.PasswordHash),
	}, challengeTTL)
	return voiceassist.SignIn{Principal: voiceassist.Principal{User: c.User}, Challenge: token}, err
}

// passwordMark tells whether a password has been changed, and nothing else.
func passwordMark(hash string) string {
	digest := sha256.Sum256([]byte(hash))
	return base64.RawURLEncoding.EncodeToString(digest[:12])
}

// VerifyLogin begins the session of a login that was answered by a challenge.
// code is a TOTP code or a backup code. Possible ends: success; Unauthorized for
// a challenge that is not ours or has expired and for a code that is wrong or
// was used before; Forbidden and RateLimited as in Login.
func (s *Service) VerifyLogin(ctx context.Context, challenge, code string) (voiceassist.SignIn, error) {
	expired := voiceassist.Errorf(voiceassist.Unauthorized, "The sign-in has expired, enter the password again")
	claims, err := s.parse(challenge, challengeType)
	if err != nil {
		return voiceassist.SignIn{}, expired
	}
	c, err := s.store.CredentialsByID(ctx, claims.userID)
	if errors.Is(err, voiceassist.NotFound) || err == nil && (!c.User.IsActive || claims.Password != passwordMark(c.PasswordHash)) {
		return voiceassist.SignIn{}, expired
	}
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	a := attemptOn(ctx, c.User)
	if c.SecondFactor == nil { // disabled since
		return s.beginSession(ctx, a, c, nil)
	}
	proof, err := s.proveFactor(ctx, a, c.SecondFactor, code)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	if proof == nil {
		return voiceassist.SignIn{}, errWrongCode()
	}
	return s.beginSession(ctx, a, c, proof)
}

// beginSession begins a session of the owner of credentials. Without a hash no
// password was asked for.
func (s *Service) beginSession(ctx context.Context, a voiceassist.Attempt, c voiceassist.Credentials, proof *voiceassist.FactorProof) (voiceassist.SignIn, error) {
	issued, err := s.issue(c.User, uuid.New(), s.o.SessionTTL)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u, err := s.store.BeginSession(ctx, a, c.PasswordHash, proof, issued.grant)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	return issued.signIn(u), nil
}

// ChangePassword gives a user who knows their password another one, ends all
// their sessions and begins a new one. Possible ends: success; Invalid for a new
// password that will not do and for an old one that is wrong, which is counted
// as in Login.
func (s *Service) ChangePassword(ctx context.Context, userID uuid.UUID, oldPassword, newPassword string) (voiceassist.SignIn, error) {
	if err := voiceassist.CheckPassword(newPassword); err != nil {
		return voiceassist.SignIn{}, asField(err, "new_password")
	}
	if oldPassword == newPassword {
		return voiceassist.SignIn{}, voiceassist.FieldError("new_password", "the new password must differ from the old one")
	}
	c, err := s.store.CredentialsByID(ctx, userID)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	right, err := s.try(ctx, attemptOn(ctx, c.User), wrongPassword, func() (bool, error) { return s.matches(ctx, oldPassword, c.PasswordHash) })
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	if !right {
		return voiceassist.SignIn{}, voiceassist.FieldError("old_password", "the old password is not right")
	}
	hash, err := s.hashNew(ctx, newPassword)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	issued, err := s.issue(c.User, uuid.New(), s.o.SessionTTL)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u, err := s.store.ChangePassword(ctx, userID, c.PasswordHash, hash, issued.grant)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	return issued.signIn(u), nil
}

// asField is an Invalid error said of another field.
func asField(err error, field string) error {
	if e, ok := errors.AsType[*voiceassist.Error](err); ok && e.Field != "" {
		return voiceassist.FieldError(field, "%s", e.Message)
	}
	return err
}

// Unlock takes the lock and all waits off the account of an address and reports
// whether it was locked.
func (s *Service) Unlock(ctx context.Context, email string) (wasLocked bool, err error) {
	email, err = voiceassist.NormalizeEmail(email)
	if err != nil {
		return false, err
	}
	return s.store.UnlockAccount(ctx, email)
}
