package contract_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// row is an endpoint with what each role gets from it.
type row struct {
	method, path, body string
	statuses           statuses
	shape              shape  // of the resource; "" when success is not JSON
	flat               shape  // of the body under /v1, where it is another
	media              string // of success; "" is JSON
	fresh              bool   // the caller is a new one, because the request ends their session or changes who they are
}

// statuses are those of anonymous, user, viewer and admin.
type statuses [4]int

// What most endpoints do.
func everyone(s int) statuses { return statuses{s, s, s, s} }
func members(s int) statuses  { return statuses{401, s, s, s} }
func viewers(s int) statuses  { return statuses{401, 403, s, s} }
func admins(s int) statuses   { return statuses{401, 403, 403, s} }

// rows is every endpoint and method of both documents and of the contract.
func rows() []row {
	return slices.Concat(healthRows, accountRows, userRows, conversationRows, folderRows, fileRows, clinicalRows,
		libraryRows, batchRows, panelRows, systemRows, flagRows, cacheRows, voiceRows, integrationRows, aliasRows, leftOutRows)
}

// TestContract asks for every endpoint as each role, in both profiles.
func TestContract(t *testing.T) {
	w := newWorld(t)
	checks := 0
	for _, r := range rows() {
		for _, profile := range []string{"", "/v1"} {
			for i, c := range w.callers {
				checks++
				t.Run(strings.Join([]string{r.method, profile + r.path, c.role}, " "), func(t *testing.T) {
					in := *w
					in.t = t
					in.check(r, profile, c, r.statuses[i])
				})
			}
		}
	}
	t.Logf("%d rows, %d checks", len(rows()), checks)
}

func (w *world) check(r row, profile string, c *caller, want int) {
	w.t.Helper()
	if r.fresh && c.role != "anonymous" {
		c = w.newcomer(c.role)
	}
	got := send(w.t, r.method, profile+w.fill(c, r.path), w.fill(c, r.body), c.access)
	if got.status != want {
		w.t.Fatalf("status %d, want %d: %s", got.status, want, clip(got.text))
	}
	for _, problem := range slices.Concat(checkHeaders(got), checkBody(r, profile != "", got)) {
		w.t.Errorf("%s\nin %s", problem, clip(got.text))
	}
}

func clip(s string) string { return s[:min(len(s), 2000)] }

// checkHeaders returns what is wrong with the headers of a reply.
func checkHeaders(r reply) (problems []string) {
	for name, pattern := range map[string]string{
		"X-Request-Id":            `^\S+$`,
		"X-Correlation-Id":        `^\S+$`,
		"Traceparent":             `^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`,
		"X-Content-Type-Options":  `^nosniff$`,
		"Content-Security-Policy": `frame-ancestors`,
	} {
		if !regexp.MustCompile(pattern).MatchString(r.header.Get(name)) {
			problems = append(problems, fmt.Sprintf("%s: %q", name, r.header.Get(name)))
		}
	}
	if r.status == http.StatusUnauthorized && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
		problems = append(problems, "401 without WWW-Authenticate")
	}
	if r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
		problems = append(problems, "503 without Retry-After")
	}
	return problems
}

func checkBody(r row, flat bool, got reply) []string {
	media := got.header.Get("Content-Type")
	switch {
	case got.status >= 400:
		return checkError(flat, got)
	case r.media != "":
		if !strings.HasPrefix(media, r.media) {
			return []string{"the body is " + media + ", not " + r.media}
		}
		return nil
	case !strings.HasPrefix(media, "application/json"):
		return []string{"the body is " + media + ", not JSON"}
	case flat:
		return checkFlat(r, got)
	}
	return checkEnvelope(r, got)
}

// codes are the codes of errors that tell of a status.
var codes = map[int]string{
	400: "VALIDATION_ERROR", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 409: "CONFLICT",
	413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE", 422: "VALIDATION_ERROR", 429: "RATE_LIMITED", 503: "SERVICE_UNAVAILABLE",
}

const (
	errorShape     shape = "{success:b data:*? error:{code:s message:s details:*? field:s?} detail:* meta:{request_id:s timestamp:t} trace_id:s}"
	flatErrorShape shape = "{detail:* code:s message:s}"
	envelopeShape  shape = "{success:b data:* error:*? meta:{request_id:s timestamp:t} metadata:e timestamp:* trace_id:s}"
	issuesShape    shape = "[{loc:[s] msg:s type:s}]"
)

func checkError(flat bool, got reply) (problems []string) {
	object, _ := got.json.(map[string]any)
	inner := object
	if flat {
		problems = append(problems, flatErrorShape.check(got.json))
		if _, enveloped := object["success"]; enveloped {
			problems = append(problems, "an envelope under /v1")
		}
	} else {
		problems = append(problems, errorShape.check(got.json))
		inner, _ = object["error"].(map[string]any)
		if object["success"] != false || object["data"] != nil {
			problems = append(problems, "success or data of an error")
		}
	}
	if code := codes[got.status]; code != "" && inner["code"] != code {
		problems = append(problems, fmt.Sprintf("code %v, want %s", inner["code"], code))
	}
	if got.status == http.StatusUnprocessableEntity {
		problems = append(problems, issuesShape.check(object["detail"]))
	} else if _, ok := object["detail"].(string); !ok {
		problems = append(problems, "detail is not a sentence")
	}
	return slices.DeleteFunc(problems, func(s string) bool { return s == "" })
}

func checkFlat(r row, got reply) (problems []string) {
	want := r.shape
	if r.flat != "" {
		want = r.flat
	}
	if problem := want.check(got.json); problem != "" {
		problems = append(problems, problem)
	}
	if object, ok := got.json.(map[string]any); ok && object["success"] == true && object["trace_id"] != nil {
		problems = append(problems, "an envelope under /v1")
	}
	if _, isArray := got.json.([]any); isArray && got.header.Get("X-Total-Count") == "" {
		problems = append(problems, "an array without X-Total-Count")
	}
	return problems
}

func checkEnvelope(r row, got reply) (problems []string) {
	object, _ := got.json.(map[string]any)
	for _, problem := range []string{envelopeShape.check(got.json), r.shape.check(got.data())} {
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	if object["success"] != true || object["error"] != nil {
		problems = append(problems, "success is not true, or error is not null")
	}
	data, isObject := got.data().(map[string]any)
	if !isObject {
		return problems
	}
	arrays := 0
	for _, name := range r.shape.members() {
		_, isArray := data[name].([]any)
		_, there := object[name]
		if isArray && there {
			arrays++
		}
		if !there && !isArray {
			problems = append(problems, name+" is not at the top level")
		}
	}
	return problems
}

// TestEveryOperationHasARow holds the table against the published description:
// an endpoint without a row is an endpoint that nobody checks.
func TestEveryOperationHasARow(t *testing.T) {
	t.Parallel()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	r := must(t, "GET", "/openapi.json", "", "")
	if err := json.Unmarshal([]byte(r.text), &document); err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\{+[^}]*\}+|/nothing\b|/some-event\b`)
	have := map[string]bool{}
	for _, r := range rows() {
		path, _, _ := strings.Cut(r.path, "?")
		have[r.method+" "+parameter.ReplaceAllStringFunc(path, placeholder)] = true
	}
	for path, operations := range document.Paths {
		for method := range operations {
			name := strings.ToUpper(method) + " " + parameter.ReplaceAllStringFunc(path, placeholder)
			if !have[name] && !strings.Contains(path, "/api/admin/jobs") {
				t.Errorf("%s has no row", name)
			}
		}
	}
}

// placeholder stands for an id, or what is in the place of one.
func placeholder(part string) string {
	if part[0] == '/' {
		return "/{}"
	}
	return "{}"
}
