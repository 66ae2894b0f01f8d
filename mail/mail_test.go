package mail_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/mail"
	"github.com/voiceassist/backend/mail/mailtest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := goleak.Find(); status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func open(t *testing.T, o mail.Options) (sender *mail.Sender, log *bytes.Buffer, registry *prometheus.Registry) {
	t.Helper()
	log, registry = new(bytes.Buffer), prometheus.NewRegistry()
	o.Log, o.Registry = slog.New(slog.NewJSONHandler(log, nil)), registry
	o.From = "VoiceAssist <no-reply@example.org>"
	sender, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sender.Close(context.WithoutCancel(t.Context())) })
	return sender, log, registry
}

func outcomes(t *testing.T, r *prometheus.Registry, want string) {
	t.Helper()
	want = "# HELP voiceassist_mails_total Mails by what became of them.\n# TYPE voiceassist_mails_total counter\n" + want + "\n"
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "voiceassist_mails_total"); err != nil {
		t.Error(err)
	}
}

var reset = voiceassist.Mail{
	Kind: voiceassist.MailReset, To: "ada@example.org", Link: "https://app.example.org/reset-password?token=SECRETTOKEN234567", TTL: time.Hour,
}

func TestMailsArriveBeforeTheProcessEnds(t *testing.T) {
	t.Parallel()
	s := mailtest.Start(t, nil)
	sender, log, registry := open(t, mail.Options{URL: s.URL()})
	if err := sender.Ready(); err != nil {
		t.Error(err)
	}
	invitation := reset
	invitation.Kind, invitation.TTL = voiceassist.MailInvitation, 7*24*time.Hour
	sender.Send(t.Context(), reset)
	sender.Send(t.Context(), invitation)
	if err := sender.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.Mails()
	if len(got) != 2 {
		t.Fatalf("%d mails arrived, want 2", len(got))
	}
	for i, words := range [][]string{{"new VoiceAssist password", "an hour"}, {"invitation to VoiceAssist", "7 days"}} {
		text := strings.ReplaceAll(strings.ReplaceAll(got[i], "=\n", ""), "=3D", "=")
		for _, word := range append(words, reset.Link, "From: \"VoiceAssist\" <no-reply@example.org>", "To: <ada@example.org>", "Message-ID:") {
			if !strings.Contains(text, word) {
				t.Errorf("mail %d lacks %q:\n%s", i, word, text)
			}
		}
	}
	outcomes(t, registry, `voiceassist_mails_total{outcome="sent"} 2`)
	sender.Send(t.Context(), reset)
	outcomes(t, registry, "voiceassist_mails_total{outcome=\"dropped\"} 1\nvoiceassist_mails_total{outcome=\"sent\"} 2")
	checkLog(t, log)
}

// checkLog fails if the log holds what must not be there.
func checkLog(t *testing.T, log *bytes.Buffer) {
	t.Helper()
	for _, secret := range []string{"ada@", "SECRETTOKEN"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, log)
		}
	}
}

func TestAMailThatIsRefusedIsLostAndCounted(t *testing.T) {
	t.Parallel()
	s := mailtest.Start(t, nil)
	s.Deny("550 5.1.1 <ada@example.org>: no such user")
	sender, log, registry := open(t, mail.Options{URL: s.URL()})
	sender.Send(t.Context(), reset)
	if err := sender.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	outcomes(t, registry, `voiceassist_mails_total{outcome="lost"} 1`)
	if !strings.Contains(log.String(), "a mail was not sent") || len(s.Recipients()) != 1 {
		t.Errorf("%d attempts; log: %s", len(s.Recipients()), log)
	}
	checkLog(t, log)
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := mailtest.Start(t, gate)
	sender, log, registry := open(t, mail.Options{URL: s.URL(), Queue: 1})
	sender.Send(t.Context(), reset)
	gate <- struct{}{} // the first is under way
	for range 5 {
		sender.Send(t.Context(), reset)
	}
	close(gate)
	if err := sender.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	arrived := len(s.Mails())
	if arrived < 2 || arrived > 3 {
		t.Errorf("%d mails arrived of a queue of 1, want 2 or 3", arrived)
	}
	outcomes(t, registry, fmt.Sprintf("voiceassist_mails_total{outcome=\"dropped\"} %d\nvoiceassist_mails_total{outcome=\"sent\"} %d", 6-arrived, arrived))
	checkLog(t, log)
}

func TestClosingDoesNotWaitForAServerThatHangs(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := mailtest.Start(t, gate)
	sender, log, registry := open(t, mail.Options{URL: s.URL()})
	sender.Send(t.Context(), reset)
	sender.Send(t.Context(), reset)
	gate <- struct{}{} // the first is under way
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sender.Close(ctx); err == nil {
		t.Error("Close says that nothing waits")
	}
	outcomes(t, registry, "voiceassist_mails_total{outcome=\"dropped\"} 1\nvoiceassist_mails_total{outcome=\"lost\"} 1")
	close(gate)
	checkLog(t, log)
}

func TestWithoutAServerLinksAreShownToDevelopersOnly(t *testing.T) {
	t.Parallel()
	console, log, registry := open(t, mail.Options{Console: true})
	console.Send(t.Context(), reset)
	if console.Ready() != nil || !strings.Contains(log.String(), reset.Link) || strings.Contains(log.String(), "ada@") {
		t.Errorf("log: %s", log)
	}
	outcomes(t, registry, `voiceassist_mails_total{outcome="console"} 1`)

	silent, log, registry := open(t, mail.Options{})
	silent.Send(t.Context(), reset)
	if voiceassist.CodeOf(silent.Ready()) != voiceassist.Unavailable || !strings.Contains(log.String(), "unconfigured") {
		t.Errorf("log: %s", log)
	}
	outcomes(t, registry, `voiceassist_mails_total{outcome="unconfigured"} 2`)
	checkLog(t, log)
}

func TestURLsAndSendersAreChecked(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"smtp://host": true, "smtp://user:pass@host:25": true, "smtps://user:pass@host": true,
		"host:25": false, "http://host": false, "smtp://": false, "smtp://u:secret@host:port": false,
	} {
		err := mail.CheckURL(raw)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("CheckURL(%q) = %v", raw, err)
		}
	}
	if mail.CheckSender("nobody") == nil || mail.CheckSender("VoiceAssist <no-reply@example.org>") != nil {
		t.Error("CheckSender is wrong")
	}
}
