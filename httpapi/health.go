package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	voiceassist "github.com/voiceassist/backend"
)

// checkTimeout bounds each question that /ready asks.
const checkTimeout = 2 * time.Second

type healthBody struct {
	Status    string  `json:"status"`
	Version   string  `json:"version"`
	Timestamp float64 `json:"timestamp" doc:"seconds since 1970"`
}

// health says that the process runs, and nothing of what it depends on.
func (s *Server) health(context.Context, *none) (healthBody, error) {
	return healthBody{Status: "healthy", Version: voiceassist.Version, Timestamp: epoch(time.Now())}, nil
}

type readyBody struct {
	Status    string          `json:"status" enum:"ready,not_ready"`
	Checks    map[string]bool `json:"checks"`
	Timestamp float64         `json:"timestamp" doc:"seconds since 1970"`
}

// ready says whether the process can do its work: 503 in the same shape when a
// dependency that it needs is missing.
func (s *Server) ready(c *fiber.Ctx) error {
	checks := s.check(c.UserContext())
	body := readyBody{Status: "ready", Checks: checks, Timestamp: epoch(time.Now())}
	code := http.StatusOK
	if !s.suffice(checks) {
		body.Status, code = "not_ready", http.StatusServiceUnavailable
	}
	return reply(c.Context(), requestOf(c.Context()), code, body)
}

// suffice reports whether every dependency that the process needs answered.
func (s *Server) suffice(checks map[string]bool) bool {
	for name, ok := range checks {
		if !ok && !slices.Contains(s.o.Optional, name) {
			return false
		}
	}
	return true
}

// check asks every dependency at once.
func (s *Server) check(ctx context.Context) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		checks = make(map[string]bool, len(s.o.Checks))
	)
	for name, ask := range s.o.Checks {
		wg.Go(func() {
			err := ask(ctx)
			if err != nil {
				s.o.Log.WarnContext(ctx, "dependency fails its check", slog.String("dependency", name), slog.Any("error", err))
			}
			mu.Lock()
			defer mu.Unlock()
			checks[name] = err == nil
		})
	}
	wg.Wait()
	return checks
}

// metricsPage shows the figures to Prometheus.
func (s *Server) metricsPage() fiber.Handler {
	return adaptor.HTTPHandler(promhttp.HandlerFor(s.o.Registry, promhttp.HandlerOpts{}))
}

// rootBody tells somebody who opens the base URL where to go.
type rootBody struct {
	Name    string `json:"name" example:"VoiceAssist"`
	Version string `json:"version"`
	OpenAPI string `json:"openapi"`
	Docs    string `json:"docs"`
	Health  string `json:"health"`
}

func (s *Server) root(context.Context, *none) (rootBody, error) {
	return rootBody{Name: "VoiceAssist", Version: voiceassist.Version, OpenAPI: "/openapi.json", Docs: "/docs", Health: "/health"}, nil
}
