package httpapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

// untouched are the operations that would end the session of the test, stream
// without an end, or are not ours.
var untouched = regexp.MustCompile(`-api-auth-logout$|^delete-api-users-me|-api-admin-jobs(-path)?$|-ws$|-stream$`)

// target is an operation while bad input is sent to it.
type target struct {
	method, path string // the path with an id that nothing has
	template     string
	id           string // of the operation
	example      string // a good body; "" if it takes none
	required     bool   // the body
	form         bool
	texts        []string // fields of the body that are text
	numbers      []string // query parameters that are numbers
}

const nobodysID = "0d4f2c1e-5b6a-4c7d-8e9f-a0b1c2d3e4f5"

var inBraces = regexp.MustCompile(`\{[^}]*\}`)

// targets are all operations of the API but those left untouched.
func targets(t *testing.T) []target {
	t.Helper()
	d := theDocument(t)
	var all []target
	operations(t, func(method, path string, op map[string]any) {
		id := op["operationId"].(string)
		if untouched.MatchString(id) {
			return
		}
		one := target{method: method, template: path, path: inBraces.ReplaceAllString(path, nobodysID), id: id}
		one.readBody(d, op)
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			p, _ := d.follow(p.(map[string]any), "")
			if p["in"] == "query" && p["schema"].(map[string]any)["type"] == "integer" {
				one.numbers = append(one.numbers, p["name"].(string))
			}
		}
		all = append(all, one)
	})
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.id, b.id) })
	return all
}

func (one *target) readBody(d *described, op map[string]any) {
	body, ok := op["requestBody"].(map[string]any)
	if !ok {
		return
	}
	one.required, _ = body["required"].(bool)
	content := body["content"].(map[string]any)
	if one.form = content["multipart/form-data"] != nil; one.form {
		return
	}
	media := content["application/json"].(map[string]any)
	example, err := json.Marshal(media["example"])
	if err != nil {
		panic(err)
	}
	one.example = string(example)
	schema, _ := d.follow(media["schema"].(map[string]any), "")
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		kind := p.(map[string]any)["type"]
		list, _ := kind.([]any)
		if kind == "string" || slices.Contains(list, "string") {
			one.texts = append(one.texts, name)
		}
	}
	slices.Sort(one.texts)
}

// badBodies are bodies that no operation takes, and what it says of them.
var badBodies = []struct {
	name, body string
	want       []int
}{
	{"half an object", `{"a":`, []int{400}},
	{"no JSON", `hello`, []int{400}},
	{"a form", `a=1&b=2`, []int{400}},
	{"two values", `{} {}`, []int{400}},
	{"a trailing comma", `{"a":1,}`, []int{400}},
	{"single quotes", `{'a':1}`, []int{400}},
	{"NaN", `{"a":NaN}`, []int{400}},
	{"a list", `[]`, []int{422}},
	{"a text", `"text"`, []int{422}},
	{"a number", `5`, []int{422}},
	{"nesting without end", strings.Repeat(`[`, 200_000), []int{400}},
	{"20,000 levels", strings.Repeat(`{"a":`, 20_000) + `1` + strings.Repeat(`}`, 20_000), []int{400}},
	{"two megabytes", `{"a":"` + strings.Repeat("x", 2<<20) + `"}`, []int{413, 422}}, // some take more
	{"a NUL in a name", `{"a\u0000":"x\u0000"}`, []int{422}},
}

func TestBadBodiesAreRefusedByEveryOperation(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		if one.example == "" {
			continue
		}
		for _, bad := range badBodies {
			if r := s.do(one.method, one.path, bad.body, as(admin.Access)); !slices.Contains(bad.want, r.status) {
				t.Errorf("%s %s, %s: %d, want %v: %.300s", one.method, one.template, bad.name, r.status, bad.want, r.text)
			}
		}
		if r := s.do(one.method, one.path, "", as(admin.Access)); one.required && r.status != 400 {
			t.Errorf("%s %s without its body: %d: %.300s", one.method, one.template, r.status, r.text)
		}
		for _, name := range one.texts {
			for what, value := range map[string]string{"a NUL": `"a\u0000b"`, "an object": `{"a":1}`, "a list": `[1]`, "a number": `1`} {
				body := withField(one.example, name, value)
				if r := s.do(one.method, one.path, body, as(admin.Access)); r.status != 422 {
					t.Errorf("%s %s with %s as %s: %d: %.300s", one.method, one.template, what, name, r.status, r.text)
				}
			}
		}
	}
}

// withField is an object of JSON with one field changed.
func withField(object, name, value string) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &fields); err != nil {
		panic(err)
	}
	fields[name] = json.RawMessage(value)
	changed, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(changed)
}

// withText is withField with what need not be text of JSON.
func withText(object, name, text string) string {
	return strings.Replace(withField(object, name, `"@@@"`), "@@@", text, 1)
}

// longTexts are longer than any text may be (20,000 characters). The first
// nearly fills a body; it is sent once to each operation, since the race
// detector looks at every byte that is decoded.
var longTexts = [2]string{strings.Repeat("ä", 300_000), strings.Repeat("ä", 30_000)}

// TestOddBodiesAreAnsweredAsDocumented sends what some operations take and
// others do not. None may fail, and all must end as they say they can.
func TestOddBodiesAreAnsweredAsDocumented(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		if one.example == "" {
			continue
		}
		odd := map[string]string{
			"nothing but null":       `null`,
			"an empty object":        `{}`,
			"a name twice":           strings.Replace(one.example, "{", `{"title":1,"title":"b","id":[],"id":{},`, 1),
			"9,000 levels":           strings.Replace(`{"unknown":@}`, "@", strings.Repeat(`[`, 9000)+strings.Repeat(`]`, 9000), 1),
			"numbers without bounds": withField(one.example, "unknown", `[1e400,-1e400,99999999999999999999999999]`),
			"spaces around":          " \n\t" + one.example + "\r\n ",
		}
		for i, name := range one.texts {
			odd["lone surrogates in "+name] = withField(one.example, name, `"\ud800 \udfff\ud83d"`)
			odd["bytes that are no UTF-8 in "+name] = withText(one.example, name, "\xff\xfe\xc0\xaf")
			odd["control characters in "+name] = withField(one.example, name, `"\u0001\u0007\u001b[31m\u202e\ufeff\u2028"`)
			odd["a long text in "+name] = withText(one.example, name, longTexts[min(i, 1)])
		}
		for what, body := range odd {
			if r := s.do(one.method, one.path, body, as(admin.Access)); r.status >= 500 && r.status != 503 {
				t.Errorf("%s %s with %s: %d: %.300s", one.method, one.template, what, r.status, r.text)
			}
		}
	}
}

func TestTheContentTypeOfJSONDoesNotMatter(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		if one.example == "" {
			continue
		}
		for _, mediaType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "/;;"} {
			if r := s.do(one.method, one.path, `[]`, as(admin.Access), header("Content-Type", mediaType)); r.status != 422 {
				t.Errorf("%s %s as %s: %d: %.300s", one.method, one.template, mediaType, r.status, r.text)
			}
		}
	}
}

func TestBadQueriesAreRefusedByEveryOperation(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		queries := []string{"x=%00", "x=a%ffb", "%ff=1"}
		for _, name := range one.numbers {
			for _, value := range []string{"-1", "abc", "1e3", "99999999999999999999", "0x10", "1.5", "%20"} {
				queries = append(queries, name+"="+value)
			}
		}
		for _, query := range queries {
			r := s.do(one.method, one.path+"?"+query, one.example, as(admin.Access))
			if r.status != 422 {
				t.Errorf("%s %s?%s: %d, want 422: %.300s", one.method, one.template, query, r.status, r.text)
			}
		}
	}
}

func TestUnknownAndRepeatedParametersChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		if one.method != http.MethodGet {
			continue
		}
		want := s.do("GET", one.path, "", as(admin.Access)).status
		queries := []string{"unknown=1", "unknown[]=1&unknown[]=2", "&&=&a", strings.Repeat("a=1&", 500)}
		for _, name := range one.numbers {
			queries = append(queries, name+"=1&"+name+"=2")
		}
		for _, query := range queries {
			if r := s.do("GET", one.path+"?"+query, "", as(admin.Access)); r.status != want {
				t.Errorf("%s?%.40s: %d, want %d: %.300s", one.template, query, r.status, want, r.text)
			}
		}
	}
}

func TestWhatIsNoIDIsNotFound(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	ids := []string{
		nobodysID, "nonsense", "0", "-1", "null", "%00", "%ff", "..%2f..%2fetc%2fpasswd", "%27%20OR%201=1--", "%F0%9F%92%A9",
		strings.Repeat("a", 4000), "{" + nobodysID + "}", "urn:uuid:" + nobodysID,
	}
	for _, one := range targets(t) {
		if one.template == one.path || one.form {
			continue
		}
		for _, id := range ids {
			path := inBraces.ReplaceAllLiteralString(one.template, id)
			r := s.do(one.method, path, one.example, as(admin.Access))
			// A path beside this one may be meant, or a parameter be missing.
			if r.status != 404 && r.status != 405 && r.status != 422 && r.status != 503 {
				t.Errorf("%s %.100s: %d, want 404: %.300s", one.method, path, r.status, r.text)
			}
		}
	}
}

func TestTheReplyAfterAHEADBeginsWhereItShould(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		if one.method != http.MethodGet {
			continue
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			fmt.Fprintf(conn, "HEAD %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", one.path, admin.Access)
		}
		replies := bufio.NewReader(conn)
		for n := range 2 {
			r, err := http.ReadResponse(replies, &http.Request{Method: http.MethodHead})
			if err != nil {
				t.Errorf("HEAD %s: reply %d: %v", one.template, n, err)
				break
			}
			_ = r.Body.Close()
			if r.Close {
				break
			}
		}
		_ = conn.Close()
	}
}

func TestPathsSayWhichMethodsTheyHave(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, one := range targets(t) {
		for _, method := range []string{"TRACE", "PROPFIND", "QUERY"} {
			r := s.do(method, one.path, "", as(admin.Access))
			if r.status != 405 || !strings.Contains(r.header.Get("Allow"), one.method) || r.at("error", "code") != "METHOD_NOT_ALLOWED" {
				t.Errorf("%s %s: %d, Allow %q, %.300s", method, one.template, r.status, r.header.Get("Allow"), r.text)
			}
		}
		r := s.do("OPTIONS", one.path, "")
		if r.status != 204 || r.text != "" || !strings.Contains(r.header.Get("Allow"), one.method) {
			t.Errorf("OPTIONS %s: %d, Allow %q, %.300s", one.template, r.status, r.header.Get("Allow"), r.text)
		}
		if one.method != http.MethodGet {
			continue
		}
		get, head := s.do("GET", one.path, "", as(admin.Access)), s.do("HEAD", one.path, "", as(admin.Access))
		if head.status != get.status || head.text != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d with %q, GET is %d", one.template, head.status, head.text, get.status)
		}
	}
	for _, method := range []string{"GET", "POST", "PROPFIND", "OPTIONS"} {
		if r := s.do(method, "/api/nowhere", "", as(admin.Access)); r.status != 404 || r.at("error", "code") != "NOT_FOUND" {
			t.Errorf("%s of an unknown path: %d: %s", method, r.status, r.text)
		}
	}
}
