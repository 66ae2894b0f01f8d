package rag

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// metrics of the read side. Questions and passages never become labels.
type metrics struct {
	retrieval prometheus.Histogram
	answers   *prometheus.HistogramVec
	citations *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		retrieval: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "voiceassist_retrieval_seconds",
			Help:    "Time to find passages, from the question to the text out of the ledger.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		answers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "voiceassist_answer_seconds",
			Help:    "Time of a whole answer, by its kind (model, extractive, nothing_found) and final status.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}, []string{"kind", "status"}),
		citations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "voiceassist_citations_total",
			Help: "Citations asked for by answers: proved ones were stored, dropped ones could not be proved.",
		}, []string{"result"}),
	}
	if r != nil {
		r.MustRegister(m.retrieval, m.answers, m.citations)
	}
	return m
}

func (m metrics) retrieved(since time.Time) { m.retrieval.Observe(time.Since(since).Seconds()) }

func (m metrics) answered(kind string, status voiceassist.MessageStatus, since time.Time) {
	m.answers.WithLabelValues(kind, string(status)).Observe(time.Since(since).Seconds())
}

func (m metrics) cited(proved bool) {
	result := "dropped"
	if proved {
		result = "proved"
	}
	m.citations.WithLabelValues(result).Inc()
}
