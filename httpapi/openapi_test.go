package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew (make openapi)")

const goldenPath = "../docs/openapi.json"

func TestThePublishedOpenAPIDocumentIsTheOneInTheRepository(t *testing.T) {
	t.Parallel()
	document := theDocument(t).text
	var indented bytes.Buffer
	if err := json.Indent(&indented, document, "", " "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	if *update {
		if err := os.WriteFile(goldenPath, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(golden), "\n"), strings.Split(indented.String(), "\n")); diff != "" {
		t.Errorf("run `make openapi` and look at what changes (-repository +program):\n%.4000s", diff)
	}
	s := start(t)
	for _, path := range []string{"/openapi.json", "/api/openapi.json", "/v1/openapi.json"} {
		if r := s.want(200, s.do("GET", path, "")); r.text != string(document) {
			t.Errorf("%s differs from what the server describes", path)
		}
	}
}

// TestTheOpenAPIDocumentIsOne validates the document with the JSON Schema that
// the OpenAPI Initiative publishes for version 3.1.
func TestTheOpenAPIDocumentIsOne(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/openapi-3.1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	meta, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi-3.1.json", meta); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(theDocument(t).text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Errorf("%v", err)
	}
}

// operations calls f for each operation of a document.
func operations(t testing.TB, f func(method, path string, op map[string]any)) {
	t.Helper()
	for path, item := range theDocument(t).root["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			f(strings.ToUpper(method), path, op.(map[string]any))
		}
	}
}

func TestEveryOperationSaysHowItCanEnd(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	operations(t, func(method, path string, op map[string]any) {
		id := op["operationId"].(string)
		if other := ids[id]; other != "" {
			t.Errorf("%s %s and %s are both called %s", method, path, other, id)
		}
		ids[id] = method + " " + path
		for _, name := range []string{"summary", "tags"} {
			if op[name] == nil {
				t.Errorf("%s %s has no %s", method, path, name)
			}
		}
		responses := op["responses"].(map[string]any)
		want := []string{"400", "422", "500", "503"}
		if strings.Contains(path, "{") {
			want = append(want, "404")
		}
		if op["security"] != nil && !strings.HasSuffix(path, "/ws") {
			want = append(want, "401", "429")
		}
		if op["requestBody"] != nil {
			want = append(want, "413")
		}
		for _, status := range want {
			if responses[status] == nil {
				t.Errorf("%s %s does not say that it may be %s", method, path, status)
			}
		}
		good := slices.ContainsFunc([]string{"101", "200", "201", "202"}, func(status string) bool { return responses[status] != nil })
		if !good {
			t.Errorf("%s %s does not say how it succeeds", method, path)
		}
	})
}

// TestEveryBodyHasAnExampleThatItsSchemaAllows compiles every schema of every
// operation on the way.
func TestEveryBodyHasAnExampleThatItsSchemaAllows(t *testing.T) {
	t.Parallel()
	d := theDocument(t)
	operations(t, func(method, path string, op map[string]any) {
		if body, ok := op["requestBody"].(map[string]any); ok {
			d.checkExamples(t, body, d.pointer("paths", path, strings.ToLower(method), "requestBody"))
		}
		for status, response := range op["responses"].(map[string]any) {
			at := d.pointer("paths", path, strings.ToLower(method), "responses", status)
			response, at := d.follow(response.(map[string]any), at)
			d.checkExamples(t, response, at)
		}
	})
}
