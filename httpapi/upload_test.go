package httpapi_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// part is a piece of a form; a file if it has a filename.
type part struct{ name, filename, value string }

// form returns a multipart body and its content type.
func form(t *testing.T, parts ...part) (body, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range parts {
		var field io.Writer
		var err error
		if p.filename != "" {
			field, err = w.CreateFormFile(p.name, p.filename)
		} else {
			field, err = w.CreateFormField(p.name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(field, p.value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String(), w.FormDataContentType()
}

func (s *suite) upload(token, path string, parts ...part) response {
	s.t.Helper()
	body, contentType := form(s.t, parts...)
	return s.do("POST", path, body, as(token), header("Content-Type", contentType))
}

func (s *suite) mustUpload(token, filename, content string) response {
	s.t.Helper()
	return s.want(202, s.upload(token, "/api/admin/kb/documents", part{"file", filename, content}))
}

func TestUploadTakesFieldsInAnyOrderAndFromTheQuery(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for i, parts := range [][]part{
		{{"title", "", "Guide"}, {"source_type", "", "guideline"}, {"file", "a.txt", "first"}},
		{{"file", "a.txt", "second"}, {"title", "", "Guide"}, {"source_type", "", "guideline"}},
		{{"title", "", "Guide"}, {"file", "a.txt", "third"}, {"sourceType", "", "guideline"}, {"unknown", "", "ignored"}},
	} {
		r := s.want(202, s.upload(admin.Access, "/api/admin/kb/upload", parts...))
		if r.at("title") != "Guide" || r.at("source") != "guideline" || r.at("filename") != "a.txt" || r.at("job_id") == nil ||
			r.at("document_id") != r.at("id") || r.at("documentId") != r.at("id") || r.at("ok") != true || r.at("duplicate") != false {
			t.Errorf("form %d: %s", i+1, r.text)
		}
	}
	r := s.want(202, s.upload(admin.Access, "/kb/documents?title=Asked&source_type=note", part{"file", "a.txt", "fourth"}))
	if r.at("title") != "Asked" || r.at("source") != "note" {
		t.Errorf("fields in the query: %s", r.text)
	}
	again := s.want(202, s.upload(admin.Access, "/kb/documents", part{"file", "b.txt", "fourth"}))
	if again.at("duplicate") != true || again.at("id") != r.at("id") || again.at("job_id") != nil {
		t.Errorf("the same bytes again: %s", again.text)
	}
}

func TestUploadsAreRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for name, c := range map[string]struct {
		parts  []part
		status int
	}{
		"no file":        {[]part{{"title", "", "Guide"}}, 422},
		"two files":      {[]part{{"file", "a.txt", "one"}, {"file", "b.txt", "two"}}, 422},
		"empty file":     {[]part{{"file", "a.txt", ""}}, 422},
		"unread type":    {[]part{{"file", "a.exe", "MZ\x90\x00"}}, 415},
		"endless field":  {[]part{{"title", "", strings.Repeat("x", 65<<10)}, {"file", "a.txt", "one"}}, 422},
		"field too late": {[]part{{"file", "a.txt", "one"}, {"title", "", strings.Repeat("x", 65<<10)}}, 422},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.want(c.status, s.upload(admin.Access, "/api/admin/kb/documents", c.parts...))
			if r.at("detail") == nil {
				t.Errorf("no detail: %s", r.text)
			}
		})
	}
	body, contentType := form(t, part{"file", "a.txt", strings.Repeat("x", 100)})
	send := func(body, contentType string) response {
		return s.do("POST", "/api/admin/kb/documents", body, as(admin.Access), header("Content-Type", contentType))
	}
	s.want(400, send(body[:len(body)-20], contentType))
	s.want(400, send(body[:120], contentType))
	s.want(400, send("nothing of the kind", contentType))
	s.want(400, send(body, "multipart/form-data"))
	s.want(422, send(`{"file":"a.txt"}`, "application/json"))
	if n := s.library.uncommitted(); n != 0 {
		t.Errorf("%d received files were neither committed nor discarded", n)
	}
	s.library.refuse = voiceassist.Errorf(voiceassist.Unavailable, "the database cannot take this now")
	if r := s.want(503, send(body, contentType)); r.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if n := s.library.uncommitted(); n != 0 {
		t.Errorf("%d received files were left after a failed commit", n)
	}
}

func TestOnlyAdminsUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	parts := part{"file", "a.txt", "one"}
	s.want(403, s.upload(s.signIn(voiceassist.RoleViewer).Access, "/api/admin/kb/documents", parts))
	s.want(403, s.upload(s.signIn(voiceassist.RoleUser).Access, "/kb/documents", parts))
	s.want(401, s.upload("nonsense", "/api/admin/kb/upload", parts))
}

// filler is n bytes that nobody holds in memory.
func filler(n int64) io.Reader { return io.LimitReader(zeros{}, n) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// bigForm is a form with a file of n bytes, and its length.
func bigForm(n int64) (body io.Reader, length int64) {
	head := "--frontier\r\nContent-Disposition: form-data; name=\"file\"; filename=\"big.txt\"\r\n\r\n"
	const tail = "\r\n--frontier--\r\n"
	return io.MultiReader(strings.NewReader(head), filler(n), strings.NewReader(tail)), int64(len(head)) + n + int64(len(tail))
}

func (s *suite) uploadBig(token string, n int64, chunked bool) response {
	s.t.Helper()
	body, length := bigForm(n)
	return s.send("POST", "/api/admin/kb/documents", body, as(token), header("Content-Type", "multipart/form-data; boundary=frontier"),
		func(r *http.Request) {
			if !chunked {
				r.ContentLength = length
			}
		})
}

func TestALargeUploadIsNotHeldInMemory(t *testing.T) {
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	s.want(202, s.uploadBig(admin.Access, 1<<20, false)) // what is only needed once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := s.want(202, s.uploadBig(admin.Access, 45<<20, false))
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 20<<20 { // the race detector doubles what is 4 MB
		t.Errorf("an upload of 45 MB allocated %d MB", allocated>>20)
	}
	id := r.at("document_id").(string)
	if d := s.do("GET", "/api/admin/kb/documents/"+id, "", as(admin.Access)); d.at("size") != float64(45<<20) {
		t.Errorf("size = %v", d.at("size"))
	}
	s.want(202, s.uploadBig(admin.Access, 3<<20, true))
}

func TestAnOversizedUploadIsToldSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, user := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleUser)
	for _, chunked := range []bool{false, true} {
		for _, size := range []int64{50<<20 + 1, 60 << 20} {
			r := s.want(413, s.uploadBig(admin.Access, size, chunked))
			if r.at("error", "code") != "PAYLOAD_TOO_LARGE" {
				t.Errorf("chunked %t: %s", chunked, r.text)
			}
		}
		// Refused by its header, and still hears why while it sends.
		s.want(403, s.uploadBig(user.Access, 20<<20, chunked))
	}
	s.want(200, s.do("GET", "/api/auth/me", "", as(user.Access)))
}

func TestAnUnreadBodyIsNotTakenForTheNextRequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	smuggled := "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
	for range 3 {
		s.want(401, s.do("POST", "/api/admin/kb/documents", strings.Repeat(smuggled, 500)))
		r := s.want(404, s.do("GET", "/api/nothing", ""))
		if r.at("error", "code") != "NOT_FOUND" {
			t.Errorf("reply = %s", r.text)
		}
	}
}

func TestUploadsWaitForTheirTurnAndThenGiveUp(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) { o.MaxUploads, o.BusyWait = 1, 50*time.Millisecond })
	admin := s.signIn(voiceassist.RoleAdmin)
	s.library.receipts = make(chan struct{})
	var wg sync.WaitGroup
	statuses := make(chan int, 2)
	for i := range 2 {
		wg.Go(func() {
			statuses <- s.upload(admin.Access, "/kb/documents", part{"file", "a.txt", strconv.Itoa(i)}).status
		})
	}
	if first := <-statuses; first != 503 {
		t.Errorf("the upload that found no slot got %d", first)
	}
	s.library.receipts <- struct{}{}
	if second := <-statuses; second != 202 {
		t.Errorf("the upload that had the slot got %d", second)
	}
	wg.Wait()
}

func TestRequestsUnderWayEndBeforeServingDoes(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	s.library.receipts = make(chan struct{})
	uploaded := make(chan int, 1)
	go func() { uploaded <- s.upload(admin.Access, "/kb/documents", part{"file", "a.txt", "one"}).status }()
	s.library.receipts <- struct{}{} // the handler is at work
	s.stop()
	if status := <-uploaded; status != 202 {
		t.Errorf("the upload under way got %d", status)
	}
	if err := <-s.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		conn.Close()
		t.Error("a connection was taken after serving had ended")
	}
}
