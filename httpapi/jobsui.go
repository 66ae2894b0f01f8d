package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// jobsUI is where asynqmon is mounted.
const jobsUI = "/api/admin/jobs"

// jobsCSP lets asynqmon's inline scripts run and keeps it from loading its
// fonts from an outside host; browsers then use their own.
const jobsCSP = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"

// maxJobsBody bounds what asynqmon's page may send; it sends lists of task ids.
const maxJobsBody = 1 << 20

// jobsPage shows asynqmon: viewers may look, admins may act. Its pages send no
// token, so the session cookie counts, for actions only from our own origin.
func (s *Server) jobsPage() fiber.Handler {
	if s.o.JobsUI == nil {
		return func(*fiber.Ctx) error { return fiber.ErrNotFound }
	}
	page := adaptor.HTTPHandler(s.o.JobsUI)
	return func(c *fiber.Ctx) error {
		if err := admitAction(c); err != nil {
			return err
		}
		if err := s.auditAction(c); err != nil {
			return err
		}
		// The adaptor reads the URI of the request line, which may be an alias.
		c.Request().SetRequestURIBytes(c.Context().URI().RequestURI())
		c.Set("Content-Security-Policy", jobsCSP)
		if strings.HasPrefix(c.Path(), jobsUI+"/static/") {
			c.Set("Cache-Control", "private, max-age=3600")
		}
		if err := page(c); err != nil {
			return err
		}
		return jobsFailure(c.Response())
	}
}

// jobsFailure is the error that asynqmon has written as text. It has but one
// status for what it may not do and for what it cannot do.
func jobsFailure(r *fasthttp.Response) error {
	if r.StatusCode() < http.StatusInternalServerError {
		return nil
	}
	text := strings.TrimSpace(string(r.Body()))
	switch {
	case strings.HasSuffix(text, "is already paused"):
		return voiceassist.Errorf(voiceassist.Conflict, "The queue is already paused")
	case strings.HasSuffix(text, "is not paused"):
		return voiceassist.Errorf(voiceassist.Conflict, "The queue is not paused")
	}
	return fmt.Errorf("asynqmon: %s", text)
}

// admitAction lets actions of asynqmon's page pass, and everything that only
// looks.
func admitAction(c *fiber.Ctx) error {
	if c.Method() == http.MethodGet {
		return nil
	}
	if err := admin.allows(requestOf(c.Context()).who.User); err != nil {
		return err
	}
	if bearer(c.Context()) == "" && !ownOrigin(c.Context()) {
		return voiceassist.Errorf(voiceassist.Forbidden, "The session cookie does not allow changes from another origin")
	}
	if n := c.Request().Header.ContentLength(); n > maxJobsBody || n == -1 {
		return voiceassist.Errorf(voiceassist.TooLarge, "The request is too large")
	}
	return nil
}

// auditAction puts into the audit log what asynqmon is about to be asked to
// change. It cannot be one transaction with the change, and comes first, so that
// nothing changes without an entry.
func (s *Server) auditAction(c *fiber.Ctx) error {
	if c.Method() == http.MethodGet {
		return nil
	}
	return s.o.Audit.Audit(c.UserContext(), voiceassist.AuditEntry{
		Action: "queue.action", ResourceType: "queue", ResourceID: strings.TrimPrefix(c.Path(), jobsUI),
		Details: map[string]any{"method": c.Method()},
	})
}

// ownOrigin reports whether a browser says that a page of ours made the
// request.
func ownOrigin(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if site := h.Peek("Sec-Fetch-Site"); len(site) > 0 {
		return string(site) == "same-origin"
	}
	origin, host := string(h.Peek("Origin")), string(h.Host())
	return origin == "https://"+host || origin == "http://"+host
}
