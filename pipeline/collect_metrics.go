package pipeline

import "github.com/prometheus/client_golang/prometheus"

// CollectorMetrics are the collector's figures. The methods of a nil one do
// nothing.
type CollectorMetrics struct{ removed *prometheus.CounterVec }

// NewCollectorMetrics registers the collector's figures with r.
func NewCollectorMetrics(r prometheus.Registerer) *CollectorMetrics {
	m := &CollectorMetrics{removed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "voiceassist_collected_total", Help: "Blobs and rows removed because nothing referred to them.",
	}, []string{"kind"})}
	r.MustRegister(m.removed)
	return m
}

func (m *CollectorMetrics) collected(kind string, n int) {
	if m != nil {
		m.removed.WithLabelValues(kind).Add(float64(n))
	}
}
