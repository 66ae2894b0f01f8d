package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/postgres"
)

// serveMetrics answers /metrics, /health and /ready for a process that has no
// API. Without METRICS_ADDR it takes usual, or any free port of the same host
// if another process has that.
func serveMetrics(ctx context.Context, cfg Config, e *engines, usual string, log *slog.Logger) error {
	ln, err := listenMetrics(ctx, cfg.MetricsAddr, usual)
	if err != nil {
		return fmt.Errorf("METRICS_ADDR: %w", err)
	}
	log.InfoContext(ctx, "metrics", slog.String("addr", ln.Addr().String()))
	server := &http.Server{Handler: e.metricsHandler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	err = closeWithin(ctx, time.Second, server.Shutdown)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func listenMetrics(ctx context.Context, wanted, usual string) (net.Listener, error) {
	var config net.ListenConfig
	if wanted != "" {
		return config.Listen(ctx, "tcp", wanted)
	}
	ln, err := config.Listen(ctx, "tcp", usual)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(usual)
		return config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	return ln, err
}

func (e *engines) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if errors.Join(e.ledger.Ping(ctx), e.redis.Ping(ctx), e.pingIndex(ctx)) != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// poolCollector shows the ledger's connection pool.
type poolCollector struct{ ledger *postgres.DB }

var (
	connsInUse = prometheus.NewDesc("voiceassist_postgres_connections_in_use", "Connections of the pool in use.", nil, nil)
	connsMax   = prometheus.NewDesc("voiceassist_postgres_connections_max", "The most connections the pool may have.", nil, nil)
)

func (poolCollector) Describe(ch chan<- *prometheus.Desc) { ch <- connsInUse; ch <- connsMax }

func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.ledger.Stat()
	ch <- prometheus.MustNewConstMetric(connsInUse, prometheus.GaugeValue, float64(s.AcquiredConns()))
	ch <- prometheus.MustNewConstMetric(connsMax, prometheus.GaugeValue, float64(s.MaxConns()))
}

// readerCollector shows the pool of children that read documents.
type readerCollector struct{ pool *extract.Pool }

var (
	readersBusy    = prometheus.NewDesc("voiceassist_readers_busy", "Children reading a document now.", nil, nil)
	readerStarts   = prometheus.NewDesc("voiceassist_reader_starts_total", "Children started.", nil, nil)
	readerCrashes  = prometheus.NewDesc("voiceassist_reader_crashes_total", "Documents on which a child crashed.", nil, nil)
	readerKills    = prometheus.NewDesc("voiceassist_reader_kills_total", "Children ended because they overran a limit or lost their caller.", nil, nil)
	readersPeakRSS = prometheus.NewDesc("voiceassist_reader_peak_resident_bytes", "The most resident memory that a finished child had.", nil, nil)
)

func (readerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readersBusy, readerStarts, readerCrashes, readerKills, readersPeakRSS} {
		ch <- d
	}
}

func (c readerCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.pool.Stats()
	ch <- prometheus.MustNewConstMetric(readersBusy, prometheus.GaugeValue, float64(s.Busy))
	ch <- prometheus.MustNewConstMetric(readerStarts, prometheus.CounterValue, float64(s.Started))
	ch <- prometheus.MustNewConstMetric(readerCrashes, prometheus.CounterValue, float64(s.Crashes))
	ch <- prometheus.MustNewConstMetric(readerKills, prometheus.CounterValue, float64(s.Killed))
	ch <- prometheus.MustNewConstMetric(readersPeakRSS, prometheus.GaugeValue, float64(s.PeakRSS))
}

// backlogCollector shows what the queues have to do, from the ledger.
type backlogCollector struct{ ledger *postgres.DB }

var (
	jobsPending = prometheus.NewDesc("voiceassist_jobs_pending", "Jobs not started.", []string{"queue"}, nil)
	jobsRunning = prometheus.NewDesc("voiceassist_jobs_running", "Jobs under way.", []string{"queue"}, nil)
	jobsOldest  = prometheus.NewDesc("voiceassist_jobs_oldest_seconds", "How long the oldest pending job has been due.", []string{"queue"}, nil)

	jobsPublished = prometheus.NewDesc("voiceassist_jobs_published", "Pending jobs that are handed to the workers.", []string{"queue"}, nil)
	jobsGated     = prometheus.NewDesc("voiceassist_jobs_gated", "Pending jobs that wait at a gate.", []string{"queue"}, nil)
	jobLanes      = prometheus.NewDesc("voiceassist_job_lanes", "Lanes that pending jobs are in.", []string{"queue"}, nil)
	jobsStarted   = prometheus.NewDesc("voiceassist_jobs_started_per_second", "Jobs that workers took lately, by which the relay sets its window.", []string{"queue"}, nil)
)

var backlogDescs = []*prometheus.Desc{jobsPending, jobsRunning, jobsOldest, jobsPublished, jobsGated, jobLanes, jobsStarted}

func (backlogCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range backlogDescs {
		ch <- d
	}
}

func (c backlogCollector) Collect(ch chan<- prometheus.Metric) {
	// Collectors get no context.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	backlogs, err := c.ledger.Backlogs(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(jobsPending, err)
		return
	}
	for q, b := range backlogs {
		ch <- prometheus.MustNewConstMetric(jobsPending, prometheus.GaugeValue, float64(b.Pending), string(q))
		ch <- prometheus.MustNewConstMetric(jobsRunning, prometheus.GaugeValue, float64(b.Running), string(q))
		ch <- prometheus.MustNewConstMetric(jobsOldest, prometheus.GaugeValue, b.Oldest.Seconds(), string(q))
		ch <- prometheus.MustNewConstMetric(jobsPublished, prometheus.GaugeValue, float64(b.Published), string(q))
		ch <- prometheus.MustNewConstMetric(jobsGated, prometheus.GaugeValue, float64(b.Gated), string(q))
		ch <- prometheus.MustNewConstMetric(jobLanes, prometheus.GaugeValue, float64(b.Lanes), string(q))
		ch <- prometheus.MustNewConstMetric(jobsStarted, prometheus.GaugeValue, b.PerSecond, string(q))
	}
}

// auditCollector shows what waits for the chainer of the audit log.
type auditCollector struct{ ledger *postgres.DB }

var (
	auditUnchained = prometheus.NewDesc("voiceassist_audit_unchained", "Entries of the audit log without a place in its chain.", nil, nil)
	auditOldest    = prometheus.NewDesc("voiceassist_audit_unchained_oldest_seconds", "How long the oldest of them has waited.", nil, nil)
)

func (auditCollector) Describe(ch chan<- *prometheus.Desc) { ch <- auditUnchained; ch <- auditOldest }

func (c auditCollector) Collect(ch chan<- prometheus.Metric) {
	// Collectors get no context.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n, oldest, err := c.ledger.AuditBacklog(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(auditUnchained, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(auditUnchained, prometheus.GaugeValue, float64(n))
	ch <- prometheus.MustNewConstMetric(auditOldest, prometheus.GaugeValue, oldest.Seconds())
}
