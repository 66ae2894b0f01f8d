package httpapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"
)

// DefaultOrigins are the web apps that the v1 guide names.
var DefaultOrigins = []string{
	"http://localhost:5173",
	"http://localhost:5174",
	"http://localhost:3000",
	"https://voiceassist.asimo.io",
	"https://admin.asimo.io",
	"https://docs-voice.asimo.io",
}

// apiCSP is for replies that no browser should render. Pages bring their own.
const apiCSP = "default-src 'none'; frame-ancestors 'none'; sandbox"

const (
	allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	exposedHeaders = "X-Correlation-ID, X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, Content-Disposition, X-Total-Count"
)

// setHeaders writes the headers that every reply carries. What a handler has
// set itself stays.
func (s *Server) setHeaders(ctx *fasthttp.RequestCtx, req *request) {
	h := &ctx.Response.Header
	h.Set("X-Request-ID", req.id)
	h.Set("X-Correlation-ID", req.correlation)
	h.Set("traceparent", req.parent)
	h.Set("X-Content-Type-Options", "nosniff")
	setDefault(h, "X-Frame-Options", "DENY")
	setDefault(h, "Referrer-Policy", "no-referrer")
	setDefault(h, "Content-Security-Policy", apiCSP)
	setDefault(h, "Cache-Control", "no-store")
	if req.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if d := req.limit; d != nil {
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(d.Reset.Unix(), 10))
	}
	if req.tokens != nil || req.signedOut {
		s.setSessionCookie(ctx, req.tokens)
	}
	s.setCORS(ctx)
}

func setDefault(h *fasthttp.ResponseHeader, name, value string) {
	if len(h.Peek(name)) == 0 {
		h.Set(name, value)
	}
}

// setCORS lets allowed origins read the reply.
func (s *Server) setCORS(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Add("Vary", "Origin")
	origin := string(ctx.Request.Header.Peek("Origin"))
	if !slices.Contains(s.o.CORSOrigins, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
}

// preflight answers the question of a browser whether a page may make a
// request, and reports whether it was one.
func (s *Server) preflight(ctx *fasthttp.RequestCtx) bool {
	in := &ctx.Request.Header
	if string(in.Method()) != http.MethodOptions || len(in.Peek("Access-Control-Request-Method")) == 0 {
		return false
	}
	ctx.SetStatusCode(http.StatusNoContent)
	h := &ctx.Response.Header
	h.Add("Vary", "Access-Control-Request-Headers")
	if !slices.Contains(s.o.CORSOrigins, string(in.Peek("Origin"))) {
		return true
	}
	h.Set("Access-Control-Allow-Methods", allowedMethods)
	h.Set("Access-Control-Max-Age", "600")
	if wanted := in.Peek("Access-Control-Request-Headers"); len(wanted) > 0 {
		h.SetBytesV("Access-Control-Allow-Headers", wanted)
	}
	return true
}

// sameOrigin reports whether a browser made the request for a page of ours or
// of an allowed origin, or no browser made it. Browsers send Origin with what
// could do harm; plain links, which have none, may come from a sibling site, as
// the admin panel is.
func (s *Server) sameOrigin(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if origin := string(h.Peek("Origin")); origin != "" {
		return origin == "https://"+string(h.Host()) || origin == "http://"+string(h.Host()) || slices.Contains(s.o.CORSOrigins, origin)
	}
	return string(h.Peek("Sec-Fetch-Site")) != "cross-site"
}
