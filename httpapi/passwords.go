package httpapi

import (
	"cmp"
	"context"

	voiceassist "github.com/voiceassist/backend"
)

type forgotInput struct {
	Body struct {
		Email string `json:"email" maxLength:"254"`
	}
}

func (s *Server) forgotPassword(ctx context.Context, in *forgotInput) (messageBody, error) {
	if err := s.o.Accounts.ForgotPassword(ctx, in.Body.Email); err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "If the address has an account, a link to choose a new password is on its way"}, nil
}

type resetInput struct {
	Body struct {
		Token       string `json:"token" maxLength:"200"`
		Password    string `json:"password,omitempty"`
		NewPassword string `json:"new_password,omitempty"`
	}
}

func (s *Server) resetPassword(ctx context.Context, in *resetInput) (messageBody, error) {
	password := cmp.Or(in.Body.Password, in.Body.NewPassword)
	if err := s.o.Accounts.ResetPassword(ctx, in.Body.Token, password); err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "The password has been changed; sign in with it"}, nil
}

type changePasswordInput struct {
	Body struct {
		OldPassword     string `json:"old_password,omitempty"`
		CurrentPassword string `json:"current_password,omitempty"`
		NewPassword     string `json:"new_password"`
	}
}

// changedBody is the reply to a change of the password: the older tokens are
// dead, and the client goes on with these.
type changedBody struct {
	TokensBody
	Role    voiceassist.Role `json:"role" enum:"user,viewer,admin"`
	User    twins[UserBody]  `json:"user"`
	Message string           `json:"message"`
}

func (s *Server) changePassword(ctx context.Context, in *changePasswordInput) (changedBody, error) {
	old := cmp.Or(in.Body.OldPassword, in.Body.CurrentPassword)
	if old == "" {
		return changedBody{}, voiceassist.FieldError("old_password", "the old password is required")
	}
	out, err := s.o.Accounts.ChangePassword(ctx, principal(ctx).User.ID, old, in.Body.NewPassword)
	if err != nil {
		return changedBody{}, err
	}
	body := signIn(ctx, out)
	return changedBody{body.TokensBody, body.Role, body.User, "Password changed; all other sessions have ended"}, nil
}

// sendReset never replies with the link: whoever may administer accounts may
// not take them over unseen.
func (s *Server) sendReset(ctx context.Context, in *userInput) (twins[resetSentBody], error) {
	limit, err := s.countAction(ctx)
	if err != nil {
		return twins[resetSentBody]{}, err
	}
	id, err := parseID(in.ID, "user")
	if err != nil {
		return twins[resetSentBody]{}, err
	}
	if err := s.o.Accounts.SendReset(ctx, id); err != nil {
		return twins[resetSentBody]{}, err
	}
	s.adminEvent(ctx, "user.reset_sent", id.String())
	return both(resetSentBody{Message: "A link to choose a new password is on its way to the user", RateLimit: limit}), nil
}

// resetSentBody says that a link is on its way.
type resetSentBody struct {
	Message   string        `json:"message"`
	RateLimit rateLimitBody `json:"rate_limit" doc:"of the administrator's actions"`
}

type inviteInput struct {
	Body struct {
		Email     string `json:"email" maxLength:"254"`
		FullName  string `json:"full_name,omitempty" maxLength:"200"`
		Role      string `json:"role,omitempty" enum:"user,viewer,admin"`
		AdminRole string `json:"admin_role,omitempty" enum:"user,viewer,admin"`
	}
}

// invitationBody is an invitation without its link.
type invitationBody struct {
	Email     string           `json:"email"`
	FullName  string           `json:"full_name"`
	Role      voiceassist.Role `json:"role" enum:"user,viewer,admin"`
	AdminRole voiceassist.Role `json:"admin_role" enum:"user,viewer,admin"`
	ExpiresAt string           `json:"expires_at" format:"date-time"`
	Message   string           `json:"message"`
	RateLimit rateLimitBody    `json:"rate_limit" doc:"of the administrator's actions"`
}

func (s *Server) invite(ctx context.Context, in *inviteInput) (twins[invitationBody], error) {
	limit, err := s.countAction(ctx)
	if err != nil {
		return twins[invitationBody]{}, err
	}
	i, err := s.o.Accounts.Invite(ctx, voiceassist.Invitation{
		Email: in.Body.Email, FullName: in.Body.FullName, Role: voiceassist.Role(cmp.Or(in.Body.AdminRole, in.Body.Role)),
		InvitedBy: principal(ctx).User.ID,
	})
	if err != nil {
		return twins[invitationBody]{}, err
	}
	return both(invitationBody{
		Email: i.Email, FullName: i.FullName, Role: i.Role, AdminRole: i.Role, ExpiresAt: stamp(i.ExpiresAt),
		Message: "The invitation is on its way", RateLimit: limit,
	}), nil
}

type acceptInput struct {
	Body struct {
		Token     string `json:"token" maxLength:"200"`
		Password  string `json:"password"`
		FullName  string `json:"full_name,omitempty" maxLength:"200"`
		FirstName string `json:"first_name,omitempty" maxLength:"200"`
		LastName  string `json:"last_name,omitempty" maxLength:"200"`
		Specialty string `json:"specialty,omitempty" maxLength:"200"`
	}
}

func (s *Server) acceptInvitation(ctx context.Context, in *acceptInput) (twins[registeredBody], error) {
	b := in.Body
	return registered(ctx)(s.o.Accounts.AcceptInvitation(ctx, b.Token, voiceassist.Registration{
		Password: b.Password, FullName: b.FullName, FirstName: b.FirstName, LastName: b.LastName, Specialty: b.Specialty,
	}))
}
