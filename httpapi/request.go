package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// request is what the program knows of a request while it answers it. The edge
// makes it, operations add to it, and in the end it is one log event.
type request struct {
	id          string // the client's X-Request-ID if it is usable, else ours
	correlation string // X-Correlation-ID, else id
	trace       string // 32 hex digits: the trace id of traceparent
	parent      string // traceparent as we answer it
	flat        bool   // the profile of /v1
	secure      bool   // the client speaks https, maybe to a proxy
	ip          netip.Addr
	start       time.Time

	route  string                // the pattern that matched; "" if none did
	status int                   // of success, where it is not the operation's usual one; else 0
	who    voiceassist.Principal // zero: nobody
	limit  *voiceassist.Decision // the rate limit that counted it
	err    error                 // why it failed

	tokens    *voiceassist.Tokens // for the session cookie
	signedOut bool                // the session cookie goes
}

// requestKey is the key of the *request in contexts.
type requestKey struct{}

// requestOf returns the request that ctx belongs to. Contexts of handlers and
// of fasthttp have one.
func requestOf(ctx context.Context) *request {
	req, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		panic("httpapi: the context belongs to no request")
	}
	return req
}

// principal returns who makes the request; the zero value is nobody.
func principal(ctx context.Context) voiceassist.Principal { return requestOf(ctx).who }

// actor is who the audit log says makes the request.
func (r *request) actor() voiceassist.Actor {
	u := r.who.User
	return voiceassist.Actor{UserID: u.ID, Email: u.Email, Role: u.Role, Specialty: u.Specialty, IP: r.ip.String(), RequestID: r.id, TraceID: r.trace}
}

// begin notes what the headers of a request say.
func (s *Server) begin(ctx *fasthttp.RequestCtx) *request {
	h := &ctx.Request.Header
	req := &request{start: time.Now(), ip: s.clientIP(ctx), secure: s.overHTTPS(ctx)}
	req.id = usableID(h.Peek("X-Request-ID"))
	if req.id == "" {
		req.id = uuid.NewString()
	}
	req.correlation = usableID(h.Peek("X-Correlation-ID"))
	if req.correlation == "" {
		req.correlation = req.id
	}
	req.trace, req.parent = trace(string(h.Peek("traceparent")))
	return req
}

// usableID returns an id that a client has sent, or "" if it could not stand
// in a header, a log line and a JSON string as it is.
func usableID(id []byte) string {
	if len(id) == 0 || len(id) > 128 {
		return ""
	}
	for _, c := range id {
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.:/+=", c) >= 0
		if !ok {
			return ""
		}
	}
	return string(id)
}

// trace continues a W3C trace (https://www.w3.org/TR/trace-context/), or begins
// one. It returns the trace id and the traceparent with our span in it.
func trace(parent string) (id, traceparent string) {
	var random [24]byte
	rand.Read(random[:])
	id = hex.EncodeToString(random[:16])
	flags := "00"
	if p := strings.Split(parent, "-"); len(p) == 4 && p[0] == "00" && isHex(p[1], 32) && isHex(p[2], 16) && isHex(p[3], 2) {
		id, flags = p[1], p[3]
	}
	return id, "00-" + id + "-" + hex.EncodeToString(random[16:]) + "-" + flags
}

// isHex reports whether s is n lower-case hex digits, not all zero.
func isHex(s string, n int) bool {
	if len(s) != n || n > 2 && strings.Trim(s, "0") == "" {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// logRequest writes the one event of a request. Paths are logged as patterns and
// queries not at all, since both may carry what must not be logged.
func (s *Server) logRequest(ctx *fasthttp.RequestCtx, req *request) {
	status := ctx.Response.StatusCode()
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("method", methodLabel(ctx)),
		slog.String("route", req.pattern()),
		slog.Int("status", status),
		slog.Duration("took", time.Since(req.start)),
		slog.Int("bytes", bodyLength(&ctx.Response)),
		slog.String("request_id", req.id),
		slog.String("trace_id", req.trace),
		slog.String("ip", req.ip.String()),
	)
	if req.correlation != req.id {
		attrs = append(attrs, slog.String("correlation_id", req.correlation))
	}
	if req.who.User.ID != uuid.Nil {
		attrs = append(attrs, slog.String("user_id", req.who.User.ID.String()))
	}
	level := slog.LevelInfo
	if req.err != nil {
		attrs = append(attrs, slog.String("error", req.err.Error()))
	}
	if status >= 500 {
		level = slog.LevelError
	}
	s.o.Log.LogAttrs(ctx, level, "request", attrs...)
}

// bodyLength is how many bytes of body a reply has, 0 if nobody knows yet.
func bodyLength(r *fasthttp.Response) int {
	if r.IsBodyStream() {
		return max(0, r.Header.ContentLength())
	}
	return len(r.Body())
}

// pattern is the route for logs and metrics.
func (r *request) pattern() string {
	if r.route == "" {
		return "unmatched"
	}
	return r.route
}
