package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
)

// inProcess reads files without a child process, but PDF, which it fails at.
type inProcess map[string]voiceassist.TextEngine

func (p inProcess) Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	if mediaType == voiceassist.MediaPDF {
		return voiceassist.FileInfo{}, "", voiceassist.Fail(voiceassist.ReasonEncrypted, "The file is encrypted.")
	}
	info, err := p[mediaType].Extract(ctx, path, pages, emit)
	return info, p[mediaType].Name(), err
}

func (p inProcess) Engines(context.Context) (map[string]string, error) {
	names := map[string]string{voiceassist.MediaPDF: "pdf/1"}
	for mediaType, engine := range p {
		names[mediaType] = engine.Name()
	}
	return names, nil
}

// newFiles returns a store of users' files in memory.
func newFiles(t *testing.T, db *postgres.DB) *pipeline.Files {
	t.Helper()
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = bucket.Close() })
	return &pipeline.Files{
		Ledger: db, Blobs: bucket, Reader: inProcess(extract.Engines()), Quota: 20 << 20, TempDir: t.TempDir(),
		Log: slog.New(slog.DiscardHandler),
	}
}

// blobs returns how many files the bucket holds.
func blobs(t *testing.T, bucket *blob.Bucket) (n int) {
	t.Helper()
	it := bucket.List(nil)
	for {
		if _, err := it.Next(t.Context()); err != nil {
			return n
		}
		n++
	}
}

// files is a server with the store of its files, and a user.
func startFiles(t *testing.T) (*suite, *pipeline.Files, voiceassist.SignIn) {
	t.Helper()
	var store *pipeline.Files
	a := &assistant{}
	s := start(t, func(o *httpapi.Options) {
		store = o.Files.(*pipeline.Files)
		a.db, o.Assistant = o.Chats.(*postgres.DB), a
	})
	return s, store, s.signIn(voiceassist.RoleUser)
}

// stranger registers one more user.
func (s *suite) stranger() string {
	s.t.Helper()
	in, err := s.accounts.Register(s.t.Context(), voiceassist.Registration{Email: uuid.NewString() + "@example.org", Password: password, FullName: "O"})
	if err != nil {
		s.t.Fatal(err)
	}
	return in.Tokens.Access
}

func (s *suite) mustKeep(token, name, content string) response {
	s.t.Helper()
	return s.want(201, s.upload(token, "/api/files/upload", part{"file", name, content}))
}

func TestFileIsUploadedReadAndDeletedByItsOwner(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	token := in.Tokens.Access
	kept := s.mustKeep(token, "../Lab “März”.txt", "Creatinine is 2.1 mg/dl.")
	id, url := kept.at("id").(string), kept.at("url").(string)
	if kept.at("filename") != "Lab “März”.txt" || kept.at("size") != 24.0 || kept.at("mime_type") != "text/plain" || kept.at("fileSize") != 24.0 ||
		kept.at("text_status") != "extracted" || url != "/api/files/"+id {
		t.Errorf("kept is %s", kept.text)
	}
	got := s.want(200, s.do("GET", url, "", as(token)))
	if got.text != "Creatinine is 2.1 mg/dl." || got.header.Get("Content-Type") != "text/plain" || got.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment;") || strings.Contains(got.header.Get("Content-Disposition"), "..") {
		t.Errorf("downloaded is %q with %v", got.text, got.header)
	}
	s.want(200, s.do("GET", url, "", header("Cookie", "va_session="+in.Tokens.Cookie)))
	s.want(401, s.do("GET", url, ""))
	s.want(401, s.do("DELETE", url, "", header("Cookie", "va_session="+in.Tokens.Cookie)))

	stranger := s.stranger()
	s.want(404, s.do("GET", url, "", as(stranger)))
	s.want(404, s.do("DELETE", url, "", as(stranger)))
	s.want(404, s.do("GET", "/api/files/nonsense", "", as(token)))
	s.want(404, s.do("DELETE", "/api/files/"+uuid.NewString(), "", as(token)))

	s.want(200, s.do("DELETE", url, "", as(token)))
	s.want(404, s.do("GET", url, "", as(token)))
	s.want(404, s.do("DELETE", url, "", as(token)))
	if n := blobs(t, store.Blobs); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE resource_id = $1 AND user_id = $2 AND action IN ('file.uploaded', 'file.deleted')`, id, in.User.ID); n != 2 {
		t.Errorf("%d audit entries, want 2", n)
	}
}

func TestAdministratorReadsAFileOfAUserAndIsAudited(t *testing.T) {
	t.Parallel()
	s, _, in := startFiles(t)
	kept := s.mustKeep(in.Tokens.Access, "a.txt", "Text.")
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	url := kept.at("url").(string)
	s.want(200, s.do("GET", url, "", as(admin.Tokens.Access)))
	s.want(404, s.do("GET", url, "", as(viewer.Tokens.Access)))
	s.want(404, s.do("DELETE", url, "", as(admin.Tokens.Access)))
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = 'file.read' AND user_id = $1 AND resource_id = $2`, admin.User.ID, kept.at("id")); n != 1 {
		t.Errorf("%d audit entries of reading, want 1", n)
	}
}

func TestRangesOfAFileAreSent(t *testing.T) {
	t.Parallel()
	s, _, in := startFiles(t)
	url := s.mustKeep(in.Tokens.Access, "a.txt", "0123456789").at("url").(string)
	for asked, want := range map[string]struct {
		status     int
		text, span string
	}{
		"bytes=2-4":     {206, "234", "bytes 2-4/10"},
		"bytes=7-":      {206, "789", "bytes 7-9/10"},
		"bytes=-3":      {206, "789", "bytes 7-9/10"},
		"bytes=0-99":    {206, "0123456789", "bytes 0-9/10"},
		"bytes=0-1,4-5": {200, "0123456789", ""},
		"pages=1-2":     {200, "0123456789", ""},
		"nonsense":      {200, "0123456789", ""},
		"bytes=10-":     {416, "", "bytes */10"},
	} {
		got := s.want(want.status, s.do("GET", url, "", as(in.Tokens.Access), header("Range", asked)))
		if got.header.Get("Content-Range") != want.span || want.status < 300 && got.text != want.text {
			t.Errorf("%s: %q with %v", asked, got.text, got.header)
		}
	}
}

func TestWhatHasNoTextIsKeptAndSaysWhy(t *testing.T) {
	t.Parallel()
	s, _, in := startFiles(t)
	for name, want := range map[string]struct{ content, status, mime string }{
		"picture.png": {"\x89PNG\r\n\x1a\n\x00\x00\x00", "unsupported", "image/png"},
		"blank.txt":   {"   \n \n", "no_text", "text/plain"},
		"locked.pdf":  {"%PDF-1.7 …", "failed", "application/pdf"},
		"page.html":   {"<html><script>alert(1)</script><p>Hello.</p></html>", "extracted", "text/html"},
		"binary.bin":  {"\x00\x01\x02\x03", "unsupported", "application/octet-stream"},
	} {
		kept := s.mustKeep(in.Tokens.Access, name, want.content)
		if kept.at("text_status") != want.status || kept.at("mime_type") != want.mime || (kept.at("text_reason") == nil) != (want.status == "extracted") {
			t.Errorf("%s: %s", name, kept.text)
		}
	}
	long := s.mustKeep(in.Tokens.Access, "long.txt", strings.Repeat("wörd ", 50_000))
	if long.at("text_truncated") != true || s.count(`SELECT char_length(text) FROM files WHERE id = $1`, long.at("id")) > voiceassist.MaxFileText {
		t.Errorf("the long one is %s", long.text)
	}
}

func TestBadUploadsOfFilesLeaveNothing(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	token := in.Tokens.Access
	s.want(422, s.upload(token, "/api/files/upload", part{"file", "a.txt", ""}))
	s.want(422, s.upload(token, "/api/files/upload", part{"title", "", "x"}))
	s.want(422, s.upload(token, "/api/files/upload", part{"file", "a.txt", "a"}, part{"file", "b.txt", "b"}))
	s.want(422, s.do("POST", "/api/files/upload", `{}`, as(token)))
	s.want(401, s.upload("nonsense", "/api/files/upload", part{"file", "a.txt", "a"}))
	body, contentType := form(t, part{"file", "a.txt", "some text"})
	s.want(400, s.do("POST", "/api/files/upload", body[:len(body)-12], as(token), header("Content-Type", contentType)))

	s.sql(`ALTER TABLE files ADD CHECK (filename <> 'refused.txt')`)
	s.want(500, s.upload(token, "/api/files/upload", part{"file", "refused.txt", "a"}))
	if n := blobs(t, store.Blobs); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestFilesOfAUserHaveAQuota(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	store.Quota = 1 << 20
	token := in.Tokens.Access
	half := strings.Repeat("word ", 120_000)
	first := s.mustKeep(token, "a.txt", half)
	refused := s.want(413, s.upload(token, "/api/files/upload", part{"file", "b.txt", half}))
	if !strings.Contains(fmt.Sprint(refused.at("detail")), "1 MB") {
		t.Errorf("told is %s", refused.text)
	}
	if n := blobs(t, store.Blobs); n != 1 {
		t.Errorf("%d blobs, want 1", n)
	}
	s.mustKeep(s.stranger(), "b.txt", half)
	s.want(200, s.do("DELETE", first.at("url").(string), "", as(token)))
	s.mustKeep(token, "b.txt", half)
}

func TestFileLargerThanTheCeilingIsToldSo(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	body, _ := bigForm(102 << 20)
	r := s.send("POST", "/api/files/upload", body, as(in.Tokens.Access), header("Content-Type", "multipart/form-data; boundary=frontier"))
	if s.want(http.StatusRequestEntityTooLarge, r).at("error", "code") != "PAYLOAD_TOO_LARGE" || blobs(t, store.Blobs) != 0 {
		t.Errorf("told is %s", r.text)
	}
}
