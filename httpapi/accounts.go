package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	voiceassist "github.com/voiceassist/backend"
)

// UserBody is a user as clients see them. Like TokensBody it is exported because
// huma overlooks embedded structs that are not.
type UserBody struct {
	ID        string           `json:"id"`
	Email     string           `json:"email"`
	FullName  string           `json:"full_name"`
	Name      string           `json:"name" example:"Ada Lovelace"`
	FirstName string           `json:"first_name"`
	LastName  string           `json:"last_name"`
	Specialty string           `json:"specialty"`
	IsActive  bool             `json:"is_active"`
	IsAdmin   bool             `json:"is_admin"`
	AdminRole voiceassist.Role `json:"admin_role" enum:"user,viewer,admin"`
	Role      voiceassist.Role `json:"role" enum:"user,viewer,admin"`
	CreatedAt string           `json:"created_at" format:"date-time"`
	UpdatedAt string           `json:"updated_at" format:"date-time"`
	LastLogin *string          `json:"last_login" format:"date-time"`
}

func userOf(u voiceassist.User) UserBody {
	return UserBody{
		ID:        u.ID.String(),
		Email:     u.Email,
		FullName:  u.FullName,
		Name:      u.FullName,
		FirstName: u.FirstName,
		LastName:  u.LastName,
		Specialty: u.Specialty,
		IsActive:  u.IsActive,
		IsAdmin:   u.IsAdmin(),
		AdminRole: u.Role,
		Role:      u.Role,
		CreatedAt: stamp(u.CreatedAt),
		UpdatedAt: stamp(u.UpdatedAt),
		LastLogin: stampOrNil(u.LastLoginAt),
	}
}

// TokensBody is what a client keeps of a session. Durations are in seconds.
type TokensBody struct {
	AccessToken      string `json:"access_token"`
	RefreshToken     string `json:"refresh_token"`
	TokenType        string `json:"token_type" enum:"bearer"`
	ExpiresIn        int    `json:"expires_in"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

func tokensOf(t voiceassist.Tokens) TokensBody {
	return TokensBody{
		AccessToken:      t.Access,
		RefreshToken:     t.Refresh,
		TokenType:        "bearer",
		ExpiresIn:        int(t.AccessTTL / time.Second),
		RefreshExpiresIn: int(t.RefreshTTL / time.Second),
	}
}

// signedInBody is the reply to a refresh, and to a login that wants no second
// factor.
type signedInBody struct {
	TokensBody
	Role voiceassist.Role `json:"role" enum:"user,viewer,admin"`
	User twins[UserBody]  `json:"user"`
}

// registeredBody is the reply to a registration: v2's user and v1's tokens.
type registeredBody struct {
	UserBody
	TokensBody
	User twins[UserBody] `json:"user"`
}

// signIn gives the browser its cookie and returns what both replies hold.
func signIn(ctx context.Context, in voiceassist.SignIn) signedInBody {
	req := requestOf(ctx)
	req.who, req.tokens = in.Principal, &in.Tokens
	return signedInBody{TokensBody: tokensOf(in.Tokens), Role: in.User.Role, User: both(userOf(in.User))}
}

type registerInput struct {
	Body struct {
		Email     string `json:"email" maxLength:"254"`
		Password  string `json:"password"`
		FullName  string `json:"full_name,omitempty" maxLength:"200"`
		FirstName string `json:"first_name,omitempty" maxLength:"200"`
		LastName  string `json:"last_name,omitempty" maxLength:"200"`
		Specialty string `json:"specialty,omitempty" maxLength:"200"`
	}
}

func (s *Server) register(ctx context.Context, in *registerInput) (twins[registeredBody], error) {
	if !s.flag(ctx, voiceassist.FlagRegistration) {
		return twins[registeredBody]{}, voiceassist.Errorf(voiceassist.Forbidden, "Registration is closed")
	}
	b := in.Body
	return registered(ctx)(s.o.Accounts.Register(ctx, voiceassist.Registration{
		Email:     b.Email,
		Password:  b.Password,
		FullName:  b.FullName,
		FirstName: b.FirstName,
		LastName:  b.LastName,
		Specialty: b.Specialty,
	}))
}

// registered makes the reply to whatever has made an account.
func registered(ctx context.Context) func(voiceassist.SignIn, error) (twins[registeredBody], error) {
	return func(in voiceassist.SignIn, err error) (twins[registeredBody], error) {
		if err != nil {
			return twins[registeredBody]{}, err
		}
		body := signIn(ctx, in)
		return both(registeredBody{UserBody: userOf(in.User), TokensBody: body.TokensBody, User: body.User}), nil
	}
}

type loginInput struct {
	Body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
}

// challengedBody is the reply to a login that wants a second factor.
type challengedBody struct {
	Requires2FA bool   `json:"requires_2fa" enum:"true"`
	UserID      string `json:"user_id"`
	Challenge   string `json:"challenge" doc:"for verify-login, within five minutes"`
	Message     string `json:"message"`
}

// loginBody is one or the other.
type loginBody struct {
	signedIn   *signedInBody
	challenged *challengedBody
}

// MarshalJSON implements json.Marshaler.
func (b loginBody) MarshalJSON() ([]byte, error) {
	if b.challenged != nil {
		return json.Marshal(b.challenged)
	}
	return json.Marshal(b.signedIn)
}

func (loginBody) choices() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[signedInBody](), reflect.TypeFor[challengedBody]()}
}

// Schema implements huma.SchemaProvider.
func (b loginBody) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[signedInBody](), true, ""),
		r.Schema(reflect.TypeFor[challengedBody](), true, ""),
	}}
}

func (s *Server) login(ctx context.Context, in *loginInput) (loginBody, error) {
	out, err := s.o.Accounts.Login(ctx, in.Body.Email, in.Body.Password)
	if err != nil {
		return loginBody{}, err
	}
	if out.Challenge != "" {
		return loginBody{challenged: &challengedBody{
			Requires2FA: true, UserID: out.User.ID.String(), Challenge: out.Challenge, Message: "Enter the code of your authenticator",
		}}, nil
	}
	return loginBody{signedIn: new(signIn(ctx, out))}, nil
}

type refreshInput struct {
	Body struct {
		RefreshToken string `json:"refresh_token"`
	}
}

func (s *Server) refresh(ctx context.Context, in *refreshInput) (signedInBody, error) {
	token := in.Body.RefreshToken
	if err := s.countToken(ctx, rateRefresh, s.o.Accounts.Family(token)); err != nil {
		return signedInBody{}, err
	}
	out, err := s.o.Accounts.Refresh(ctx, token)
	if err != nil {
		return signedInBody{}, err
	}
	return signIn(ctx, out), nil
}

type logoutInput struct {
	Authorization string `header:"Authorization"`
	Body          *struct {
		RefreshToken string `json:"refresh_token,omitempty"`
	}
}

// messageBody is the reply where there is nothing to show but that it was done.
type messageBody struct {
	Message string `json:"message"`
}

// logout takes the bearer token, the refresh token in the body, or both, and
// needs neither to be valid: whoever holds them wants them dead.
func (s *Server) logout(ctx context.Context, in *logoutInput) (messageBody, error) {
	refresh := ""
	if in.Body != nil {
		refresh = in.Body.RefreshToken
	}
	access := bearerOf(in.Authorization)
	session := cmp.Or(s.o.Accounts.Family(access), s.o.Accounts.Family(refresh))
	if err := s.countToken(ctx, rateSession, session); err != nil {
		return messageBody{}, err
	}
	if err := s.o.Accounts.Logout(ctx, access, refresh); err != nil {
		return messageBody{}, err
	}
	requestOf(ctx).signedOut = true
	return messageBody{Message: "Successfully logged out"}, nil
}

func (s *Server) me(ctx context.Context, _ *none) (twins[UserBody], error) {
	return both(userOf(principal(ctx).User)), nil
}
