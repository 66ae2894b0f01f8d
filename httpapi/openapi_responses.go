package httpapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	voiceassist "github.com/voiceassist/backend"
)

// failures are the errors that an operation can end with, by status: the names
// of the components and what they mean.
var failures = map[int]struct{ name, meaning string }{
	http.StatusBadRequest:                   {"BadRequest", "The body is not JSON, or the request is not valid HTTP"},
	http.StatusUnauthorized:                 {"Unauthorized", "No token, or one that is not valid (any more)"},
	http.StatusForbidden:                    {"Forbidden", "The caller may not do this"},
	http.StatusNotFound:                     {"NotFound", "There is no such thing, it belongs to somebody else, or the id is not an id"},
	http.StatusMethodNotAllowed:             {"MethodNotAllowed", "The path has other methods, which the header Allow names"},
	http.StatusRequestTimeout:               {"RequestTimeout", "The request did not arrive in time"},
	http.StatusConflict:                     {"Conflict", "What is there does not allow it"},
	http.StatusGone:                         {"Gone", "It was there and has expired"},
	http.StatusRequestEntityTooLarge:        {"PayloadTooLarge", "The body is larger than is taken: 1 MiB of JSON, or a file beyond its limit"},
	http.StatusUnsupportedMediaType:         {"UnsupportedMediaType", "The file is of a type that is not taken, judged by its content"},
	http.StatusUnprocessableEntity:          {"ValidationError", "The request was understood and a value in it is not valid"},
	http.StatusRequestedRangeNotSatisfiable: {"RangeNotSatisfiable", "The file does not have the bytes that were asked for; Content-Range says how many it has"},
	http.StatusUpgradeRequired:              {"UpgradeRequired", "This path speaks WebSocket"},
	http.StatusTooManyRequests:              {"TooManyRequests", "Too many requests; Retry-After says when to come back"},
	http.StatusInternalServerError:          {"InternalError", "A mistake of ours, told only to our log"},
	http.StatusServiceUnavailable:           {"ServiceUnavailable", "Something that is needed does not answer, is full or is not configured"},
}

// failure returns the response for a status, which all operations share.
func (b *builder) failure(status int) object {
	f, known := failures[status]
	if !known {
		f.name, f.meaning = "Status"+strconv.Itoa(status), http.StatusText(status)
	}
	if b.responses[f.name] == nil {
		b.responses[f.name] = failureResponse(status, f.meaning)
	}
	return object{"$ref": "#/components/responses/" + f.name}
}

func failureResponse(status int, meaning string) object {
	schema := errorSchema
	if status == http.StatusUnprocessableEntity {
		schema = "ValidationError"
	}
	headers := []string{"X-Correlation-ID", "X-Request-ID", "traceparent"}
	switch status {
	case http.StatusUnauthorized:
		headers = append(headers, "WWW-Authenticate")
	case http.StatusMethodNotAllowed:
		headers = append(headers, "Allow")
	case http.StatusTooManyRequests:
		headers = append(headers, "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
	case http.StatusServiceUnavailable:
		headers = append(headers, "Retry-After")
	case http.StatusRequestedRangeNotSatisfiable:
		headers = append(headers, "Content-Range")
	}
	return object{
		"description": meaning,
		"headers":     headerRefs(headers...),
		"content": object{"application/json": object{
			"schema":  object{"$ref": schemaPath + schema},
			"example": failureExample(status, meaning),
		}},
	}
}

// failureExample is an error as fail writes it.
func failureExample(status int, meaning string) object {
	code, message := codeOfStatus(status), meaning
	if code == voiceassist.Malformed {
		code = voiceassist.Invalid
	}
	var detail, details, field any = message, nil, nil
	if status == http.StatusUnprocessableEntity {
		message, field = "title must be at most 200 characters long", "title"
		details = []object{{"loc": []string{"body", "title"}, "msg": message, "type": "value_error"}}
		detail = details
	}
	return object{
		"success": false, "data": nil, "detail": detail,
		"error":    object{"code": code, "message": message, "details": details, "field": field},
		"meta":     object{"request_id": exampleRequest, "timestamp": exampleTime},
		"trace_id": exampleTrace,
	}
}

// errorSchemas are the schemas of errors, in both profiles.
func errorSchemas() map[string]object {
	text := object{"type": "string"}
	issues := object{"type": "array", "items": object{"$ref": schemaPath + issueSchema}}
	detail := object{"description": "the message; for 422 what is wrong with which value", "anyOf": []any{text, issues}}
	code := object{"type": "string", "enum": errorCodes()}
	return map[string]object{
		errorSchema: withRequired(object{"type": "object", "properties": object{
			"success": object{"const": false},
			"data":    object{"type": "null"},
			"error": withRequired(object{"type": "object", "properties": object{
				"code":    code,
				"message": text,
				"details": object{"type": []any{"array", "null"}, "items": issues["items"]},
				"field":   object{"type": []any{"string", "null"}, "description": "which value is wrong, if one is"},
			}}, []string{"code", "details", "field", "message"}),
			"detail":   detail,
			"meta":     object{"$ref": schemaPath + metaSchema},
			"trace_id": text,
		}}, []string{"data", "detail", "error", "meta", "success", "trace_id"}),
		"ValidationError": {"allOf": []any{
			object{"$ref": schemaPath + errorSchema},
			object{"type": "object", "properties": object{"detail": issues}},
		}},
		issueSchema: withRequired(object{"type": "object", "properties": object{
			"loc":  object{"type": "array", "items": text, "description": "body, query or path, then names and indexes"},
			"msg":  text,
			"type": object{"type": "string", "examples": []any{"missing"}},
		}}, []string{"loc", "msg", "type"}),
		flatSchema: withRequired(object{
			"type": "object", "description": "An error under /v1.",
			"properties": object{"detail": detail, "code": code, "message": text},
		}, []string{"code", "detail", "message"}),
	}
}

// errorCodes are the codes that clients may be told.
func errorCodes() []any {
	var codes []string
	for code := range statuses {
		if code != voiceassist.Malformed {
			codes = append(codes, string(code))
		}
	}
	slices.Sort(codes)
	var all []any
	for _, code := range codes {
		all = append(all, code)
	}
	return all
}

// headers are the headers of replies that clients may want to know.
var headers = map[string]struct{ doc, kind, example string }{
	"X-Request-ID":          {"the id of this request: the client's own if it sent a usable one", "string", exampleRequest},
	"X-Correlation-ID":      {"the client's X-Correlation-ID, else the request's id", "string", exampleRequest},
	"traceparent":           {"the W3C trace that this request is a part of", "string", "00-" + exampleTrace + "-00f067aa0ba902b7-01"},
	"X-RateLimit-Limit":     {"requests allowed in the present window", "integer", "6000"},
	"X-RateLimit-Remaining": {"requests left in it", "integer", "5999"},
	"X-RateLimit-Reset":     {"when all are left again, in seconds since 1970", "integer", "1768469400"},
	"Retry-After":           {"seconds to wait", "integer", "5"},
	"WWW-Authenticate":      {"how to authenticate", "string", "Bearer"},
	"X-Total-Count":         {"how many rows there are beside those of this page", "integer", "1"},
	"Content-Disposition":   {"the name under which to save the file", "string", "attachment; filename=guideline.pdf"},
	"Accept-Ranges":         {"that a part of the file may be asked for", "string", "bytes"},
	"Content-Range":         {"which bytes of the file these are, and how many it has", "string", "bytes 0-1023/1482711"},
	"Allow":                 {"the methods that the path has", "string", "GET, HEAD"},
}

func headerComponents() object {
	components := object{}
	for name, h := range headers {
		schema := object{"type": h.kind}
		schema["examples"] = []any{tagValue(h.example, schema)}
		components[name] = object{"description": h.doc, "schema": schema}
	}
	return components
}

func headerRefs(names ...string) object {
	refs := object{}
	for _, name := range names {
		refs[name] = object{"$ref": "#/components/headers/" + name}
	}
	return refs
}

// headersOf are the headers of a success.
func headersOf(d described, status int, t reflect.Type) object {
	names := []string{"X-Request-ID"}
	if d.rate != rateNone {
		names = append(names, "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
	}
	if t != nil && t.Implements(reflect.TypeFor[bare]()) {
		names = append(names, "X-Total-Count")
	}
	if slices.ContainsFunc(d.produces, isDownload) {
		names = append(names, "Content-Disposition")
	}
	if d.ranges {
		names = append(names, "Accept-Ranges")
	}
	if status == http.StatusPartialContent {
		names = append(names, "Content-Range")
	}
	return headerRefs(names...)
}

// isDownload reports whether a body of this type is a file that somebody keeps.
func isDownload(mediaType string) bool {
	switch mediaType {
	case "*/*", "application/octet-stream", "application/pdf", "text/csv", "text/markdown":
		return true
	}
	return false
}

// securitySchemes describe what authenticate accepts.
var securitySchemes = map[string]*huma.SecurityScheme{
	"bearer":  {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access token of a login."},
	"apiKey":  {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "A key made by POST /api/auth/api-keys."},
	"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "The session of a browser that signed in: pages, downloads, event streams and sockets."},
	"token":   {Type: "apiKey", In: "query", Name: "token", Description: "The access token, for sockets and event streams that browsers open."},
}

// security is how a caller may say who it is; nil if it need not.
func (d described) security() []map[string][]string {
	stream := slices.Contains(d.produces, "text/event-stream")
	schemes := []string{"bearer", "apiKey"}
	switch {
	case d.socket:
		schemes = []string{"bearer", "session", "token"}
	case d.access == anyone:
		return nil
	case d.access == guest:
		schemes = []string{"", "bearer", "apiKey", "session"}
	case d.sessionOnly:
		schemes = []string{"bearer"}
	case stream:
		schemes = append(schemes, "session", "token")
	case d.cookie:
		schemes = append(schemes, "session")
	}
	var security []map[string][]string
	for _, name := range schemes {
		scheme := map[string][]string{}
		if name != "" {
			scheme[name] = []string{}
		}
		security = append(security, scheme)
	}
	return security
}

// description says who may call.
func (a access) description() string {
	switch a {
	case viewer:
		return "For viewers and administrators."
	case admin:
		return "For administrators."
	default:
		return ""
	}
}

// tagsOf are the tags in the order of the routes.
func tagsOf(names []string) []object {
	var tags []object
	var seen []string
	for _, name := range names {
		if slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		tag := object{"name": name}
		if text := tagDescriptions[strings.ToLower(name)]; text != "" {
			tag["description"] = text
		}
		tags = append(tags, tag)
	}
	return tags
}
