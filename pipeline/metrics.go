package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// Metrics are the worker's figures. The methods of a nil *Metrics do nothing.
type Metrics struct {
	jobs     *prometheus.HistogramVec
	stages   *prometheus.HistogramVec
	pages    prometheus.Counter
	passages prometheus.Counter
	embedded prometheus.Counter
	badPages *prometheus.CounterVec
}

// NewMetrics registers the worker's figures with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	buckets := prometheus.ExponentialBuckets(0.005, 3, 11) // 5 ms to 5 min
	m := &Metrics{
		jobs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "voiceassist_job_duration_seconds", Help: "How long attempts took, by kind of job and result.", Buckets: buckets,
		}, []string{"kind", "result"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "voiceassist_stage_duration_seconds", Help: "How long the stages of jobs took.", Buckets: buckets,
		}, []string{"stage"}),
		pages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_pages_extracted_total", Help: "Pages read out of files.",
		}),
		passages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_passages_total", Help: "Passages cut.",
		}),
		embedded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_texts_embedded_total", Help: "Texts sent to the embedding service and stored.",
		}),
	}
	m.badPages = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "voiceassist_bad_pages_total", Help: "Pages that could not be read, by what they did.",
	}, []string{"reason"})
	r.MustRegister(m.jobs, m.stages, m.pages, m.passages, m.embedded, m.badPages)
	return m
}

func (m *Metrics) jobDone(kind voiceassist.JobKind, result string, took time.Duration) {
	if m != nil {
		m.jobs.WithLabelValues(string(kind), result).Observe(took.Seconds())
	}
}

func (m *Metrics) stageDone(stage voiceassist.Stage, took time.Duration) {
	if m != nil {
		m.stages.WithLabelValues(string(stage)).Observe(took.Seconds())
	}
}

func (m *Metrics) pagesRead(n int) {
	if m != nil {
		m.pages.Add(float64(n))
	}
}

func (m *Metrics) pageBad(fault voiceassist.PageFault) {
	if m != nil {
		m.badPages.WithLabelValues(string(fault)).Inc()
	}
}

func (m *Metrics) passagesCut(n int) {
	if m != nil {
		m.passages.Add(float64(n))
	}
}

func (m *Metrics) textsEmbedded(n int) {
	if m != nil {
		m.embedded.Add(float64(n))
	}
}
