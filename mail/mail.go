// Package mail sends the mails of accounts by SMTP. Mails wait in a bounded
// queue and are sent one after another, beside the requests that cause them. A
// mail that cannot be sent is lost: whoever waits for it asks again.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	gomail "github.com/wneessen/go-mail"

	voiceassist "github.com/voiceassist/backend"
)

// Options say how mails are sent.
type Options struct {
	// URL is smtp://user:password@host:587 (STARTTLS where the server has it,
	// and always before a password) or smtps://… (TLS from the start). "" sends
	// nothing.
	URL  string
	From string // the sender's address, maybe with a name
	// Console writes the links that cannot be mailed to Log, for a developer
	// who has no mail server. It has no effect with a URL.
	Console  bool
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no figures

	Queue int // mails that may wait; 0 is 256
}

// Limits of sending.
const (
	defaultQueue = 256
	sendTimeout  = 20 * time.Second // for one attempt
	attempts     = 3
	retryAfter   = 2 * time.Second
)

// What became of a mail.
const (
	sent         = "sent"
	lost         = "lost"         // the server did not take it
	dropped      = "dropped"      // the queue was full, or the process stopped
	unconfigured = "unconfigured" // there is no server
	shown        = "console"
)

// Sender sends mails. Create it with New and Close it.
type Sender struct {
	o       Options
	from    *mail.Address
	server  *server // nil without a URL
	outcome *prometheus.CounterVec

	queue chan voiceassist.Mail
	mu    sync.RWMutex // of closed, against sending to a closed queue
	ended bool
	done  chan struct{}   // closed when the queue has been emptied
	abort context.Context //nolint:containedctx // the life of sending, which outlives the callers of Send
	stop  context.CancelFunc
}

// New returns a Sender at work. It does not connect yet.
func New(o Options) (*Sender, error) {
	if o.Queue == 0 {
		o.Queue = defaultQueue
	}
	s := &Sender{o: o, queue: make(chan voiceassist.Mail, o.Queue), done: make(chan struct{})}
	if o.URL != "" {
		if err := s.connectTo(o.URL); err != nil {
			return nil, err
		}
	}
	s.outcome = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "voiceassist_mails_total",
		Help: "Mails by what became of them.",
	}, []string{"outcome"})
	if o.Registry != nil {
		o.Registry.MustRegister(s.outcome, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "voiceassist_mails_waiting",
			Help: "Mails that wait to be sent by this process.",
		}, func() float64 { return float64(len(s.queue)) }))
	}
	s.abort, s.stop = context.WithCancel(context.Background())
	go s.work()
	return s, nil
}

// connectTo makes the client of an SMTP URL.
func (s *Sender) connectTo(raw string) error {
	server, err := parseURL(raw)
	if err != nil {
		return err
	}
	if s.from, err = mail.ParseAddress(s.o.From); err != nil {
		return errors.New("the sender's address is not one")
	}
	s.server = server
	return nil
}

// CheckURL returns what is wrong with an SMTP URL. It does not repeat it, for
// it may hold a password.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// CheckSender returns what is wrong with a sender's address.
func CheckSender(from string) error {
	_, err := mail.ParseAddress(from)
	return err
}

// server is where mails are handed in.
type server struct {
	host    string
	tls     bool // from the start
	options []gomail.Option
}

func parseURL(raw string) (*server, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("want smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	password, authenticates := u.User.Password()
	s := &server{host: u.Hostname(), tls: u.Scheme == "smtps"}
	port := 587
	switch {
	case s.tls:
		port = 465
		s.options = append(s.options, gomail.WithSSL())
	case authenticates:
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, errors.New("the port is not a number")
		}
	}
	if authenticates {
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	s.options = append(s.options, gomail.WithTimeout(sendTimeout), gomail.WithPort(port))
	_, err = gomail.NewClient(s.host, s.options...)
	return s, err
}

// send hands in a mail over a connection of its own, which ends with ctx: the
// library looks at ctx only while it connects.
func (s *server) send(ctx context.Context, msg *gomail.Msg) error {
	var conn net.Conn
	dial := gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (_ net.Conn, err error) {
		if s.tls {
			conn, err = (&tls.Dialer{Config: &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}}).DialContext(dialing, network, address)
		} else {
			conn, err = new(net.Dialer).DialContext(dialing, network, address)
		}
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	})
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), dial)...)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, msg)
}

// Ready returns nil, or Unavailable when no mail can be sent.
func (s *Sender) Ready() error {
	if s.server != nil || s.o.Console {
		return nil
	}
	s.outcome.WithLabelValues(unconfigured).Inc()
	return voiceassist.Errorf(voiceassist.Unavailable, "Mail is not configured on this server: set SMTP_URL")
}

// Send has a mail sent when those before it are. It does not wait; a mail for
// which there is no room is lost.
func (s *Sender) Send(ctx context.Context, m voiceassist.Mail) {
	switch {
	case s.server == nil && s.o.Console:
		s.outcome.WithLabelValues(shown).Inc()
		s.o.Log.WarnContext(ctx, "no mail server is configured; this link would have been mailed",
			slog.String("kind", string(m.Kind)), slog.String("link", m.Link))
		return
	case s.server == nil:
		s.giveUp(ctx, m, unconfigured, errors.New("SMTP_URL is not set"))
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended {
		s.giveUp(ctx, m, dropped, errors.New("the process is stopping"))
		return
	}
	select {
	case s.queue <- m:
	default:
		s.giveUp(ctx, m, dropped, errors.New("too many mails are waiting"))
	}
}

// Deliver sends a mail beside the queue and waits until the server has taken it.
// The error says, without anything personal, why it has not; one attempt is made.
func (s *Sender) Deliver(ctx context.Context, m voiceassist.Mail) error {
	if s.server == nil {
		s.outcome.WithLabelValues(unconfigured).Inc()
		return errors.New("SMTP_URL is not set")
	}
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	if err := s.hand(ctx, msg); err != nil {
		s.outcome.WithLabelValues(lost).Inc()
		return err
	}
	s.outcome.WithLabelValues(sent).Inc()
	return nil
}

// giveUp counts and logs a mail that is lost, without saying whose it was.
func (s *Sender) giveUp(ctx context.Context, m voiceassist.Mail, outcome string, why error) {
	s.outcome.WithLabelValues(outcome).Inc()
	s.o.Log.WarnContext(ctx, "a mail was not sent", slog.String("kind", string(m.Kind)), slog.String("outcome", outcome), slog.String("error", why.Error()))
}

// Close takes no more mails, and waits until those that wait are sent or ctx
// ends, which loses the rest.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.queue)
	}
	s.mu.Unlock()
	defer s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.stop()
	<-s.done
	return fmt.Errorf("mails were still waiting: %w", ctx.Err())
}

// work sends what comes until the queue is closed and empty.
func (s *Sender) work() {
	defer close(s.done)
	for m := range s.queue {
		if s.abort.Err() != nil {
			s.giveUp(s.abort, m, dropped, s.abort.Err())
			continue
		}
		if err := s.deliver(s.abort, m); err != nil {
			s.giveUp(s.abort, m, lost, err)
			continue
		}
		s.outcome.WithLabelValues(sent).Inc()
	}
}

// deliver hands a mail to the server, and tries again where that may help.
func (s *Sender) deliver(ctx context.Context, m voiceassist.Mail) error {
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := s.hand(ctx, msg)
		if err == nil || n == attempts || !passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryAfter):
		}
	}
}

// hand makes one attempt. Errors of the library name the recipient, so only
// what class they are of is told.
func (s *Sender) hand(ctx context.Context, msg *gomail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := s.server.send(ctx, msg)
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*gomail.SendError](err); ok {
		return &refusal{reason: refused.Reason.String(), passing: refused.IsTemp()}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return &refusal{reason: "the mail server cannot be reached", passing: true}
	}
	return &refusal{reason: "the mail server does not let us in"}
}

// refusal is why a mail was not taken, without anything personal.
type refusal struct {
	reason  string
	passing bool
}

func (r *refusal) Error() string { return r.reason }

// passing reports whether another attempt may succeed.
func passing(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.passing
}
