package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	voiceassist "github.com/voiceassist/backend"
)

// handler answers a request with a resource. In is a struct as huma reads it:
// fields tagged path and query, and Body. Out is what the reply carries, before
// it is put into the envelope; never nil.
type handler[In, Out any] func(ctx context.Context, in *In) (Out, error)

// none is the input of handlers that need nothing.
type none struct{}

// section registers the operations of one resource.
type section struct {
	s   *Server
	tag string // under which the OpenAPI document shows them
}

// route is an operation while it is being described.
type route struct {
	op       huma.Operation
	access   access
	rate     rateName
	cookie   bool
	socket   bool
	produces []string             // media types of success, JSON if there are none
	form     []formField          // of a multipart body
	query    []formField          // query parameters of a raw route
	orJSON   reflect.Type         // what may come instead of a form; nil if nothing may
	ranges   bool                 // a part of the body may be asked for
	replies  map[int]reflect.Type // resources of a raw route, by status

	sessionOnly bool          // not for API keys
	timeout     time.Duration // of the handler
	queryToken  bool          // the token may stand in the query
	flag        string        // which has to be on for the caller; "": none
	filled      []string      // query parameters that are not text, so never empty
}

// formField describes a part of a multipart body, or a query parameter.
type formField struct {
	name     string
	doc      string
	file     bool
	required bool
	schema   object // of any text unless it says more
}

// option changes how a route is registered.
type option func(*route)

// status sets the status of success, 200 by default.
func status(code int) option { return func(r *route) { r.op.DefaultStatus = code } }

// fails adds statuses with which the operation may fail beside those that every
// operation of its access has.
func fails(statuses ...int) option {
	return func(r *route) { r.op.Errors = append(r.op.Errors, statuses...) }
}

// switchedBy names the feature flag that has to be on for the caller.
func switchedBy(flag string) option {
	return func(r *route) { r.flag, r.op.Errors = flag, append(r.op.Errors, http.StatusForbidden) }
}

// produces says that success is not JSON.
func produces(mediaTypes ...string) option { return func(r *route) { r.produces = mediaTypes } }

// takesForm says that the body is a multipart form with these fields.
func takesForm(fields ...formField) option { return func(r *route) { r.form = fields } }

// takesQuery names query parameters of a raw route.
func takesQuery(fields ...formField) option { return func(r *route) { r.query = fields } }

// orJSON says that T may come as JSON instead of the form.
func orJSON[T any]() option { return func(r *route) { r.orJSON = reflect.TypeFor[T]() } }

// ranges says that a part of the body may be asked for.
func ranges(r *route) {
	r.ranges = true
	r.op.Errors = append(r.op.Errors, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable)
}

// replies says that a route answers a status with a resource of type T. Other
// routes than raw ones need it only for a second status of success.
func replies[T any](status int) option {
	return func(r *route) {
		if r.replies == nil {
			r.replies = map[int]reflect.Type{}
		}
		r.replies[status] = reflect.TypeFor[T]()
		r.op.Errors = append(r.op.Errors, status)
	}
}

// lasting gives the handler longer than others have.
func lasting(d time.Duration) option { return func(r *route) { r.timeout = d } }

// takes sets the longest body, in bytes; 1 MiB by default.
func takes(bytes int64) option { return func(r *route) { r.op.MaxBodyBytes = bytes } }

// limitedBy counts requests against a rate other than the usual one.
func limitedBy(rate rateName) option { return func(r *route) { r.rate = rate } }

func get[In, Out any](sec section, path string, a access, summary string, h handler[In, Out], opts ...option) {
	register(sec, http.MethodGet, path, a, summary, h, opts)
}

func post[In, Out any](sec section, path string, a access, summary string, h handler[In, Out], opts ...option) {
	register(sec, http.MethodPost, path, a, summary, h, opts)
}

func put[In, Out any](sec section, path string, a access, summary string, h handler[In, Out], opts ...option) {
	register(sec, http.MethodPut, path, a, summary, h, opts)
}

func patch[In, Out any](sec section, path string, a access, summary string, h handler[In, Out], opts ...option) {
	register(sec, http.MethodPatch, path, a, summary, h, opts)
}

func del[In, Out any](sec section, path string, a access, summary string, h handler[In, Out], opts ...option) {
	register(sec, http.MethodDelete, path, a, summary, h, opts)
}

// output is the output of every operation, as huma wants it. Body has the type
// of what the handler returns, which only our own description tells.
type output struct {
	Status int
	Body   any
}

func register[In, Out any](sec section, method, path string, a access, summary string, h handler[In, Out], opts []option) {
	r := route{access: a, rate: a.rate(), timeout: requestTimeout, op: describe(sec, method, path, summary)}
	for _, o := range opts {
		o(&r)
	}
	r.filled = filledParameters(reflect.TypeFor[In]())
	r.op.Middlewares = huma.Middlewares{sec.s.admission(r)}
	huma.Register(sec.s.api, r.op, func(ctx context.Context, in *In) (*output, error) {
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		req := requestOf(ctx)
		out, err := h(voiceassist.WithActor(ctx, req.actor()), in)
		if err != nil {
			return nil, refusal{err}
		}
		return &output{Status: cmp.Or(req.status, r.op.DefaultStatus, http.StatusOK), Body: out}, nil
	})
	sec.s.described = append(sec.s.described, described{
		route: r, reply: reflect.TypeFor[Out](), input: operationOf(sec.s.api.OpenAPI().Paths[path], method),
	})
}

// filledParameters are the query parameters of an input that are not text. To
// huma an empty one is none, whatever its type.
func filledParameters(in reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(in) {
		if name := f.Tag.Get("query"); name != "" && f.Type.Kind() != reflect.String {
			names = append(names, name)
		}
	}
	return names
}

// operationOf is what huma has made of an operation.
func operationOf(item *huma.PathItem, method string) *huma.Operation {
	switch method {
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	case http.MethodDelete:
		return item.Delete
	default:
		return item.Get
	}
}

// describe is an operation as every one begins.
func describe(sec section, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID:     operationID(method, path),
		Method:          method,
		Path:            path,
		Summary:         summary,
		Tags:            []string{sec.tag},
		MaxBodyBytes:    1 << 20,
		BodyReadTimeout: readTimeout,
	}
}

// operationID names an operation in generated clients: get-api-auth-me.
func operationID(method, path string) string {
	if path == "/" {
		path = "/root"
	}
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "", "_", "-").Replace(publicPath(path))
}

// admission is what comes before an operation: who may call it, and how often.
// It runs before the body is read.
func (s *Server) admission(r route) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := humafiber.Unwrap(hc)
		if err := s.admit(c, r); err != nil {
			fail(c.Context(), requestOf(c.Context()), err)
			return
		}
		// Clients that forget to say so send JSON all the same.
		c.Request().Header.SetContentType("application/json")
		next(hc)
	}
}

// admit notes the route and lets the caller in with a readable query, or says
// why not.
func (s *Server) admit(c *fiber.Ctx, r route) error {
	req := requestOf(c.Context())
	req.route = r.op.Path
	if r.access == anyone || r.access == guest {
		if err := s.count(c.UserContext(), r.rate, clientKey(req.ip)); err != nil {
			return err
		}
		if r.access == guest {
			req.who, _ = s.identify(c, r.cookie) // whoever cannot be identified is nobody
		}
		return checkQuery(c, r)
	}
	if err := s.authenticate(c, r.cookie); err != nil {
		return err
	}
	if err := s.count(c.UserContext(), r.rate, req.who.CredentialID().String()); err != nil {
		return err
	}
	if err := keyMay(req.who, r.op.Method, r.access, r.sessionOnly); err != nil {
		return err
	}
	if err := r.access.allows(req.who.User); err != nil {
		return err
	}
	if r.flag != "" && !s.flag(c.UserContext(), r.flag) {
		return voiceassist.Errorf(voiceassist.Forbidden, "This is switched off: the feature flag %s", r.flag)
	}
	return checkQuery(c, r)
}

// raw registers a Fiber handler that reads or writes something else than JSON,
// behind the same admission. Errors that it returns are written like all others.
func raw(sec section, method, path string, a access, summary string, h fiber.Handler, opts ...option) {
	s := sec.s
	r := route{access: a, rate: a.rate(), op: describe(sec, method, path, summary)}
	if r.socket = strings.HasSuffix(path, "/ws"); r.socket {
		r.op.DefaultStatus, r.op.Errors = http.StatusSwitchingProtocols, []int{http.StatusForbidden, http.StatusUpgradeRequired}
	}
	for _, o := range opts {
		o(&r)
	}
	s.app.Add(method, strings.NewReplacer("{", ":", "}", "").Replace(path), func(c *fiber.Ctx) error {
		if r.queryToken {
			takeQueryToken(c)
		}
		if err := s.admit(c, r); err != nil {
			return err
		}
		c.SetUserContext(voiceassist.WithActor(c.UserContext(), requestOf(c.Context()).actor()))
		return h(c)
	})
	s.described = append(s.described, described{route: r})
}

// refusal carries an error of ours through huma, which wants to know the status.
type refusal struct{ err error }

func (r refusal) Error() string  { return r.err.Error() }
func (r refusal) Unwrap() error  { return r.err }
func (r refusal) GetStatus() int { return statusOf(r.err) }

// encoded is a reply that only needs to be written.
type encoded struct{ buf *bytes.Buffer }

// transform puts what an operation returned into the shape that goes over the
// wire.
func transform(hc huma.Context, _ string, v any) (any, error) {
	ctx := humafiber.Unwrap(hc).Context()
	req := requestOf(ctx)
	if err, ok := v.(error); ok {
		fail(ctx, req, err)
		return encoded{}, nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	if err := encode(buf, ctx, req, v); err != nil {
		return nil, err
	}
	ctx.Response.Header.SetContentType("application/json; charset=utf-8")
	return encoded{buf}, nil
}

// writeEncoded is huma's last step. Errors have been written already.
func writeEncoded(w io.Writer, v any) error {
	e, ok := v.(encoded)
	if !ok {
		return fmt.Errorf("reply of type %T did not pass transform", v)
	}
	if e.buf == nil {
		return nil
	}
	defer release(e.buf)
	_, err := w.Write(e.buf.Bytes())
	return err
}

// access says who may call an operation.
type access int

const (
	anyone   access = iota
	guest           // anyone, and who it is is known if they are signed in
	signedIn        // any user
	viewer          // users who may read the admin API
	admin           // users who may change things
)

// allows returns nil or a Forbidden error.
func (a access) allows(u voiceassist.User) error {
	if a == admin && !u.IsAdmin() || a == viewer && !u.CanView() {
		return voiceassist.Errorf(voiceassist.Forbidden, "Insufficient permissions")
	}
	return nil
}

// rate is by what requests are counted unless their route says otherwise.
// Guests are counted by their address, which says nothing of who they are.
func (a access) rate() rateName {
	if a == anyone || a == guest {
		return rateAnonymous
	}
	return rateSession
}

// errors are the statuses with which a caller can be refused. Whoever is signed
// in may have come with an API key that does not reach as far.
func (a access) errors() []int {
	if a == anyone || a == guest {
		return nil
	}
	return []int{http.StatusUnauthorized, http.StatusForbidden}
}
