package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// Mailer sends mails; it is *mail.Sender.
type Mailer interface {
	// Deliver sends a mail and waits until the server has it.
	Deliver(ctx context.Context, m voiceassist.Mail) error
}

// Notifier ends batches and sends the notices of that. Any number may run. A
// notice is sent until it arrives, at least once, for noticePatience.
type Notifier struct {
	Ledger   *postgres.DB
	Secret   string // signs webhooks; "": none are sent
	Mailer   Mailer // nil: no mails are sent
	Loopback bool   // whether webhooks may go to this machine, for development
	Registry prometheus.Registerer
	Log      *slog.Logger

	client   *http.Client
	outcomes *prometheus.CounterVec
}

// Limits of sending notices.
const (
	noticesAtOnce  = 4
	noticeLease    = time.Minute // longer than any notice takes
	firstNotice    = 10 * time.Second
	maxNotice      = time.Hour
	noticePatience = 24 * time.Hour
)

// NewNotifier returns a Notifier that is ready to run.
func NewNotifier(n Notifier) *Notifier {
	n.client = newWebhookClient(n.Loopback)
	n.outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "voiceassist_notices_total", Help: "Attempts to send a notice, by kind and outcome.",
	}, []string{"kind", "outcome"})
	n.Registry.MustRegister(n.outcomes)
	return &n
}

// EndBatches ends the batches that are done, and adds their notices. It returns
// how many ended.
func (n *Notifier) EndBatches(ctx context.Context) (int, error) {
	return n.Ledger.EndBatches(ctx, composeNotice)
}

// Send sends the notices that are due and returns how many it tried.
func (n *Notifier) Send(ctx context.Context) (int, error) {
	due, err := n.Ledger.ClaimNotices(ctx, noticesAtOnce, noticeLease)
	if err != nil {
		return 0, err
	}
	failures := make([]error, len(due))
	var sending sync.WaitGroup
	for i, notice := range due {
		sending.Go(func() { failures[i] = n.sendOne(ctx, notice) })
	}
	sending.Wait()
	return len(due), errors.Join(failures...)
}

// errNever is the end of a notice that another attempt does not help.
var errNever = errors.New("it cannot be sent")

// sendOne makes one attempt and notes how it ended.
func (n *Notifier) sendOne(ctx context.Context, notice voiceassist.Notice) error {
	sent := n.deliver(ctx, notice)
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if sent == nil {
		n.outcomes.WithLabelValues(string(notice.Kind), "delivered").Inc()
		return n.Ledger.NoticeDelivered(noting, notice.ID)
	}
	after, outcome := backOff(firstNotice, maxNotice, notice.Attempts-1), "retry"
	if errors.Is(sent, errNever) || time.Since(notice.CreatedAt)+after > noticePatience {
		after, outcome = 0, "given_up"
	}
	n.outcomes.WithLabelValues(string(notice.Kind), outcome).Inc()
	n.Log.WarnContext(ctx, "notice not delivered", slog.String("notice_id", notice.ID.String()), slog.String("batch_id", notice.BatchID.String()),
		slog.String("kind", string(notice.Kind)), slog.String("outcome", outcome), slog.Any("error", sent))
	return n.Ledger.NoticeFailed(noting, notice.ID, sent.Error(), after)
}

func (n *Notifier) deliver(ctx context.Context, notice voiceassist.Notice) error {
	switch {
	case notice.To == "":
		return fmt.Errorf("%w: nobody is there to be told", errNever)
	case notice.Kind == voiceassist.NoticeWebhook:
		return n.post(ctx, notice)
	case n.Mailer == nil:
		return fmt.Errorf("%w: SMTP_URL is not set", errNever)
	}
	return n.Mailer.Deliver(ctx, voiceassist.Mail{Kind: voiceassist.MailBatchEnded, To: notice.To, Text: notice.Body})
}

// composeNotice writes what is told of a batch that has ended.
func composeNotice(b voiceassist.Batch, kind voiceassist.NoticeKind) (string, error) {
	if kind == voiceassist.NoticeMail {
		a := b.Account
		return fmt.Sprintf(`The batch %q has ended.

%7d files were announced or came
%7d were indexed
%7d were in the library before, or came twice
%7d were skipped, as of a kind that is not read
%7d failed
%7d were cancelled
%7d never came

What became of each file: GET /api/admin/kb/batches/%s/files.csv
`, b.Name, a.Declared, a.Indexed, a.Duplicate, a.Skipped, a.Failed, a.Cancelled, a.Awaited, b.ID), nil
	}
	body, err := json.Marshal(voiceassist.BatchEndedEvent{
		Event: voiceassist.EventBatchEnded,
		Batch: voiceassist.EndedBatch{
			ID: b.ID, Name: b.Name, State: b.State(), CreatedAt: b.CreatedAt.UTC(), EndedAt: b.EndedAt.UTC(),
		},
		Account: voiceassist.EndedAccount(b.Account),
	})
	return string(body), err
}
