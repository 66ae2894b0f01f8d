package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// Options are what a Server is made of.
type Options struct {
	Log      *slog.Logger
	Registry *prometheus.Registry // for our metrics, and what /metrics shows

	Accounts Accounts
	Ledger   Ledger
	Library  Library
	Searcher Searcher

	Undelete       Undelete
	UndeleteWindow time.Duration // how long a deleted document can be brought back; 0: not at all
	Verifier       Verifier

	Batches      Batches
	CheckWebhook func(url string) error // whether a webhook can ever be sent there; nil: none can be signed
	MailReady    func() error           // whether mails can be sent; nil: they can

	Users      Users
	Figures    Figures
	EraseAfter time.Duration // how long a deleted user can be taken back

	Assistant Assistant // nil: the chat sockets are unavailable
	Chats     Chats
	Folders   Folders
	Shares    Shares
	Secrets   Secrets // hashes the passwords of shares

	Files    Files
	FileRows FileRows
	Clinical Clinical
	Reports  Reports
	Settings Settings

	Flags    Flags        // nil: no feature flags, and everything that has one is on
	Bus      Bus          // nil: there is no other API process
	Presence Presence     // nil: likewise
	Activity Activity     // nil: the panels are told less
	Pools    func() Pools // nil: no figures of connections

	Cache   Cache   // nil: the routes of the cache are unavailable
	Auditor Auditor // what is not written with a change of the ledger goes here

	Limits Limits       // nil: no rate limits
	JobsUI http.Handler // what /api/admin/jobs/ shows to admins; nil: not found

	Audit    Audit
	Machine  Machine
	Services []Service // that /api/admin/services/status asks

	// Backlogs are what each queue has to do.
	Backlogs func(context.Context) (map[voiceassist.Queue]voiceassist.Backlog, error)

	// IndexFigures are shown among the statistics; nil: none are.
	IndexFigures func(context.Context) (IndexFigures, error)

	// Checks are the dependencies that /ready asks, by name. Those in Optional
	// are shown and do not make the process unready.
	Checks   map[string]func(context.Context) error
	Optional []string

	Rates          Rates          // DefaultRates are the contract's; those left zero limit nothing
	CORSOrigins    []string       // web apps that may call; nil: DefaultOrigins
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and -Proto are believed
	SecureCookies  bool           // cookies only over https, whatever the request looks like
	MaxUploadBytes int64          // of one document; 0 is voiceassist.MaxUploadSize
	MaxUploads     int            // documents received at the same time, and files; 0 is 16
	MaxSearches    int            // answered at the same time; 0 is 32
	BusyWait       time.Duration  // how long an upload or a search waits for its turn; 0 is 10 s
	SocketWait     time.Duration  // how long a socket waits for its token, and for its client to take a frame; 0 is 10 s
	PanelEvery     time.Duration  // how often the admin panels get figures; 0 is 10 s
}

// Auditor is what this package asks of postgres.DB to note what happened besides
// changes of the ledger.
type Auditor interface {
	Audit(ctx context.Context, e voiceassist.AuditEntry) error
}

// withDefaults fills in what was left to us.
func (o Options) withDefaults() Options {
	if o.CORSOrigins == nil {
		o.CORSOrigins = DefaultOrigins
	}
	o.MaxUploadBytes = cmp.Or(o.MaxUploadBytes, voiceassist.MaxUploadSize)
	o.MaxUploads = cmp.Or(o.MaxUploads, 16)
	o.MaxSearches = cmp.Or(o.MaxSearches, 32)
	o.BusyWait = cmp.Or(o.BusyWait, 10*time.Second)
	o.SocketWait = cmp.Or(o.SocketWait, 10*time.Second)
	o.PanelEvery = cmp.Or(o.PanelEvery, panelMetricsEvery)
	return o
}

// Server serves the API. Create it with New.
type Server struct {
	o       Options
	started time.Time
	app     *fiber.App
	api     huma.API
	metrics *metrics

	described []described         // every route, in the order of routes.go
	fixed     map[string][]string // the methods of paths without parameters

	uploads  *gate // of documents
	files    *gate // of users' files, which wait for their text: documents never wait for them
	searches *gate
	audits   *gate
	readings *readings
	probes   *probes
	exports  *gate
	hub      *hub
	news     *news
	sockets  *sockets
	panels   *panels

	// base is the context of all handlers. It outlives the context of Serve by
	// the time that requests under way are given to end.
	base context.Context //nolint:containedctx // the counterpart of http.Server.BaseContext
	stop context.CancelFunc
}

// Timeouts of connections. Reading covers a request's header and a small body;
// uploads move their own deadline as bytes arrive. Writing is long enough for
// the largest download over a slow line.
const (
	readTimeout    = 20 * time.Second
	writeTimeout   = 10 * time.Minute
	idleTimeout    = 75 * time.Second
	requestTimeout = 30 * time.Second // of handlers that answer with JSON
	answerTimeout  = 3 * time.Minute  // of handlers that wait for an answer, which has a shorter limit of its own
	drainTimeout   = 15 * time.Second // for requests under way when serving ends
)

// maxExports is how many PDFs are made at the same time.
const maxExports = 2

// New returns a Server for o.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, started: time.Now(), metrics: newMetrics(o.Registry)}
	s.uploads = newGate(o.MaxUploads, o.BusyWait, s.metrics.uploads)
	s.files = newGate(o.MaxUploads, o.BusyWait, s.metrics.files)
	s.searches = newGate(o.MaxSearches, o.BusyWait, s.metrics.searches)
	s.audits = newGate(maxAudits, o.BusyWait, s.metrics.audits)
	s.readings = newReadings()
	s.probes = newProbes(o.Services, o.Log)
	s.exports = newGate(maxExports, o.BusyWait, s.metrics.exports)
	s.hub, s.news = newHub(s, o.Registry), newNews(o)
	s.sockets, s.panels = newSockets(s, o.Registry), newPanels(s)
	s.listenToOthers()
	s.base, s.stop = context.WithCancel(context.Background())
	s.app = fiber.New(fiber.Config{
		Immutable:                    true,
		CaseSensitive:                true,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		DisableStartupMessage:        true,
		DisableDefaultContentType:    true,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		ReadBufferSize:               16 << 10, // bounds the header: cookies and tokens are long
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			fail(c.Context(), requestOf(c.Context()), err)
			return nil
		},
	})
	s.app.Use(func(c *fiber.Ctx) error {
		if err := s.checkMethod(c); err != nil {
			return err
		}
		c.SetUserContext(context.WithValue(s.base, requestKey{}, requestOf(c.Context())))
		return c.Next()
	})
	s.api = humafiber.New(s.app, s.humaConfig())
	s.routes()
	s.fixed = fixedPaths(s.described)
	server := s.app.Server()
	server.ErrorHandler = s.malformed
	server.Handler = s.edge(server.Handler)
	return s
}

// humaConfig configures huma: JSON only, unknown fields ignored, replies in our
// shape, and no pages that load scripts from elsewhere.
func (s *Server) humaConfig() huma.Config {
	c := huma.DefaultConfig("VoiceAssist", voiceassist.Version)
	c.CreateHooks = nil // they would add "$schema" to replies
	c.AllowAdditionalPropertiesByDefault = true
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	jsonFormat := huma.Format{Marshal: writeEncoded, Unmarshal: unmarshalBody}
	c.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	c.Transformers = []huma.Transformer{transform}
	return c
}

// Serve answers requests from ln until ctx ends. Then it takes no new ones and
// gives those under way, and the answers being written, 15 s to end; sockets
// are closed when the answers have ended. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(lingerListener{ln}) }()
	defer s.probes.wait()
	var beside sync.WaitGroup
	for _, run := range []func(context.Context){s.hub.watch, s.hub.presence.run, s.news.run, s.panels.run} {
		beside.Go(func() { run(s.base) })
	}
	defer beside.Wait()
	defer s.stop()
	select {
	case err := <-served:
		s.stop()
		s.sockets.drain(s.base)
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var draining sync.WaitGroup
	draining.Go(func() { s.sockets.drain(drain) })
	err := s.app.ShutdownWithContext(drain)
	draining.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		s.o.Log.WarnContext(ctx, "requests were still under way when serving ended")
		err = nil
	}
	s.stop()
	return errors.Join(err, <-served)
}
