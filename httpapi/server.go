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

	Assistant Assistant // nil: the chat sockets are unavailable
	Chats     Chats

	Cache   Cache   // nil: the routes of the cache are unavailable
	Auditor Auditor // what is not written with a change of the ledger goes here

	Limits Limits       // nil: no rate limits
	JobsUI http.Handler // what /api/admin/jobs/ shows to admins; nil: not found

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
	MaxUploads     int            // received at the same time; 0 is 16
	MaxSearches    int            // answered at the same time; 0 is 32
	BusyWait       time.Duration  // how long an upload or a search waits for its turn; 0 is 10 s
	SocketWait     time.Duration  // how long a chat socket waits for its token, and for its client to take a frame; 0 is 10 s
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
	return o
}

// Server serves the API. Create it with New.
type Server struct {
	o       Options
	app     *fiber.App
	api     huma.API
	metrics *metrics

	uploads  *gate
	searches *gate
	sockets  *sockets

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
	drainTimeout   = 15 * time.Second // for requests under way when serving ends
)

// New returns a Server for o.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, metrics: newMetrics(o.Registry)}
	s.uploads = newGate(o.MaxUploads, o.BusyWait, s.metrics.uploads)
	s.searches = newGate(o.MaxSearches, o.BusyWait, s.metrics.searches)
	s.sockets = newSockets(s, o.Registry)
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
		c.SetUserContext(context.WithValue(s.base, requestKey{}, requestOf(c.Context())))
		return c.Next()
	})
	s.api = humafiber.New(s.app, s.humaConfig())
	s.routes()
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
	c.Components.SecuritySchemes = securitySchemes
	return c
}

// Serve answers requests from ln until ctx ends. Then it takes no new ones and
// gives those under way, and the answers being written, 15 s to end; sockets
// are closed when the answers have ended. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(lingerListener{ln}) }()
	var watching sync.WaitGroup
	watching.Go(func() { s.sockets.watch(s.base) })
	defer watching.Wait()
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
