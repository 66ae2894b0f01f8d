package httpapi

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// statuses maps the codes of errors to HTTP.
var statuses = map[voiceassist.Code]int{
	voiceassist.Invalid:          http.StatusUnprocessableEntity,
	voiceassist.Malformed:        http.StatusBadRequest,
	voiceassist.Unauthorized:     http.StatusUnauthorized,
	voiceassist.Forbidden:        http.StatusForbidden,
	voiceassist.NotFound:         http.StatusNotFound,
	voiceassist.MethodNotAllowed: http.StatusMethodNotAllowed,
	voiceassist.Conflict:         http.StatusConflict,
	voiceassist.Gone:             http.StatusGone,
	voiceassist.TooLarge:         http.StatusRequestEntityTooLarge,
	voiceassist.UnsupportedMedia: http.StatusUnsupportedMediaType,
	voiceassist.RateLimited:      http.StatusTooManyRequests,
	voiceassist.Internal:         http.StatusInternalServerError,
	voiceassist.Unavailable:      http.StatusServiceUnavailable,
}

// statusOf returns the HTTP status that tells of err.
func statusOf(err error) int {
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[*huma.ErrorModel](err); ok {
		return e.Status
	}
	return cmp.Or(statuses[voiceassist.CodeOf(err)], http.StatusInternalServerError)
}

// failure is what a client is told of an error.
type failure struct {
	status     int
	code       voiceassist.Code
	message    string
	field      string
	issues     []issue // of a request that was understood and is wrong
	retryAfter time.Duration
}

// issue is one thing wrong with a request. Loc is the way to it: "body",
// "query" or "path", then names and indexes.
type issue struct {
	Loc  []string `json:"loc"`
	Msg  string   `json:"msg"`
	Type string   `json:"type"`
}

// explain decides what a client is told of err. Whatever is not meant for
// clients becomes a general sentence; the log has the rest.
func explain(err error) failure {
	f := failure{status: statusOf(err), code: voiceassist.CodeOf(err)}
	if e, ok := errors.AsType[*voiceassist.Error](err); ok {
		f.message, f.field, f.retryAfter = e.Message, e.Field, e.RetryAfter
	}
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		f.code, f.message = codeOfStatus(e.Code), sentence(e.Code)
	}
	if e, ok := errors.AsType[*huma.ErrorModel](err); ok {
		f.code, f.message = codeOfStatus(e.Status), sentence(e.Status)
		f.issues = issuesOf(e)
	}
	if f.code == voiceassist.Invalid && f.issues == nil {
		f.issues = []issue{issueAbout(f.field, f.message)}
	}
	if f.status == http.StatusUnprocessableEntity && f.field == "" && len(f.issues) > 0 {
		f.field = f.issues[0].field()
		f.message = f.issues[0].Msg
	}
	if f.code == voiceassist.Malformed {
		f.code = voiceassist.Invalid
	}
	if f.code == voiceassist.Internal || f.message == "" {
		f.message = sentence(f.status)
	}
	return f
}

// codeOfStatus gives a code to errors that the libraries report by status.
func codeOfStatus(status int) voiceassist.Code {
	for code, s := range statuses {
		if s == status {
			return code
		}
	}
	if status < http.StatusInternalServerError {
		return voiceassist.Malformed
	}
	return voiceassist.Internal
}

// sentence says what a status means when there is nothing better to say.
func sentence(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The request body is not valid JSON"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusRequestTimeout:
		return "The request did not arrive in time"
	case http.StatusUnprocessableEntity:
		return "Request validation failed"
	case http.StatusServiceUnavailable:
		return "The service is not available right now"
	case http.StatusInternalServerError:
		return "Internal server error"
	}
	return http.StatusText(status)
}

// issuesOf translates what huma found wrong with a request.
func issuesOf(e *huma.ErrorModel) []issue {
	if e.Status != http.StatusUnprocessableEntity {
		return nil
	}
	issues := make([]issue, 0, len(e.Errors))
	for _, d := range e.Errors {
		issues = append(issues, issueOf(d))
	}
	return issues
}

// issueOf names the property that is missing or has a bad value, which huma
// only has in its message.
func issueOf(d *huma.ErrorDetail) issue {
	loc := strings.FieldsFunc(d.Location, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	before, after, _ := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	if name, ok := strings.CutPrefix(d.Message, before); ok && strings.HasSuffix(name, after) {
		return issue{Loc: append(loc, strings.TrimSuffix(name, after)), Msg: "Field required", Type: "missing"}
	}
	if path, message, ok := locate(d.Message); ok && d.Location == "body" {
		return issue{Loc: append(loc, path...), Msg: message, Type: "value_error"}
	}
	return issue{Loc: loc, Msg: d.Message, Type: "value_error"}
}

func issueAbout(field, message string) issue {
	loc := []string{"body"}
	if field != "" {
		loc = append(loc, strings.Split(field, ".")...)
	}
	return issue{Loc: loc, Msg: message, Type: "value_error"}
}

func (i issue) field() string {
	if len(i.Loc) < 2 {
		return ""
	}
	return strings.Join(i.Loc[1:], ".")
}

// The bodies of errors. Detail is a sentence, or for 422 the list of issues.
type (
	errorBody struct {
		Success bool      `json:"success"`
		Data    any       `json:"data"`
		Error   errorInfo `json:"error"`
		Detail  any       `json:"detail"`
		Meta    errorMeta `json:"meta"`
		TraceID string    `json:"trace_id"`
	}
	errorInfo struct {
		Code    voiceassist.Code `json:"code"`
		Message string           `json:"message"`
		Details []issue          `json:"details"`
		Field   *string          `json:"field"`
	}
	errorMeta struct {
		RequestID string `json:"request_id"`
		Timestamp string `json:"timestamp"`
	}
	flatErrorBody struct {
		Detail  any              `json:"detail"`
		Code    voiceassist.Code `json:"code"`
		Message string           `json:"message"`
	}
)

// body returns the JSON body of a failure in the profile of the request.
func (f failure) body(req *request) any {
	var detail any = f.message
	if f.issues != nil {
		detail = f.issues
	}
	if req.flat {
		return flatErrorBody{Detail: detail, Code: f.code, Message: f.message}
	}
	var field *string
	if f.field != "" {
		field = &f.field
	}
	return errorBody{
		Error:   errorInfo{Code: f.code, Message: f.message, Details: f.issues, Field: field},
		Detail:  detail,
		Meta:    errorMeta{RequestID: req.id, Timestamp: stamp(time.Now())},
		TraceID: req.trace,
	}
}

// fail writes the reply that tells of err and notes err for the log event. It
// is the only function that writes errors.
func fail(ctx *fasthttp.RequestCtx, req *request, err error) {
	req.err = err
	f := explain(err)
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	if marshal(buf, f.body(req)) != nil {
		panic("httpapi: an error body cannot be encoded")
	}
	h := &ctx.Response.Header
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if f.retryAfter > 0 || f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", seconds(cmp.Or(f.retryAfter, 5*time.Second)))
	}
	ctx.SetStatusCode(f.status)
	h.SetContentType("application/json; charset=utf-8")
	ctx.SetBody(buf.Bytes())
}

// seconds prints a duration as whole seconds, rounded up, at least 1.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
