package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of the HTTP side.
type metrics struct {
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
	uploads  prometheus.Gauge
	files    prometheus.Gauge
	searches prometheus.Gauge
	audits   prometheus.Gauge
	exports  prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "voiceassist_http_request_duration_seconds",
			Help:    "Time to answer a request, by route pattern and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_http_requests_in_flight",
			Help: "Requests being answered.",
		}),
		uploads: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_http_uploads_in_flight",
			Help: "Documents being received.",
		}),
		files: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_http_file_uploads_in_flight",
			Help: "Files of users being received and read.",
		}),
		searches: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_http_searches_in_flight",
			Help: "Searches being answered.",
		}),
		audits: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_http_audits_in_flight",
			Help: "Exports and checks of the audit log under way.",
		}),
		exports: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_http_exports_in_flight",
			Help: "Conversations being made into PDFs.",
		}),
	}
	if r != nil {
		r.MustRegister(m.took, m.inFlight, m.uploads, m.files, m.searches, m.audits, m.exports)
	}
	return m
}

func (m *metrics) observe(method, route string, status int, took time.Duration) {
	m.took.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}
