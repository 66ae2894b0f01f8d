package pipeline

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
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
	webhookTimeout = 10 * time.Second
	noticeLease    = time.Minute // longer than any notice takes
	firstNotice    = 10 * time.Second
	maxNotice      = time.Hour
	noticePatience = 24 * time.Hour
)

// NewNotifier returns a Notifier that is ready to run.
func NewNotifier(n Notifier) *Notifier {
	dialer := &net.Dialer{Timeout: webhookTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		return checkTarget(address, n.Loopback)
	}}
	n.client = &http.Client{
		Timeout: webhookTimeout,
		// No proxy: what is dialled has to be the receiver, for checkTarget to judge it.
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: webhookTimeout, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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

// SignatureHeader holds the time of an attempt and the signature of a webhook:
// t=<seconds since 1970>,v1=<hex HMAC-SHA-256 of "<t>.<body>">.
const SignatureHeader = "VoiceAssist-Signature"

// Sign returns the value of SignatureHeader for a body that is sent at a time.
// Receivers compute it again, and refuse old times.
func Sign(secret, body string, at time.Time) string {
	t := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + body))
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a webhook. Any status of 2xx is its receipt; what else the receiver
// answers is not read.
func (n *Notifier) post(ctx context.Context, notice voiceassist.Notice) error {
	if n.Secret == "" {
		return fmt.Errorf("%w: WEBHOOK_SECRET is not set", errNever)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, notice.To, strings.NewReader(notice.Body))
	if err != nil {
		return fmt.Errorf("%w: its address is none", errNever)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "VoiceAssist/"+voiceassist.Version)
	req.Header.Set("VoiceAssist-Notice", notice.ID.String()) // the same in every attempt
	req.Header.Set(SignatureHeader, Sign(n.Secret, notice.Body, time.Now()))
	reply, err := n.client.Do(req)
	if err != nil {
		return hideAddress(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode < 200 || reply.StatusCode > 299 {
		return fmt.Errorf("the receiver answered %d", reply.StatusCode)
	}
	return nil
}

// hideAddress returns the cause of an error of net/http without the URL, which
// may hold a secret.
func hideAddress(err error) error {
	if refused, ok := errors.AsType[*targetError](err); ok {
		return refused
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return errors.New("the receiver did not answer in time")
	}
	return errors.New("the receiver cannot be reached")
}

// targetError is the refusal to send a webhook to an address.
type targetError struct{ addr netip.Addr }

func (e *targetError) Error() string {
	return "webhooks are not sent to " + e.addr.String() + ": it belongs to this machine or to its cloud"
}

// metadataAddrs are addresses outside of the link-local ranges at which clouds
// tell their machines secrets.
var metadataAddrs = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// nat64 is the network that stands for IPv4 addresses in its last 32 bits.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// checkTarget refuses to connect to this machine, unless loopback allows it, to
// link-local and metadata addresses, and to what is no single machine. Private
// networks are allowed: receivers live there. It judges the address that is
// dialled, after names have been looked up.
func checkTarget(address string, loopback bool) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, err)
	}
	addr := target.Addr().WithZone("").Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	refused := addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) ||
		addr.IsLoopback() && !loopback
	for _, metadata := range metadataAddrs {
		refused = refused || addr == metadata
	}
	if refused {
		return &targetError{addr}
	}
	return nil
}

// batchNotice is the body of a webhook.
type batchNotice struct {
	Event   string        `json:"event"`
	Batch   noticeBatch   `json:"batch"`
	Account noticeAccount `json:"account"`
}

type noticeBatch struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	State     string    `json:"state"` // ended or cancelled
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at"`
}

type noticeAccount struct {
	Declared  int `json:"declared"`
	Awaited   int `json:"awaited"`
	Accepted  int `json:"accepted"`
	Indexed   int `json:"indexed"`
	Duplicate int `json:"duplicate"`
	Skipped   int `json:"skipped"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	InFlight  int `json:"in_flight"`
	Imbalance int `json:"imbalance"`
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
	body, err := json.Marshal(batchNotice{
		Event: "batch.ended",
		Batch: noticeBatch{
			ID: b.ID.String(), Name: b.Name, State: string(b.State()), CreatedAt: b.CreatedAt.UTC(), EndedAt: b.EndedAt.UTC(),
		},
		Account: noticeAccount(b.Account),
	})
	return string(body), err
}
