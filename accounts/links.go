package accounts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// How long mailed links are good.
const (
	resetTTL      = time.Hour
	invitationTTL = 7 * 24 * time.Hour
)

// ForgotPassword mails the owner of an address a link to choose a new password.
// It ends alike, and after the same work, when nobody has the address.
func (s *Service) ForgotPassword(ctx context.Context, email string) error {
	email, err := voiceassist.NormalizeEmail(email)
	if err != nil {
		return err
	}
	_, err = s.mailReset(ctx, email)
	return err
}

// mailReset mails the owner of an address a link; the zero id says that it was
// mailed to nobody.
func (s *Service) mailReset(ctx context.Context, email string) (uuid.UUID, error) {
	token, digest := newToken()
	owner, err := s.store.AddPasswordReset(ctx, email, digest, resetTTL)
	if err == nil && owner != uuid.Nil {
		s.o.Mailer.Send(ctx, voiceassist.Mail{Kind: voiceassist.MailReset, To: email, Link: s.link("reset-password", token), TTL: resetTTL})
	}
	return owner, err
}

// link leads to a page of the web app.
func (s *Service) link(page, token string) string {
	return strings.TrimRight(s.o.PublicURL, "/") + "/" + page + "?token=" + url.QueryEscape(token)
}

// SendReset mails a user a link to choose a new password, because an admin wants
// it. Possible ends: success; NotFound; Conflict for an inactive account;
// RateLimited when they were sent too many; Unavailable without mail.
func (s *Service) SendReset(ctx context.Context, userID uuid.UUID) error {
	if err := s.o.Mailer.Ready(); err != nil {
		return err
	}
	c, err := s.store.CredentialsByID(ctx, userID)
	if err != nil {
		return err
	}
	if !c.User.IsActive {
		return voiceassist.Errorf(voiceassist.Conflict, "The account is not active")
	}
	owner, err := s.mailReset(ctx, c.User.Email)
	if err == nil && owner == uuid.Nil {
		err = &voiceassist.Error{Code: voiceassist.RateLimited, Message: "The user was sent several links already, wait before sending another", RetryAfter: resetTTL}
	}
	return err
}

// ResetPassword spends a reset link. All sessions and API keys of its owner
// end. It is Invalid for a link that is not good any more and for a password
// that will not do.
func (s *Service) ResetPassword(ctx context.Context, token, password string) error {
	hash, err := s.hashNew(ctx, password)
	if err != nil {
		return err
	}
	_, err = s.store.ResetPassword(ctx, sha256.Sum256([]byte(token)), hash)
	return err
}

// Invite mails an address an invitation to make an account of a role. Possible
// ends: success; Invalid; Conflict when the address has an account; Forbidden
// when registration is closed; Unavailable without mail.
func (s *Service) Invite(ctx context.Context, i voiceassist.Invitation) (voiceassist.Invitation, error) {
	if s.o.Registration == Closed {
		return i, voiceassist.Errorf(voiceassist.Forbidden, "Registration is closed on this server, also to who is invited: set REGISTRATION=invite")
	}
	if err := s.o.Mailer.Ready(); err != nil {
		return i, err
	}
	var err error
	if i.Email, err = voiceassist.NormalizeEmail(i.Email); err != nil {
		return i, err
	}
	i.FullName = strings.TrimSpace(i.FullName)
	i.Role = cmp.Or(i.Role, voiceassist.RoleUser)
	if err := (voiceassist.User{FullName: i.FullName}).CheckNames(); err != nil {
		return i, err
	}
	token, digest := newToken()
	if i, err = s.store.PutInvitation(ctx, i, digest, invitationTTL); err != nil {
		return i, err
	}
	s.o.Mailer.Send(ctx, voiceassist.Mail{Kind: voiceassist.MailInvitation, To: i.Email, Link: s.link("accept-invitation", token), TTL: invitationTTL})
	return i, nil
}

// AcceptInvitation makes the account that an invitation offers and signs it in.
// The address and, unless r has one, the name are those of the invitation.
// Possible ends: success; Invalid; Conflict when the address has an account by
// now; Forbidden when registration is closed.
func (s *Service) AcceptInvitation(ctx context.Context, token string, r voiceassist.Registration) (voiceassist.SignIn, error) {
	if s.o.Registration == Closed {
		return voiceassist.SignIn{}, voiceassist.Errorf(voiceassist.Forbidden, "Registration is closed on this server")
	}
	digest := sha256.Sum256([]byte(token))
	i, err := s.store.Invitation(ctx, digest)
	if voiceassist.CodeOf(err) == voiceassist.NotFound {
		return voiceassist.SignIn{}, voiceassist.FieldError("token", "the invitation is not valid any more; ask for another")
	}
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	r.Email = i.Email
	if r.FullName == "" && r.FirstName == "" && r.LastName == "" {
		r.FullName = i.FullName
	}
	u, err := newUser(r)
	if err != nil {
		return voiceassist.SignIn{}, err
	}
	u.Role = i.Role
	return s.addUser(ctx, u, r.Password, func(hash string, g voiceassist.Grant) (voiceassist.User, error) {
		return s.store.AddInvitedUser(ctx, digest, u, hash, g)
	})
}
