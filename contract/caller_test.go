package contract_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

// transport keeps connections between the requests of all tests.
var transport = &http.Transport{MaxIdleConnsPerHost: 16}

var browserless = &http.Client{
	Transport:     transport,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// reply is a reply that has been read.
type reply struct {
	status int
	header http.Header
	text   string
	json   any // nil if the body is not JSON
}

// data is what stands in the envelope.
func (r reply) data() any {
	object, _ := r.json.(map[string]any)
	return object["data"]
}

// field returns a string member of the data, found by the names of its way.
func (r reply) field(way ...string) string {
	v := r.data()
	for _, name := range way {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	s, _ := v.(string)
	return s
}

// send makes a request; a body that begins with "form:" is sent as a form.
func send(t *testing.T, method, path, body, token string) reply {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	contentType := ""
	switch {
	case strings.HasPrefix(body, "form:"):
		r, contentType = form(t, strings.TrimPrefix(body, "form:"))
	case body != "":
		contentType = "application/json"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, system+path, r)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := browserless.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := reply{status: res.StatusCode, header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return out // it has no end
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		t.Fatal(err)
	}
	out.text = string(b)
	_ = json.Unmarshal(b, &out.json) // not all replies are JSON
	return out
}

// must makes a request that has to succeed.
func must(t *testing.T, method, path, body, token string) reply {
	t.Helper()
	r := send(t, method, path, body, token)
	if r.status >= 300 {
		t.Fatalf("%s %s = %d %s", method, path, r.status, r.text)
	}
	return r
}

// form makes a multipart body of "name=value" and "name=@filename:content"
// fields, separated by "&".
func form(t *testing.T, fields string) (body io.Reader, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for field := range strings.SplitSeq(fields, "&") {
		name, value, _ := strings.Cut(field, "=")
		filename, isFile := strings.CutPrefix(value, "@")
		var err error
		if isFile {
			filename, value, _ = strings.Cut(filename, ":")
			header := textproto.MIMEHeader{}
			header.Set("Content-Disposition", `form-data; name="`+name+`"; filename="`+filename+`"`)
			header.Set("Content-Type", "application/octet-stream")
			var part io.Writer
			part, err = w.CreatePart(header)
			if err == nil {
				_, err = io.WriteString(part, value)
			}
		} else {
			err = w.WriteField(name, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf, w.FormDataContentType()
}

// nonce is a word like no other.
func nonce() string { return "w" + strings.ToLower(rand.Text()[:12]) }
