package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/voiceassist/backend/httpapi"
)

// described is a document whose schemas the tests hold against what the server
// really says.
type described struct {
	text     []byte
	root     map[string]any
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

const documentURL = "document.json"

func newDescribed(text []byte) (*described, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(documentURL, document); err != nil {
		return nil, err
	}
	return &described{text: text, root: document.(map[string]any), compiler: c, schemas: map[string]*jsonschema.Schema{}}, nil
}

// openAPI is the OpenAPI document of a server that serves nobody.
var openAPI = sync.OnceValues(func() (*described, error) {
	text, err := httpapi.New(httpapi.Options{Registry: prometheus.NewRegistry()}).Describe()
	if err != nil {
		return nil, err
	}
	return newDescribed(text)
})

func theDocument(t testing.TB) *described {
	t.Helper()
	d, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pointer is a JSON pointer.
func (*described) pointer(path ...string) string {
	var b strings.Builder
	for _, name := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}

// follow follows a reference, if o is one. At is where o is.
func (d *described) follow(o map[string]any, at string) (map[string]any, string) {
	ref, ok := o["$ref"].(string)
	if !ok {
		return o, at
	}
	at = strings.TrimPrefix(ref, "#")
	v := any(d.root)
	for name := range strings.SplitSeq(at[1:], "/") {
		v = v.(map[string]any)[name]
	}
	return v.(map[string]any), at
}

// schema compiles the schema at a pointer.
func (d *described) schema(at string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[at]; s != nil {
		return s, nil
	}
	escaped := strings.NewReplacer("{", "%7B", "}", "%7D").Replace(at)
	s, err := d.compiler.Compile(documentURL + "#" + escaped)
	if err == nil {
		d.schemas[at] = s
	}
	return s, err
}

// checkExamples holds the examples of a body against its schema.
func (d *described) checkExamples(t *testing.T, body map[string]any, at string) {
	t.Helper()
	content, _ := body["content"].(map[string]any)
	for mediaType, media := range content {
		media := media.(map[string]any)
		schema, err := d.schema(at + d.pointer("content", mediaType, "schema"))
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if fields, _ := media["schema"].(map[string]any); mediaType != "application/json" || len(fields) == 0 {
			continue // a file
		}
		examples := []any{}
		if example, ok := media["example"]; ok {
			examples = append(examples, example)
		}
		named, _ := media["examples"].(map[string]any)
		for _, each := range named {
			each, _ := d.follow(each.(map[string]any), "")
			examples = append(examples, each["value"])
		}
		if len(examples) == 0 {
			t.Errorf("%s has no example", at)
		}
		for _, example := range examples {
			if err := schema.Validate(example); err != nil {
				t.Errorf("the example at %s: %v", at, err)
			}
		}
	}
}

// operationFor returns the pointer to the operation that a request reached, ""
// if there is none.
func (d *described) operationFor(method, path string) string {
	routed, _ := httpapi.Rewrite(path)
	if method == http.MethodHead {
		method = http.MethodGet
	}
	best, variables := "", 1<<10
	for template, item := range d.root["paths"].(map[string]any) {
		if item.(map[string]any)[strings.ToLower(method)] == nil {
			continue
		}
		if n, ok := matches(template, routed); ok && n < variables {
			best, variables = d.pointer("paths", template, strings.ToLower(method)), n
		}
	}
	return best
}

// matches reports whether a path fits a template, and how many variables that
// has.
func matches(template, path string) (variables int, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if template == "/api/admin/jobs/{path}" && strings.HasPrefix(path, "/api/admin/jobs/") {
		return 1, true
	}
	if len(want) != len(got) {
		return 0, false
	}
	for i := range want {
		if strings.HasPrefix(want[i], "{") {
			variables++
		} else if want[i] != got[i] {
			return 0, false
		}
	}
	return variables, true
}

// check holds a reply against the description of the operation that made it.
// Errors of no operation have the shape of all errors.
func (d *described) check(method, path string, status int, header http.Header, body string) error {
	path, _, _ = strings.Cut(path, "?")
	isJSON := strings.HasPrefix(header.Get("Content-Type"), "application/json")
	if method == http.MethodHead || method == http.MethodOptions {
		return nil
	}
	op := d.operationFor(method, path)
	if op == "" || status == http.StatusMethodNotAllowed {
		return d.checkStray(status, path, body)
	}
	at := op + d.pointer("responses", strconv.Itoa(status))
	response, err := d.lookup(at)
	if err != nil {
		return fmt.Errorf("status %d is not described", status)
	}
	response, at = d.follow(response, at)
	content, _ := response["content"].(map[string]any)
	if !isJSON || content["application/json"] == nil {
		return nil
	}
	at += d.pointer("content", "application/json", "schema")
	if _, flat := httpapi.Rewrite(path); !flat {
		return d.validate(at, body)
	}
	if status < http.StatusBadRequest && header.Get("X-Total-Count") == "" {
		return d.checkFlatData(at, body)
	}
	return d.checkFlat(status, body)
}

// checkFlatData holds a success of the flat profile, which is no list, against
// what the envelope describes as data. At is the schema of the envelope.
func (d *described) checkFlatData(at, body string) error {
	schema, err := d.lookup(at)
	if err != nil {
		return err
	}
	schema, at = d.follow(schema, at)
	parts, _ := schema["allOf"].([]any)
	if len(parts) == 0 {
		return nil
	}
	last := strconv.Itoa(len(parts) - 1)
	return d.validate(at+d.pointer("allOf", last, "properties", "data"), body)
}

func (d *described) lookup(at string) (map[string]any, error) {
	v := any(d.root)
	for name := range strings.SplitSeq(at[1:], "/") {
		o, ok := v.(map[string]any)[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
		if !ok {
			return nil, fmt.Errorf("%s is not in the document", at)
		}
		v = o
	}
	return v.(map[string]any), nil
}

func (d *described) checkStray(status int, path, body string) error {
	if status < http.StatusBadRequest {
		return fmt.Errorf("no operation is described")
	}
	if _, flat := httpapi.Rewrite(path); flat {
		return d.checkFlat(status, body)
	}
	return d.validate("/components/schemas/Error", body)
}

// checkFlat holds an error of the flat profile against its schema.
func (d *described) checkFlat(status int, body string) error {
	if status < http.StatusBadRequest {
		return nil
	}
	return d.validate("/components/schemas/FlatError", body)
}

func (d *described) validate(at, body string) error {
	schema, err := d.schema(at)
	if err != nil {
		return err
	}
	var v any
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	return schema.Validate(v)
}
