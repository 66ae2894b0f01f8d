package pipeline

import (
	"context"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/mail"
	"github.com/voiceassist/backend/mail/mailtest"
)

// TestTheEndOfABatchIsMailedToWhoOpenedIt has a mail server that is busy at first.
func TestTheEndOfABatchIsMailedToWhoOpenedIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := mailtest.Start(t, nil)
	log := slog.New(slog.DiscardHandler)
	sender, err := mail.New(mail.Options{URL: server.URL(), From: "VoiceAssist <no-reply@example.org>", Registry: prometheus.NewRegistry(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sender.Close(context.WithoutCancel(t.Context())) })
	n := NewNotifier(Notifier{Ledger: r.Ledger, Mailer: sender, Registry: prometheus.NewRegistry(), Log: log})
	user := uuid.New()
	r.sql(t, `INSERT INTO users (id, email, password_hash) VALUES ($1, 'ada@example.org', '')`, user)
	b, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "Leitlinien für Ärzte", Manifest: true, Notify: true, CreatedBy: &user},
		[]voiceassist.ManifestEntry{entryOf("one", "one"), entryOf("two", "two")})
	if err != nil {
		t.Fatal(err)
	}
	r.load(t, b.ID, "one")
	r.deliver(t)
	r.load(t, b.ID, "two")
	r.failing(func() { r.deliver(t) })
	if ended, err := n.EndBatches(t.Context()); ended != 1 || err != nil {
		t.Fatalf("EndBatches = %d, %v", ended, err)
	}

	server.Deny("451 4.3.0 busy, try again")
	send(t, n)
	if notices := r.batch(t, b.ID).Notices; len(notices) != 1 || notices[0].LastError == "" || notices[0].DeliveredAt != nil || notices[0].GivenUpAt != nil {
		t.Errorf("while the server is busy the notices are %+v, want one that waits", notices)
	}
	server.Deny("")
	for range 2 {
		r.sql(t, `UPDATE notices SET next_at = now()`)
		send(t, n)
	}
	if notices := r.batch(t, b.ID).Notices; notices[0].DeliveredAt == nil || notices[0].Attempts != 2 || notices[0].LastError != "" {
		t.Errorf("at last the notice is %+v, want it delivered by the second attempt", notices[0])
	}
	mails := server.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails came, want 1", len(mails))
	}
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(mails[0])))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"To: <ada@example.org>", "Subject: A VoiceAssist batch has ended", `The batch "Leitlinien für Ärzte" has ended`,
		"2 files were announced or came", "1 were indexed", "1 failed", b.ID.String() + "/files.csv",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in the mail:\n%s", want, text)
		}
	}
}

// send has the notices that are due sent.
func send(t *testing.T, n *Notifier) {
	t.Helper()
	if _, err := n.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
}
