package pipeline

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

func TestURLsThatNoWebhookCanBeSentToAreRefused(t *testing.T) {
	t.Parallel()
	long := "https://example.org/" + strings.Repeat("a", voiceassist.MaxWebhookURL)
	for url, want := range map[string]bool{
		"https://example.org/hook?key=secret": true, "http://receiver.hospital.example:8080/": true, "HTTPS://EXAMPLE.ORG": true,
		"http://10.0.0.7/hook": true, "https://[fd12::1]:8443/": true, long[:voiceassist.MaxWebhookURL]: true,
		long: false, "": false, "example.org/hook": false, "//example.org/hook": false, "gopher://example.org/": false, "mailto:ada@example.org": false,
		"https:///hook": false, "https://:443/hook": false, "https://exa mple.org/": false, "https://example.org:99999/": false, "https://example.org:0/": false,
		"https://example.org/%zz": false, "https://example.org/\n": false, "https://ada:secret@example.org/": false, "https://ada@example.org/": false,
		"http://localhost/": false, "http://api.localhost:80/": false, "http://LOCALHOST./": false, "http://127.0.0.1/": false, "http://[::1]:80/": false,
		"http://169.254.169.254/latest/": false, "http://[fe80::1%25eth0]/": false, "http://0.0.0.0/": false, "http://[::ffff:127.0.0.1]/": false,
	} {
		err := CheckWebhookURL(url, false)
		if (err == nil) != want {
			t.Errorf("CheckWebhookURL(%.60q) = %v, want allowed %t", url, err, want)
		}
		if err != nil && (voiceassist.CodeOf(err) != voiceassist.Invalid || strings.Contains(err.Error(), "secret")) {
			t.Errorf("CheckWebhookURL(%.60q) = %v, want Invalid and no secret", url, err)
		}
	}
	for _, url := range []string{"http://localhost:8080/", "http://127.0.0.1:1/", "http://[::1]/"} {
		if err := CheckWebhookURL(url, true); err != nil {
			t.Errorf("for development: CheckWebhookURL(%q) = %v", url, err)
		}
	}
	if err := CheckWebhookURL("http://169.254.169.254/", true); err == nil {
		t.Error("for development the address of a cloud's secrets is allowed")
	}
}

// TestAWebhookThatCanNeverArriveIsGivenUpAtOnce has three of them: the receiver is
// gone for good, the address is none, and the address is ours; and one that is
// only not there yet.
func TestAWebhookThatCanNeverArriveIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	calls := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/gone" {
			calls++
			w.WriteHeader(http.StatusGone)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer receiver.Close()
	n := NewNotifier(Notifier{Ledger: r.Ledger, Secret: "a secret of webhooks", Loopback: true, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	batches := make(map[string]uuid.UUID)
	for _, url := range []string{receiver.URL + "/gone", "gopher://example.org/", "http://169.254.169.254/", receiver.URL + "/not-there-yet"} {
		b, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", WebhookURL: url}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Ledger.CloseBatch(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
		batches[url] = b.ID
	}
	if ended, err := n.EndBatches(t.Context()); err != nil || ended != len(batches) {
		t.Fatalf("EndBatches = %d, %v", ended, err)
	}
	for range 2 {
		if _, err := n.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.sql(t, `UPDATE notices SET next_at = now()`)
	}
	for url, id := range batches {
		notices := r.batch(t, id).Notices
		if len(notices) != 1 {
			t.Fatalf("%s: the notices are %+v, want one", url, notices)
		}
		given, attempts := notices[0].GivenUpAt != nil, 1
		if strings.HasSuffix(url, "yet") {
			given, attempts = !given, 2
		}
		if !given || notices[0].Attempts != attempts || notices[0].DeliveredAt != nil || notices[0].LastError == "" {
			t.Errorf("%s: the notice is %+v", url, notices[0])
		}
	}
	if calls != 1 {
		t.Errorf("the receiver that is gone was called %d times, want once", calls)
	}
}

func TestWhatLeadsToThisMachineIsGivenUpWhenItIsDialled(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.NotFoundHandler())
	defer receiver.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, receiver.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := newWebhookClient(false).Do(req)
	if err == nil {
		reply.Body.Close()
		t.Fatal("this machine was called")
	}
	if err := hideAddress(err); errors.Is(err, errNever) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("dialling this machine is %v, want a refusal that names it", err)
	}
}
