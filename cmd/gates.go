package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/postgres"
)

// gateCollector shows how the gates to services outside stand.
type gateCollector struct{ ledger *postgres.DB }

var (
	gateOpen     = prometheus.NewDesc("voiceassist_gate_open", "1 while requests go through the gate, 0 while it is shut or probed.", []string{"gate"}, nil)
	gatePaced    = prometheus.NewDesc("voiceassist_gate_paced_seconds", "How long the gate stays shut before it is probed.", []string{"gate"}, nil)
	gateFailures = prometheus.NewDesc("voiceassist_gate_failures", "Requests that failed in a row.", []string{"gate"}, nil)
	gateDebt     = prometheus.NewDesc("voiceassist_gate_bucket_debt_seconds", "How long the buckets of requests and tokens per minute take to be full again.", []string{"gate"}, nil)
)

func (gateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gateOpen, gatePaced, gateFailures, gateDebt} {
		ch <- d
	}
}

func (c gateCollector) Collect(ch chan<- prometheus.Metric) {
	// Collectors get no context.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	gates, err := c.ledger.Gates(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(gateOpen, err)
		return
	}
	for _, g := range gates {
		open := 0.0
		if g.Open {
			open = 1
		}
		ch <- prometheus.MustNewConstMetric(gateOpen, prometheus.GaugeValue, open, string(g.Name))
		ch <- prometheus.MustNewConstMetric(gatePaced, prometheus.GaugeValue, g.Left.Seconds(), string(g.Name))
		ch <- prometheus.MustNewConstMetric(gateFailures, prometheus.GaugeValue, float64(g.Failures), string(g.Name))
		ch <- prometheus.MustNewConstMetric(gateDebt, prometheus.GaugeValue, g.Debt.Seconds(), string(g.Name))
	}
}

// probeEmbedding tells what the workers have last found out of the embedding
// service. It asks the ledger, not the service.
func (e *engines) probeEmbedding(ctx context.Context) (c httpapi.Condition, err error) {
	gates, err := e.ledger.Gates(ctx)
	for _, g := range gates {
		if g.Name == voiceassist.GateEmbed {
			return embeddingCondition(g, time.Now())
		}
	}
	return c, err
}

func embeddingCondition(g postgres.GateState, now time.Time) (c httpapi.Condition, err error) {
	switch {
	case g.Open && g.Failures > 0:
		return httpapi.Condition{Message: fmt.Sprintf("the last %d requests failed", g.Failures)}, nil
	case g.Open:
		return c, nil
	case g.Left == 0:
		return httpapi.Condition{Message: "the next request finds out whether it works again"}, nil
	}
	return c, voiceassist.Errorf(voiceassist.Unavailable, "paused until %s: %s",
		now.Add(g.Left).UTC().Format("15:04:05 UTC"), g.Reason.Sentence())
}
