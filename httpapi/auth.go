package httpapi

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// sessionCookie is for pages, downloads, event streams and sockets, which
// browsers open without headers of ours.
const sessionCookie = "va_session"

// keyHeader is for programs, which have an API key instead of a session.
const keyHeader = "X-API-Key"

// withCookie lets a route take the session cookie.
func withCookie(r *route) { r.cookie = true }

// inSession keeps API keys off a route: what a key could use to outlive itself
// or to take over its account, to whose address a new password is mailed; and
// connections that last, which end with their session.
func inSession(r *route) { r.sessionOnly = true }

// withQueryToken lets a route take its token as ?token=, for browsers' event
// streams, which cannot send headers.
func withQueryToken(r *route) { r.queryToken = true }

// takeQueryToken puts the token of the query, if there is one, where the others
// are looked for.
func takeQueryToken(c *fiber.Ctx) {
	if token := c.Query("token"); token != "" && bearer(c.Context()) == "" {
		c.Request().Header.Set("Authorization", "Bearer "+token)
	}
}

// authenticate finds out who makes the request and notes it. Where cookie is
// false only headers count which no other site can make a browser send.
func (s *Server) authenticate(c *fiber.Ctx, cookie bool) error {
	who, err := s.identify(c, cookie)
	if err != nil {
		return err
	}
	requestOf(c.Context()).who = who
	return nil
}

// errSessionOnly refuses to an API key what takes a session.
var errSessionOnly = voiceassist.Errorf(voiceassist.Forbidden, "An API key cannot do this; sign in instead")

// keyMay returns nil, or Forbidden when who came with an API key that does not
// reach as far as the route.
func keyMay(who voiceassist.Principal, method string, a access, sessionOnly bool) error {
	if who.APIKeyID == uuid.Nil {
		return nil
	}
	if sessionOnly {
		return errSessionOnly
	}
	need := voiceassist.ScopeWrite
	switch {
	case a == viewer || a == admin:
		need = voiceassist.ScopeAdmin
	case method == fiber.MethodGet || method == fiber.MethodHead:
		need = voiceassist.ScopeRead
	}
	if !need.Covered(who.Scopes) {
		return voiceassist.Errorf(voiceassist.Forbidden, "This API key lacks the scope %s", need)
	}
	return nil
}

func (s *Server) identify(c *fiber.Ctx, cookie bool) (voiceassist.Principal, error) {
	if token := bearer(c.Context()); token != "" {
		return s.o.Accounts.Authenticate(c.UserContext(), token)
	}
	if key := c.Get(keyHeader); key != "" {
		return s.o.Accounts.AuthenticateKey(c.UserContext(), key)
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
