package cmd

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
)

const (
	collectEvery = 10 * time.Minute
	verifyEvery  = 5 * time.Second // it is looked whether one is due or was asked for
)

// verifyLateness is for how long after VERIFY_AT a scheduler that starts makes
// up for it.
const verifyLateness = time.Hour

// verifyTime reads VERIFY_AT as the time since midnight; negative is never.
func verifyTime(s string) (time.Duration, error) {
	if s == "off" {
		return -1, nil
	}
	t, err := time.Parse("15:04", s)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err
}

// dueAt reports whether the nightly verification of now's day is due.
func dueAt(now time.Time, at time.Duration) bool {
	late := now.UTC().Sub(now.UTC().Truncate(24*time.Hour)) - at
	return at >= 0 && late >= 0 && late < verifyLateness
}

// collector removes what nothing refers to.
func (e *engines) collector(log *slog.Logger) *pipeline.Collector {
	return &pipeline.Collector{Ledger: e.ledger, Blobs: e.blobs, Metrics: pipeline.NewCollectorMetrics(e.registry), Log: log}
}

// verifyWhenDue returns a chore's work: to schedule the verification of the
// night, and to carry out one that waits unless another scheduler does. It
// reports how many differences there were.
func (e *engines) verifyWhenDue(cfg Config, log *slog.Logger) func(context.Context) (int, error) {
	at, err := verifyTime(cfg.VerifyAt)
	if err != nil {
		at = -1 // ReadConfig refuses it
	}
	verifier := e.verifier(log)
	return func(ctx context.Context) (differences int, err error) {
		if now := time.Now(); dueAt(now, at) {
			if err := e.ledger.ScheduleVerification(ctx, now); err != nil {
				return 0, err
			}
		}
		_, err = e.ledger.RunVerification(ctx, func(ctx context.Context, repair bool) (voiceassist.Verification, error) {
			v, err := verifier.Verify(ctx, pipeline.VerifyOptions{Repair: repair})
			differences = total(v.Counts)
			return v, err
		})
		return differences, err
	}
}

// verifyCollector shows the last verification that could be done.
type verifyCollector struct{ ledger *postgres.DB }

var (
	verifyDifferences = prometheus.NewDesc("voiceassist_verify_differences", "Differences between ledger, index, files and queue that the last verification found.", []string{"kind"}, nil)
	verifyRepaired    = prometheus.NewDesc("voiceassist_verify_repaired", "How many of them it repaired.", nil, nil)
	verifySuccess     = prometheus.NewDesc("voiceassist_verify_last_success_timestamp", "When a verification could last be done, in seconds since 1970.", nil, nil)
	verifyDuration    = prometheus.NewDesc("voiceassist_verify_duration_seconds", "How long it took.", nil, nil)
)

func (verifyCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{verifyDifferences, verifyRepaired, verifySuccess, verifyDuration} {
		ch <- d
	}
}

func (c verifyCollector) Collect(ch chan<- prometheus.Metric) {
	// Collectors get no context.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := c.ledger.VerificationSummary(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(verifySuccess, err)
		return
	}
	if s.LastSuccess.IsZero() {
		return
	}
	for _, kind := range voiceassist.DifferenceKinds {
		ch <- prometheus.MustNewConstMetric(verifyDifferences, prometheus.GaugeValue, float64(s.Counts[kind]), string(kind))
	}
	ch <- prometheus.MustNewConstMetric(verifyRepaired, prometheus.GaugeValue, float64(s.Repaired))
	ch <- prometheus.MustNewConstMetric(verifySuccess, prometheus.GaugeValue, float64(s.LastSuccess.Unix()))
	ch <- prometheus.MustNewConstMetric(verifyDuration, prometheus.GaugeValue, s.Took.Seconds())
}
