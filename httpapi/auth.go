package httpapi

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// Accounts is what this package asks of accounts.Service.
type Accounts interface {
	// Register creates an account and signs it in. Possible ends: success;
	// Invalid; Conflict when the address is taken; Forbidden when registration
	// is closed.
	Register(ctx context.Context, r voiceassist.Registration) (voiceassist.SignIn, error)
	// Login begins a session. Possible ends: success; Unauthorized for an
	// unknown address or a wrong password alike; Forbidden for an inactive
	// account; Unavailable when too many wait for their password to be checked.
	Login(ctx context.Context, email, password string) (voiceassist.SignIn, error)
	// Refresh spends a refresh token for new tokens, or is Unauthorized.
	Refresh(ctx context.Context, refreshToken string) (voiceassist.SignIn, error)
	// Logout ends the sessions of the tokens; either may be empty, expired or
	// of a dead session. It is Unauthorized when we signed neither.
	Logout(ctx context.Context, accessToken, refreshToken string) error
	// Authenticate returns who an access token belongs to, or is Unauthorized.
	Authenticate(ctx context.Context, accessToken string) (voiceassist.Principal, error)
	// AuthenticateCookie is Authenticate for the value of the session cookie.
	AuthenticateCookie(ctx context.Context, value string) (voiceassist.Principal, error)
	// Family returns the session that an access or refresh token was signed
	// for, without asking whether either lives; the zero id if we did not sign
	// it.
	Family(token string) uuid.UUID
}

// sessionCookie is for pages, downloads, event streams and sockets, which
// browsers open without headers of ours.
const sessionCookie = "va_session"

// withCookie lets a route take the session cookie.
func withCookie(r *route) { r.cookie = true }

// withQueryToken lets a route take its token as ?token=, for browsers' event
// streams, which cannot send headers.
func withQueryToken(r *route) { r.query = true }

// takeQueryToken puts the token of the query, if there is one, where the others
// are looked for.
func takeQueryToken(c *fiber.Ctx) {
	if token := c.Query("token"); token != "" && bearer(c.Context()) == "" {
		c.Request().Header.Set("Authorization", "Bearer "+token)
	}
}

// authenticate finds out who makes the request and notes it. Where cookie is
// false only the Authorization header counts, which no other site can make a
// browser send.
func (s *Server) authenticate(c *fiber.Ctx, cookie bool) error {
	who, err := s.identify(c, cookie)
	if err != nil {
		return err
	}
	requestOf(c.Context()).who = who
	return nil
}

func (s *Server) identify(c *fiber.Ctx, cookie bool) (voiceassist.Principal, error) {
	if token := bearer(c.Context()); token != "" {
		return s.o.Accounts.Authenticate(c.UserContext(), token)
	}
	if value := c.Cookies(sessionCookie); value != "" && cookie {
		return s.identifyCookie(c, value)
	}
	return voiceassist.Principal{}, voiceassist.Errorf(voiceassist.Unauthorized, "Not authenticated")
}

// identifyCookie believes the session cookie if no stranger's page made the
// browser send it. SameSite=Lax keeps it from most of them already.
func (s *Server) identifyCookie(c *fiber.Ctx, value string) (voiceassist.Principal, error) {
	if !s.sameOrigin(c.Context()) {
		return voiceassist.Principal{}, voiceassist.Errorf(voiceassist.Forbidden, "The session cookie is not valid for this origin")
	}
	return s.o.Accounts.AuthenticateCookie(c.UserContext(), value)
}

// bearer returns the token of the Authorization header, "" without one.
func bearer(ctx *fasthttp.RequestCtx) string {
	return bearerOf(string(ctx.Request.Header.Peek("Authorization")))
}

func bearerOf(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// setSessionCookie gives the browser the session of tokens, or takes it away
// when tokens is nil. A login that a stranger's page has made leaves no cookie.
func (s *Server) setSessionCookie(ctx *fasthttp.RequestCtx, tokens *voiceassist.Tokens) {
	if !s.sameOrigin(ctx) {
		return
	}
	var cookie fasthttp.Cookie
	cookie.SetKey(sessionCookie)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	cookie.SetSecure(requestOf(ctx).secure)
	if tokens == nil {
		cookie.SetExpire(fasthttp.CookieExpireDelete)
	} else {
		cookie.SetValue(tokens.Cookie)
		cookie.SetMaxAge(int(tokens.RefreshTTL / time.Second))
	}
	ctx.Response.Header.SetCookie(&cookie)
}
