package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/voiceassist/backend/mail"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
)

// How often batches are looked at: whether they have ended, whether a notice is
// due, whether the accounts balance.
const (
	endEvery     = 2 * time.Second
	noticeEvery  = time.Second
	balanceEvery = 30 * time.Second
)

// notifier returns what ends batches and tells of it, and what closes its
// sender of mails.
func (e *engines) notifier(ctx context.Context, cfg Config, log *slog.Logger) (n *pipeline.Notifier, closeMails func(), err error) {
	n = pipeline.NewNotifier(pipeline.Notifier{
		Ledger: e.ledger, Secret: cfg.WebhookSecret, Loopback: cfg.development, Registry: e.registry, Log: log,
	})
	if cfg.SMTPURL == "" {
		return n, func() {}, nil
	}
	mails, err := mail.New(mail.Options{URL: cfg.SMTPURL, From: cfg.MailFrom, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	n.Mailer = mails
	return n, func() {
		if err := closeWithin(ctx, mailGrace, mails.Close); err != nil {
			log.WarnContext(ctx, "mail", slog.Any("error", err))
		}
	}, nil
}

// webhookCheck returns what judges the URLs of webhooks, as the notifier does; nil
// if no webhook can be signed.
func webhookCheck(cfg Config) func(url string) error {
	if cfg.WebhookSecret == "" {
		return nil
	}
	return func(url string) error { return pipeline.CheckWebhookURL(url, cfg.development) }
}

// batchChores look after batches.
func batchChores(e *engines, n *pipeline.Notifier) []chore {
	return []chore{
		{"end batches", endEvery, n.EndBatches},
		{"send notices", noticeEvery, func(ctx context.Context) (int, error) {
			_, err := n.Send(ctx)
			return 0, err // the attempts that fail have lines of their own
		}},
		{"balance the accounts", balanceEvery, newBalance(e.ledger, e.registry).check},
	}
}

// balance shows whether every file is accounted for. It is counted by a chore
// and not by every scrape, because that reads all of them.
type balance struct {
	ledger           *postgres.DB
	batches, library prometheus.Gauge
}

func newBalance(ledger *postgres.DB, registry prometheus.Registerer) *balance {
	b := &balance{
		ledger: ledger,
		batches: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_batch_imbalance", Help: "Files of batches that are neither finished nor worked on; more than 0 is a bug.",
		}),
		library: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "voiceassist_library_imbalance", Help: "Documents that are neither finished nor worked on; more than 0 is a bug.",
		}),
	}
	registry.MustRegister(b.batches, b.library)
	return b
}

// check counts what is lost and returns how much.
func (b *balance) check(ctx context.Context) (int, error) {
	batches, library, err := b.ledger.Imbalances(ctx)
	if err != nil {
		return 0, err
	}
	b.batches.Set(float64(batches))
	b.library.Set(float64(library))
	return batches + library, nil
}

// noticeCollector shows the notices that wait.
type noticeCollector struct{ ledger *postgres.DB }

var noticesWaiting = prometheus.NewDesc("voiceassist_notices_waiting", "Notices that are neither delivered nor given up.", nil, nil)

func (noticeCollector) Describe(ch chan<- *prometheus.Desc) { ch <- noticesWaiting }

func (c noticeCollector) Collect(ch chan<- prometheus.Metric) {
	// Collectors get no context.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n, err := c.ledger.WaitingNotices(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(noticesWaiting, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(noticesWaiting, prometheus.GaugeValue, float64(n))
}
