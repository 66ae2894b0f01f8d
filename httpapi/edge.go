package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// edge is the outermost handler: what happens to every request, whatever it is
// for and however it ends.
func (s *Server) edge(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		req := s.begin(ctx)
		ctx.SetUserValue(requestKey{}, req)
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		s.answer(ctx, req, next)
		s.finish(ctx, req)
	}
}

// answer makes the reply. A panic is the reply 500.
func (s *Server) answer(ctx *fasthttp.RequestCtx, req *request, next fasthttp.RequestHandler) {
	defer func() {
		if r := recover(); r != nil {
			ctx.Response.Reset()
			fail(ctx, req, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	path, flat := rewrite(string(ctx.Path()))
	req.flat = flat
	ctx.URI().SetPath(path)
	switch method := string(ctx.Method()); {
	case s.preflight(ctx):
		req.route = "preflight"
		return
	case method == http.MethodHead:
		// Routes are registered for GET; a HEAD is a GET whose body stays here.
		ctx.Request.Header.SetMethod(http.MethodGet)
		ctx.Response.SkipBody = true
	case method == http.MethodOptions || !slices.Contains(fiber.DefaultMethods, method):
		// No route has this method. The router knows it by another one, and says
		// which methods there are.
		ctx.Request.Header.SetMethod(http.MethodTrace)
		defer ctx.Request.Header.SetMethod(method)
		next(ctx)
		completeAllow(&ctx.Response)
		if method == http.MethodOptions {
			options(ctx, req)
		}
		return
	}
	next(ctx)
	completeAllow(&ctx.Response)
	if r := &ctx.Response; r.SkipBody && r.IsBodyStream() && r.Header.ContentLength() < 0 {
		// fasthttp writes the empty line after the chunks though there are none;
		// the next reply on the connection would begin with it.
		r.SetConnectionClose()
	}
}

// fixedPaths are the methods of each path without parameters.
func fixedPaths(routes []described) map[string][]string {
	fixed := make(map[string][]string)
	for _, d := range routes {
		if !strings.ContainsAny(d.op.Path, "{*") {
			fixed[d.op.Path] = append(fixed[d.op.Path], d.op.Method)
		}
	}
	return fixed
}

// checkMethod refuses a method that a fixed path has not. The router would take
// the path for one with a parameter: /api/users/me for /api/users/{id}.
func (s *Server) checkMethod(c *fiber.Ctx) error {
	methods := s.fixed[c.Path()]
	if methods == nil || slices.Contains(methods, c.Method()) {
		return nil
	}
	c.Set("Allow", strings.Join(methods, ", "))
	return fiber.ErrMethodNotAllowed
}

// completeAllow adds to the methods that the router names those that are
// answered without routes.
func completeAllow(r *fasthttp.Response) {
	if allowed := string(r.Header.Peek("Allow")); r.StatusCode() == http.StatusMethodNotAllowed && allowed != "" {
		r.Header.Set("Allow", strings.Replace(allowed, http.MethodGet, "GET, HEAD", 1)+", OPTIONS")
	}
}

// options lets OPTIONS succeed where there are other methods to tell of.
func options(ctx *fasthttp.RequestCtx, req *request) {
	if ctx.Response.StatusCode() != http.StatusMethodNotAllowed {
		return
	}
	req.err = nil
	ctx.Response.ResetBody()
	ctx.Response.Header.Del("Content-Type")
	ctx.SetStatusCode(http.StatusNoContent)
}

// finish completes the reply and accounts for it.
func (s *Server) finish(ctx *fasthttp.RequestCtx, req *request) {
	settle(ctx)
	s.setHeaders(ctx, req)
	s.metrics.observe(methodLabel(ctx), req.pattern(), ctx.Response.StatusCode(), time.Since(req.start))
	s.logRequest(ctx, req)
}

// methodLabel is the method as a label, of which there must not be endlessly
// many.
func methodLabel(ctx *fasthttp.RequestCtx) string {
	if method := string(ctx.Method()); slices.Contains(fiber.DefaultMethods, method) {
		return method
	}
	return "other"
}

// malformed answers what is not HTTP enough to reach the edge.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	req := s.begin(ctx)
	fail(ctx, req, classOf(err))
	s.finish(ctx, req)
}

// classOf says what kind of error ended the reading of a request. The error
// itself quotes the request, tokens and all, and must not reach the log.
func classOf(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fiber.ErrRequestTimeout
	case errors.As(err, new(*fasthttp.ErrSmallBuffer)):
		return voiceassist.Errorf(voiceassist.Malformed, "The header of the request is too large")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return voiceassist.Errorf(voiceassist.TooLarge, "The request is too large")
	}
	return voiceassist.Errorf(voiceassist.Malformed, "The request is not valid HTTP")
}

// drainLimit is how much of a body that nobody wanted is read to keep the
// connection; net/http uses the same.
const drainLimit = 256 << 10

// settle leaves the connection at the end of the request. The next request on
// it would otherwise be read out of this one's body. fasthttp cannot tell when
// a chunked body has been read to its end, so those end their connection.
func settle(ctx *fasthttp.RequestCtx) {
	body := ctx.Request.BodyStream()
	if body == nil {
		return
	}
	if ctx.Request.Header.ContentLength() >= 0 {
		_ = ctx.Conn().SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.CopyN(io.Discard, body, drainLimit+1); errors.Is(err, io.EOF) {
			return
		}
	}
	ctx.Response.SetConnectionClose()
	if c, ok := ctx.Conn().(*lingerConn); ok {
		c.linger.Store(true)
	}
}
