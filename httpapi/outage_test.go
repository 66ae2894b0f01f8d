package httpapi_test

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
)

// smallDisk is a blob store with room for so many bytes. Bytes of blobs that
// are being written take room as well, as they do on a disk.
type smallDisk struct {
	driver.Bucket // what no test calls

	mu    sync.Mutex
	room  int
	blobs map[string]int // sizes
}

func (d *smallDisk) take(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n > d.room {
		return syscall.ENOSPC
	}
	d.room -= n
	return nil
}

// figures returns how many blobs there are, and how much room is left.
func (d *smallDisk) figures() (blobs, room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.blobs), d.room
}

func (d *smallDisk) NewTypedWriter(ctx context.Context, key, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return &diskWriter{ctx: ctx, disk: d, key: key}, nil
}

func (d *smallDisk) ErrorCode(error) gcerrors.ErrorCode { return gcerrors.Unknown }
func (d *smallDisk) Close() error                       { return nil }

// diskWriter is an unfinished blob. Like those of real stores it vanishes when
// its context has ended.
type diskWriter struct {
	ctx  context.Context //nolint:containedctx // its end is what Close asks for
	disk *smallDisk
	key  string
	size int
}

func (w *diskWriter) Write(p []byte) (int, error) {
	if err := w.disk.take(len(p)); err != nil {
		return 0, err
	}
	w.size += len(p)
	return len(p), nil
}

func (w *diskWriter) Close() error {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	if err := w.ctx.Err(); err != nil {
		w.disk.room += w.size
		return err
	}
	w.disk.blobs[w.key] = w.size
	return nil
}

func TestFullDiskRefusesUploadsAndLosesNothing(t *testing.T) {
	t.Parallel()
	disk := &smallDisk{room: 100 << 10, blobs: map[string]int{}}
	bucket := blob.NewBucket(disk)
	s := start(t, func(o *httpapi.Options) {
		db := o.Chats.(*postgres.DB)
		o.Library = &pipeline.Intake{Ledger: db, Blobs: bucket, Log: o.Log}
		o.Files = &pipeline.Files{Ledger: db, Blobs: bucket, Log: o.Log}
	})
	t.Cleanup(func() { _ = bucket.Close() })
	admin := s.signIn(voiceassist.RoleAdmin).Tokens.Access
	big := strings.Repeat("word ", 40<<10)
	for _, path := range []string{"/api/files/upload", "/api/admin/kb/documents"} {
		r := s.want(503, s.upload(admin, path, part{"file", "big.txt", big}))
		if r.header.Get("Retry-After") != "60" || r.at("error", "code") != "SERVICE_UNAVAILABLE" || r.at("detail") != "the file store is full" {
			t.Errorf("%s: %s with %v", path, r.text, r.header)
		}
	}
	rows := s.count(`SELECT (SELECT count(*) FROM files) + (SELECT count(*) FROM documents)`)
	if held, room := disk.figures(); rows != 0 || held != 0 || room != 100<<10 {
		t.Errorf("%d rows and %d blobs are left, %d bytes free", rows, held, room)
	}
	// What fits is taken, and reading goes on.
	s.want(201, s.upload(admin, "/api/files/upload", part{"file", "small.txt", "word"}))
	s.want(202, s.upload(admin, "/api/admin/kb/documents", part{"file", "small.txt", "word"}))
	s.want(200, s.do("GET", "/api/auth/me", "", as(admin)))
}

// readOnly returns a second server on the suite's database, whose connections
// may only read, with the bytes of the first one's files.
func (s *suite) readOnly(files *pipeline.Files) *suite {
	s.t.Helper()
	address, err := url.Parse(s.dbURL)
	if err != nil {
		s.t.Fatal(err)
	}
	query := address.Query()
	query.Set("default_transaction_read_only", "on")
	address.RawQuery = query.Encode()
	db, err := postgres.Open(s.t.Context(), address.String(), postgres.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(db.Close)
	people, err := accounts.New(db, accounts.Options{
		Secrets: []string{strings.Repeat("s", 32)}, Registration: accounts.Open, HashCost: accounts.Cost{Memory: 8, Passes: 1},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	second := *s
	second.log = &logBuffer{}
	log := slog.New(slog.NewJSONHandler(second.log, nil))
	kept := &pipeline.Files{Ledger: db, Blobs: files.Blobs, Reader: files.Reader, Quota: files.Quota, TempDir: files.TempDir, Log: log}
	second.serve(httpapi.New(httpapi.Options{
		Log: log, Registry: prometheus.NewRegistry(), Accounts: people,
		Ledger: db, Library: &pipeline.Intake{Ledger: db, Blobs: files.Blobs, Log: log}, Searcher: s.library,
		Assistant: &assistant{db: db}, Chats: db, Files: kept, FileRows: db, Clinical: db, Reports: db, Settings: db,
	}))
	return &second
}

func TestReadOnlyDatabaseRefusesWritesWhileReadsWork(t *testing.T) {
	t.Parallel()
	s, store, in := startFiles(t)
	conversation, message := s.question(in)
	file := s.mustKeep(in.Tokens.Access, "a.txt", "One.").at("id").(string)
	facts := s.want(201, s.do("POST", "/api/clinical-contexts", `{"age":67}`, as(in.Tokens.Access))).at("id").(string)
	admin := s.signIn(voiceassist.RoleAdmin).Tokens.Access
	before := blobs(t, store.Blobs)

	ro := s.readOnly(store)
	user := in.Tokens.Access
	for _, path := range []string{
		"/api/auth/me", "/api/conversations", "/api/conversations/" + conversation + "/messages", "/api/files/" + file,
		"/api/messages/" + message + "/attachments", "/api/clinical-contexts/" + facts, "/api/clinical-presets", "/api/kb/documents",
	} {
		ro.want(200, ro.do("GET", path, "", as(user)))
	}
	ro.want(200, ro.do("GET", "/api/admin/system/retention", "", as(admin)))
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/conversations", "{}"},
		{"PATCH", "/api/conversations/" + conversation, `{"title":"x"}`},
		{"DELETE", "/api/conversations/" + conversation, ""},
		{"DELETE", "/api/files/" + file, ""},
		{"POST", "/api/messages/" + message + "/attachments", `{"file_id":"` + file + `"}`},
		{"POST", "/api/clinical-contexts", `{"age":3}`},
		{"PUT", "/api/clinical-contexts/" + facts, `{"age":3}`},
		{"POST", "/api/clinical-presets", `{"name":"x","context":{}}`},
		{"POST", "/api/auth/login", `{"email":"user@example.org","password":"` + password + `"}`},
	} {
		if r := ro.want(503, ro.do(c.method, c.path, c.body, as(user))); r.header.Get("Retry-After") == "" {
			t.Errorf("%s %s without Retry-After", c.method, c.path)
		}
	}
	ro.want(503, ro.do("PUT", "/api/admin/system/retention", `{"files_days":1}`, as(admin)))
	ro.want(503, ro.upload(user, "/api/files/upload", part{"file", "b.txt", "Two."}))
	ro.want(503, ro.upload(user, "/api/messages/"+message+"/attachments", part{"file", "b.txt", "Two."}))
	ro.want(503, ro.upload(admin, "/api/admin/kb/documents", part{"file", "b.txt", "Two."}))
	k := ro.connect(in)
	k.send(`{"type":"message_send","content":"Why?"}`)
	if e := k.want("error"); e.text("code") != "BACKEND_ERROR" {
		t.Errorf("a question: %v", e)
	}
	if n := blobs(t, store.Blobs); n != before {
		t.Errorf("%d blobs, want %d", n, before)
	}
	// Nothing was lost: the first server goes on.
	s.want(200, s.do("DELETE", "/api/files/"+file, "", as(user)))
	if m, err := uuid.Parse(message); err != nil || s.count(`SELECT count(*) FROM messages WHERE id = $1`, m) != 1 {
		t.Error("the question is gone")
	}
}
