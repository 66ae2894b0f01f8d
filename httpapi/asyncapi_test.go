package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	voiceassist "github.com/voiceassist/backend"
)

// socketsDocument is what /asyncapi.json says of frames.
type socketsDocument struct {
	root     map[string]any
	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

// asyncAPI is the AsyncAPI document, which refers to the OpenAPI document beside
// it.
var asyncAPI = sync.OnceValues(func() (*socketsDocument, error) {
	file, err := os.ReadFile("static/asyncapi.json")
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	http, err := openAPI()
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	err = errors.Join(c.AddResource("asyncapi.json", document), c.AddResource("openapi.json", http.root))
	return &socketsDocument{root: document.(map[string]any), compiler: c}, err
})

func theSockets(t testing.TB) *socketsDocument {
	t.Helper()
	d, err := asyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// schema compiles the payload of a message.
func (d *socketsDocument) schema(message string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.compiler.Compile("asyncapi.json#/components/messages/" + message + "/payload")
}

func (d *socketsDocument) message(name string) map[string]any {
	return d.root["components"].(map[string]any)["messages"].(map[string]any)[name].(map[string]any)
}

// check holds a frame of a type against the messages of an operation.
func (d *socketsDocument) check(operation, kind string, frame any) error {
	operations := d.root["operations"].(map[string]any)
	for _, ref := range operations[operation].(map[string]any)["messages"].([]any) {
		name := path.Base(ref.(map[string]any)["$ref"].(string))
		if d.message(name)["name"] != kind {
			continue
		}
		schema, err := d.schema(name)
		if err != nil {
			return err
		}
		return schema.Validate(frame)
	}
	return fmt.Errorf("no message of %s is called %v", operation, kind)
}

func TestTheAsyncAPIDocumentIsServedAndItsExamplesAreValid(t *testing.T) {
	t.Parallel()
	s := start(t)
	d := theSockets(t)
	for _, path := range []string{"/asyncapi.json", "/api/asyncapi.json"} {
		r := s.want(200, s.do("GET", path, ""))
		if r.at("asyncapi") != "3.0.0" || r.at("info", "version") != voiceassist.Version {
			t.Errorf("%s: asyncapi = %v, version %v", path, r.at("asyncapi"), r.at("info", "version"))
		}
	}
	for name, message := range d.root["components"].(map[string]any)["messages"].(map[string]any) {
		schema, err := d.schema(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		examples, _ := message.(map[string]any)["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, example := range examples {
			if err := schema.Validate(example.(map[string]any)["payload"]); err != nil {
				t.Errorf("the example of %s: %v", name, err)
			}
		}
	}
}

// TestEveryReferenceOfTheAsyncAPIDocumentLeadsSomewhere follows them all.
func TestEveryReferenceOfTheAsyncAPIDocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	d := theSockets(t)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && ref[0] == '#' && lookUp(d.root, ref) == nil {
				t.Errorf("%s leads nowhere", ref)
			}
			for _, each := range v {
				walk(each)
			}
		case []any:
			for _, each := range v {
				walk(each)
			}
		}
	}
	walk(d.root)
}

func lookUp(root any, ref string) any {
	v := root
	for name := range strings.SplitSeq(ref[2:], "/") {
		o, _ := v.(map[string]any)
		v = o[name]
	}
	return v
}

// checkFrame fails the test unless the AsyncAPI document knows a frame that a
// socket sent.
func checkFrame(t testing.TB, operation string, data []byte) {
	t.Helper()
	var frame map[string]any
	if err := json.Unmarshal(data, &frame); err != nil {
		t.Errorf("%s: %v", data, err)
		return
	}
	if err := theSockets(t).check(operation, fmt.Sprint(frame["type"]), frame); err != nil {
		t.Errorf("a frame is not as the AsyncAPI document says: %v\n%.1000s", err, data)
	}
}
