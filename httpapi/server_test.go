package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/machine"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
	"github.com/voiceassist/backend/redis"
)

func TestMain(m *testing.M) {
	os.Exit(postgrestest.Main(m,
		// After a server has ended, fasthttp's cleaner sleeps for up to ten
		// seconds before it sees that; its clock runs for ever.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")))
}

const password = "correct horse battery"

// suite is a server on a real listener with real accounts and an in-memory
// library.
type suite struct {
	t        *testing.T
	url      string
	dbURL    string
	db       *postgres.DB
	accounts *accounts.Service
	mails    *mailbox
	library  *library
	log      *logBuffer
	client   *http.Client
	server   *httpapi.Server
	stop     context.CancelFunc // ends serving
	served   chan error         // what Serve returned; closed then
}

// logBuffer collects log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start runs a server until the test ends. Each of change may change its
// options.
func start(t *testing.T, change ...func(*httpapi.Options)) *suite {
	t.Helper()
	return startWith(t, func(*accounts.Options) {}, change...)
}

// startWith is start with other options of the accounts.
func startWith(t *testing.T, people func(*accounts.Options), change ...func(*httpapi.Options)) *suite {
	t.Helper()
	url := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	mails := &mailbox{}
	ao := accounts.Options{
		Secrets: []string{strings.Repeat("s", 32)}, Registration: accounts.Open, Mailer: mails, PublicURL: "https://app.example.org/",
		HashCost: accounts.Cost{Memory: 8, Passes: 1}, // no test here is about hashing
	}
	people(&ao)
	service, err := accounts.New(db, ao)
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{t: t, dbURL: url, db: db, accounts: service, mails: mails, library: newLibrary(), log: &logBuffer{}}
	o := httpapi.Options{
		Log:      slog.New(slog.NewJSONHandler(s.log, nil)),
		Registry: prometheus.NewRegistry(),
		Accounts: service,
		Library:  s.library,
		Ledger:   s.library,
		Batches:  db,
		Searcher: s.library,
		Chats:    db,
		Users:    db,
		Figures:  db,

		Undelete: db,
		Verifier: db,

		EraseAfter: time.Hour,
		Audit:      db,
		Machine:    machine.New(),
		Folders:    db,
		Shares:     db,
		Secrets:    service,
		Files:      newFiles(t, db),
		FileRows:   db,
		Clinical:   db,
		Reports:    db,
		Settings:   db,
		Auditor:    db,
	}
	for _, f := range change {
		f(&o)
	}
	s.serve(httpapi.New(o))
	return s
}

func (s *suite) serve(server *httpapi.Server) {
	s.t.Helper()
	ln, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.url, s.server = "http://"+ln.Addr().String(), server
	s.client = &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	s.stop, s.served = stop, make(chan error, 1)
	go func() {
		defer close(s.served)
		s.served <- server.Serve(ctx, ln)
	}()
	s.t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		if err := <-s.served; err != nil {
			s.t.Errorf("Serve: %v", err)
		}
	})
}

// withLimits adds rate limits kept in a miniredis.
func withLimits(t *testing.T) func(*httpapi.Options) {
	t.Helper()
	c, err := redis.Open(t.Context(), "redis://"+miniredis.RunT(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return func(o *httpapi.Options) { o.Limits, o.Rates = c.NewLimits(o.Log, nil), httpapi.DefaultRates }
}

// response is a reply that has been read.
type response struct {
	status int
	header http.Header
	text   string
	json   map[string]any // nil unless the body is an object
}

// header returns a modifier of requests.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func as(token string) func(*http.Request) { return header("Authorization", "Bearer "+token) }

// do makes a request; a body that is not "" is JSON unless a header says
// otherwise.
func (s *suite) do(method, path, body string, with ...func(*http.Request)) response {
	s.t.Helper()
	return s.send(method, path, strings.NewReader(body), with...)
}

func (s *suite) send(method, path string, body io.Reader, with ...func(*http.Request)) response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range with {
		f(req)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: read the reply: %v", method, path, err)
	}
	r := response{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r.json)
	if err := theDocument(s.t).check(method, req.URL.Path, r.status, r.header, r.text); err != nil {
		s.t.Errorf("%s %s is not as the OpenAPI document says: %v\n%.2000s", method, req.URL.Path, err, r.text)
	}
	return r
}

// want stops the test unless the reply has this status.
func (s *suite) want(status int, r response) response {
	s.t.Helper()
	if r.status != status {
		s.t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	return r
}

// at walks into the body: at("data", "user", "email").
func (r response) at(path ...string) any {
	var v any = r.json
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// signIn registers a user of a role and returns their tokens.
func (s *suite) signIn(role voiceassist.Role) voiceassist.SignIn {
	s.t.Helper()
	email := string(role) + "@example.org"
	ctx := s.t.Context()
	if role == voiceassist.RoleAdmin {
		if _, _, err := s.accounts.CreateAdmin(ctx, email, password); err != nil {
			s.t.Fatal(err)
		}
		in, err := s.accounts.Login(ctx, email, password)
		if err != nil {
			s.t.Fatal(err)
		}
		return in
	}
	in, err := s.accounts.Register(ctx, voiceassist.Registration{Email: email, Password: password, FullName: "Test " + string(role)})
	if err != nil {
		s.t.Fatal(err)
	}
	if role == voiceassist.RoleViewer {
		s.setRole(in, role)
	}
	return in
}

// setRole changes a user's role behind the server's back.
func (s *suite) setRole(in voiceassist.SignIn, role voiceassist.Role) {
	s.t.Helper()
	s.sql(`UPDATE users SET role = $2 WHERE id = $1`, in.User.ID, role)
}

// scan reads the one value that a query selects.
func (s *suite) scan(value any, query string, args ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.dbURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	if err := conn.QueryRow(s.t.Context(), query, args...).Scan(value); err != nil {
		s.t.Fatal(err)
	}
}

// count returns the number that a query selects.
func (s *suite) count(query string, args ...any) (n int) {
	s.t.Helper()
	s.scan(&n, query, args...)
	return n
}

func (s *suite) sql(statement string, args ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.dbURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	if _, err := conn.Exec(s.t.Context(), statement, args...); err != nil {
		s.t.Fatal(err)
	}
}
