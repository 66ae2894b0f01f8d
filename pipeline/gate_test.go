package pipeline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/openai"
	"github.com/voiceassist/backend/openaitest"
	"github.com/voiceassist/backend/qdrant"
)

// throttle is how long the embedding service refuses requests in a test.
var throttle = flag.Duration("throttle", 3*time.Second, "how long the embedding service is busy")

// newGatedRig is a rig with an embedding service behind a gate.
func newGatedRig(t *testing.T) (*rig, *openaitest.Server) {
	t.Helper()
	r, service := newRig(t), openaitest.New(t, nil)
	client, err := openai.Open(openai.Options{
		BaseURL: service.URL, EmbeddingModel: "test", EmbeddingDim: openaitest.Dim, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r.index = openIndex(t, qdrant.Options{Dim: openaitest.Dim})
	r.broken.Index, r.Embedder = r.index, client
	r.Gate = &LedgerGate{Ledger: r.Ledger, Log: r.Log}
	return r, service
}

// TestABusyEmbeddingServiceCostsNoDocumentAndNoAttempt throttles the service as
// long as -throttle says, with Retry-After, while documents arrive.
func TestABusyEmbeddingServiceCostsNoDocumentAndNoAttempt(t *testing.T) {
	t.Parallel()
	r, service := newGatedRig(t)
	queue, _ := openQueue(t)
	const workers, n = 4, 40
	r.work(t, queue, workers)

	service.RefuseEmbeddings(http.StatusTooManyRequests, strconv.FormatFloat(throttle.Seconds(), 'f', -1, 64))
	began, over := time.Now(), time.After(*throttle)
	var jobs []voiceassist.Accepted
	for i := range n {
		jobs = append(jobs, r.upload(t, fmt.Sprintf("%d.txt", i), fmt.Sprintf("Leaflet %d. %s", i, leaflet)))
	}
	eventually(t, "all documents are read and wait at the gate", func() bool {
		b, err := r.Ledger.Backlogs(t.Context())
		return err == nil && b[voiceassist.QueueDefault].Gated == n
	})
	if g, err := r.Ledger.Gates(t.Context()); err != nil || g[0].Open || g[0].Reason != voiceassist.GatePacedReason {
		t.Errorf("the gate is %+v, %v; want it paced", g, err)
	}
	<-over
	service.RefuseEmbeddings(0, "")
	refused := len(service.Embedded())
	waves := 1 + int(time.Since(began) / *throttle) // more than two on a slow machine only
	eventually(t, "all documents are indexed", func() bool {
		s, err := r.Ledger.LibraryStats(t.Context())
		return err == nil && s.ByState[voiceassist.DocumentIndexed] == n
	})
	for _, a := range jobs {
		if j := r.job(t, a.JobID); j.Attempts-j.GivenBack != 1 {
			t.Errorf("%d attempts, of which %d were given back; want 1 that counts", j.Attempts, j.GivenBack)
		}
	}
	// The first wave is as wide as the worker, and then one probes at a time.
	if refused > workers+waves {
		t.Errorf("%d requests were sent to a busy service, want at most %d", refused, workers+waves)
	}
	t.Logf("busy for %s: %d documents, %d requests refused, %d sent in all", *throttle, n, refused, len(service.Embedded()))
}

func TestADocumentThatWaitsAtTheGateSaysWhy(t *testing.T) {
	t.Parallel()
	r, service := newGatedRig(t)
	service.RefuseEmbeddings(http.StatusTooManyRequests, "60")
	first := r.upload(t, "a.txt", "Aspirin helps.")
	r.deliver(t)
	second := r.upload(t, "b.txt", "Ibuprofen helps.")
	r.deliver(t)
	for _, c := range []struct {
		a   voiceassist.Accepted
		why string
	}{{first, "the service asks to wait"}, {second, "the embedding service asks to wait"}} {
		j := r.job(t, c.a.JobID)
		last := j.Timeline[len(j.Timeline)-1]
		if j.Gate != voiceassist.GateEmbed || last.Result != "paced" || last.Detail != c.why || time.Until(j.RunAt) < 30*time.Second {
			t.Errorf("the job waits at %q until %s, and says %+v; want %q", j.Gate, j.RunAt, last, c.why)
		}
	}
	if n := len(service.Embedded()); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
}

func TestAnOutageOpensTheBreakerAndBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	r, service := newGatedRig(t)
	service.RefuseEmbeddings(http.StatusBadGateway, "")
	var jobs []voiceassist.Accepted
	for i := range 8 {
		jobs = append(jobs, r.upload(t, fmt.Sprintf("%d.txt", i), fmt.Sprintf("Leaflet %d. %s", i, leaflet)))
	}
	r.deliver(t)
	if n := len(service.Embedded()); n != 5 {
		t.Errorf("%d requests were sent before the breaker opened, want 5", n)
	}
	if g, err := r.Ledger.Gates(t.Context()); err != nil || g[0].Open || g[0].Reason != voiceassist.GateFailingReason || g[0].Failures != 5 {
		t.Errorf("the gate is %+v, %v; want it failing", g, err)
	}
	for _, a := range jobs {
		if j := r.job(t, a.JobID); j.Gate != voiceassist.GateEmbed || j.Attempts != j.GivenBack || j.State != voiceassist.JobPending {
			t.Errorf("the job is %s at %q after %d attempts, %d given back", j.State, j.Gate, j.Attempts, j.GivenBack)
		}
	}
}

func TestTheGateReadsTheEndOfARequest(t *testing.T) {
	t.Parallel()
	r, _ := newGatedRig(t)
	gate := r.Gate.(*LedgerGate)
	gate.RequestsPerMinute = 1
	if err := gate.Enter(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	var paced *voiceassist.Paced
	if err := gate.Enter(t.Context(), 1, 1); !errors.As(err, &paced) || paced.After < 50*time.Second || !strings.Contains(whyPaced(paced), "limit") {
		t.Errorf("the second request of a minute is %v, want paced for the rest of it", err)
	}
	for range 10 {
		gate.Left(t.Context(), context.Canceled)
		gate.Left(t.Context(), voiceassist.Fail(voiceassist.ReasonEmbedding, "too long"))
	}
	for range 4 {
		gate.Left(t.Context(), errors.New("500"))
	}
	if g, err := r.Ledger.Gates(t.Context()); err != nil || !g[0].Open || g[0].Failures != 4 {
		t.Errorf("the gate is %+v, %v; want it open after four failures", g, err)
	}
}
