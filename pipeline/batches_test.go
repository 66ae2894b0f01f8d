package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

func entryOf(name, content string) voiceassist.ManifestEntry {
	sum := sha256.Sum256([]byte(content))
	return voiceassist.ManifestEntry{Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

// openBatch opens a batch whose manifest lists files with these contents, each
// under its content as a name.
func (r *rig) openBatch(t *testing.T, contents ...string) uuid.UUID {
	t.Helper()
	var entries []voiceassist.ManifestEntry
	for _, content := range contents {
		entries = append(entries, entryOf(content, content))
	}
	b, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", Manifest: true}, entries)
	if err != nil {
		t.Fatal(err)
	}
	return b.ID
}

func (r *rig) load(t *testing.T, batch uuid.UUID, content string) voiceassist.Accepted {
	t.Helper()
	received, err := r.in.Receive(t.Context(), "a.txt", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.in.Commit(t.Context(), received, voiceassist.DocumentMeta{BatchID: &batch, BatchName: content, Queue: voiceassist.QueueBulk})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *rig) batch(t *testing.T, id uuid.UUID) voiceassist.Batch {
	t.Helper()
	b, err := r.Ledger.Batch(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *rig) endBatches(t *testing.T) int {
	t.Helper()
	n, err := r.Ledger.EndBatches(t.Context(), composeNotice)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAFileThatWasReceivedAndNotCommittedIsStillAwaited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one", "two")
	if _, err := r.in.Receive(t.Context(), "a.txt", strings.NewReader("one")); err != nil { // and the process ends
		t.Fatal(err)
	}
	r.load(t, id, "two")
	if a := r.batch(t, id).Account; a != (voiceassist.BatchAccount{Declared: 2, Awaited: 1, Accepted: 1, InFlight: 1}) {
		t.Errorf("the account is %+v, want one awaited and one in flight", a)
	}
}

func TestAPausedBatchTakesFilesAndWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one", "two")
	if _, err := r.Ledger.PauseBatch(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.load(t, id, "one")
	other := r.upload(t, "b.txt", "somebody else's")
	if n := r.deliver(t); n != 1 || r.document(t, other.Document.ID).State != voiceassist.DocumentIndexed {
		t.Errorf("%d jobs ran, want that of the other document alone", n)
	}
	if _, err := r.Ledger.PauseBatch(t.Context(), id); voiceassist.CodeOf(err) != voiceassist.Conflict {
		t.Errorf("pausing again is %v, want Conflict", err)
	}
	r.load(t, id, "two")
	if b, err := r.Ledger.ResumeBatch(t.Context(), id); err != nil || b.State() != voiceassist.BatchOpen {
		t.Fatalf("ResumeBatch = %v, %v", b.State(), err)
	}
	if n := r.deliver(t); n != 2 || r.batch(t, id).Account.Indexed != 2 {
		t.Errorf("%d jobs ran, %+v; want two indexed", n, r.batch(t, id).Account)
	}
	if n := r.endBatches(t); n != 1 || r.batch(t, id).EndedAt == nil {
		t.Errorf("%d batches ended, want one", n)
	}
}

func TestABatchGoesOnWhenOneOfItsJobsIsRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	opened, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "without a manifest"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := opened.ID
	a := r.load(t, id, "one")
	if _, err := r.Ledger.CancelBatch(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if r.endBatches(t) != 1 {
		t.Fatal("the cancelled batch did not end")
	}
	if _, err := r.Ledger.RetryJob(t.Context(), a.JobID); err != nil {
		t.Fatal(err)
	}
	if b := r.batch(t, id); b.State() != voiceassist.BatchClosed || b.EndedAt != nil || b.Account.InFlight != 1 {
		t.Errorf("the batch is %s, %+v; want it closed and at work", b.State(), b.Account)
	}
	if r.endBatches(t) != 0 {
		t.Error("the batch ended while its document was in flight")
	}
	r.deliver(t)
	if r.endBatches(t) != 1 || r.batch(t, id).Account.Indexed != 1 {
		t.Errorf("the account is %+v; want the document indexed and the batch ended again", r.batch(t, id).Account)
	}
}

func TestACancelledBatchKeepsWhatIsIndexedAndCanBeRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one", "two", "three")
	r.load(t, id, "one")
	r.deliver(t)
	r.load(t, id, "two")
	for range 2 {
		b, err := r.Ledger.CancelBatch(t.Context(), id)
		if want := (voiceassist.BatchAccount{Declared: 3, Accepted: 3, Indexed: 1, Cancelled: 2}); err != nil || b.Account != want {
			t.Fatalf("CancelBatch = %+v, %v; want %+v", b.Account, err, want)
		}
	}
	if n := r.deliver(t); n != 0 {
		t.Errorf("%d jobs ran after the batch was cancelled", n)
	}
	if r.endBatches(t) != 1 {
		t.Error("the cancelled batch did not end")
	}
	if b, n, err := r.Ledger.RetryBatch(t.Context(), id); err != nil || n != 1 || b.State() != voiceassist.BatchClosed {
		t.Fatalf("RetryBatch = %d, %v, %v; want one document of a batch that takes no more", n, b.State(), err)
	}
	if r.endBatches(t) != 0 {
		t.Error("the batch ended while a document was in flight")
	}
	r.deliver(t)
	if a := r.batch(t, id).Account; a.Indexed != 2 || a.Cancelled != 1 || a.Imbalance != 0 {
		t.Errorf("after the retry the account is %+v", a)
	}
	if r.endBatches(t) != 1 {
		t.Error("the batch did not end again")
	}
	if _, _, err := r.Ledger.RetryBatch(t.Context(), id); voiceassist.CodeOf(err) != voiceassist.Conflict {
		t.Errorf("a retry without anything to retry is %v, want Conflict", err)
	}
}

func TestADuplicateOfAFailedDocumentHasTheDocumentsFate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	broken := r.upload(t, "a.pdf", "%PDF-1.4 nothing")
	r.deliver(t)
	id := r.openBatch(t, "%PDF-1.4 nothing")
	if a := r.load(t, id, "%PDF-1.4 nothing"); !a.Duplicate || a.Document.ID != broken.Document.ID {
		t.Errorf("the upload is %+v, want a duplicate", a)
	}
	if a := r.batch(t, id).Account; a.InFlight != 1 || a.Duplicate != 0 {
		t.Errorf("the account is %+v, want one in flight", a)
	}
	r.deliver(t)
	if a := r.batch(t, id).Account; a.Failed != 1 || a.Imbalance != 0 {
		t.Errorf("the account is %+v, want one failed", a)
	}
}

func TestALostDocumentIsAnImbalance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one", "two")
	lost := r.load(t, id, "one")
	r.load(t, id, "two")
	if batches, library, err := r.Ledger.Imbalances(t.Context()); err != nil || batches != 0 || library != 0 {
		t.Errorf("Imbalances = %d, %d, %v; want none", batches, library, err)
	}
	r.sql(t, `DELETE FROM jobs WHERE id = $1`, lost.JobID)
	if batches, library, err := r.Ledger.Imbalances(t.Context()); err != nil || batches != 1 || library != 1 {
		t.Errorf("Imbalances = %d, %d, %v; want 1 and 1", batches, library, err)
	}
	r.deliver(t)
	if r.endBatches(t) != 0 {
		t.Error("a batch ended that has lost a file")
	}
	files, total, err := r.Ledger.BatchFiles(t.Context(), id, voiceassist.BatchFileFilter{Fate: voiceassist.FateLost, Limit: 10})
	if err != nil || total != 1 || files[0].Name != "one" || files[0].Message == "" {
		t.Errorf("the lost files are %+v, %d, %v; want the one", files, total, err)
	}
}

func TestADeletedDocumentCountsAsCancelledAlsoWhenItsRowIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one")
	a := r.load(t, id, "one")
	if _, err := r.Ledger.DeleteDocument(t.Context(), a.Document.ID, 0); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"hidden", "purged"} {
		if step == "purged" {
			r.sql(t, `DELETE FROM documents WHERE id = $1`, a.Document.ID)
		}
		files, _, err := r.Ledger.BatchFiles(t.Context(), id, voiceassist.BatchFileFilter{Limit: 1})
		if err != nil || files[0].Fate != voiceassist.FateCancelled || files[0].Reason != "deleted" || r.batch(t, id).Account.Imbalance != 0 {
			t.Errorf("%s: %+v, %v", step, files, err)
		}
	}
}

func TestTheSameBytesUploadedIntoABatchAtOnceAreOneDocument(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entries := []voiceassist.ManifestEntry{entryOf("a", "same"), entryOf("b", "same"), entryOf("c", "same"), entryOf("d", "same")}
	b, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "twins", Manifest: true}, entries)
	if err != nil {
		t.Fatal(err)
	}
	var uploading sync.WaitGroup
	for _, e := range entries {
		uploading.Go(func() {
			received, err := r.in.Receive(t.Context(), e.Name, strings.NewReader("same"))
			if err == nil {
				_, err = r.in.Commit(t.Context(), received, voiceassist.DocumentMeta{BatchID: &b.ID, BatchName: e.Name})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	uploading.Wait()
	if a := r.batch(t, b.ID).Account; a.InFlight != 1 || a.Duplicate != 3 || a.Imbalance != 0 {
		t.Errorf("the account is %+v, want one in flight and three duplicates", a)
	}
	if n := r.originals(t); n != 1 {
		t.Errorf("%d originals are kept, want 1", n)
	}
}

// sql runs a statement behind the ledger's back.
func (r *rig) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// mailbox keeps mails, or refuses them.
type mailbox struct {
	mails  []voiceassist.Mail
	refuse error
}

func (m *mailbox) Deliver(_ context.Context, mail voiceassist.Mail) error {
	if m.refuse == nil {
		m.mails = append(m.mails, mail)
	}
	return m.refuse
}

func TestAWebhookIsSignedAndSentUntilItArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	statuses := []int{http.StatusInternalServerError, http.StatusFound, http.StatusNoContent}
	var calls []http.Header
	var bodies []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(statuses[len(calls)])
		calls, bodies = append(calls, req.Header), append(bodies, string(body))
	}))
	defer receiver.Close()
	n := NewNotifier(Notifier{Ledger: r.Ledger, Secret: "a secret of webhooks", Loopback: true, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	b, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", WebhookURL: receiver.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ledger.CloseBatch(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if ended, err := n.EndBatches(t.Context()); err != nil || ended != 1 {
		t.Fatalf("EndBatches = %d, %v", ended, err)
	}
	for i := range statuses {
		if tried, err := n.Send(t.Context()); err != nil || tried != 1 {
			t.Fatalf("attempt %d: Send = %d, %v", i+1, tried, err)
		}
		if tried, err := n.Send(t.Context()); err != nil || tried != 0 {
			t.Errorf("attempt %d was made again at once: %d, %v", i+1, tried, err)
		}
		r.sql(t, `UPDATE notices SET next_at = now()`)
	}
	if tried, err := n.Send(t.Context()); err != nil || tried != 0 {
		t.Errorf("what has arrived was sent again: %d, %v", tried, err)
	}
	if len(calls) != 3 {
		t.Fatalf("the receiver was called %d times, want 3", len(calls))
	}
	for i, header := range calls {
		stamp, _, _ := strings.Cut(strings.TrimPrefix(header.Get(voiceassist.WebhookSignature), "t="), ",")
		at, err := time.ParseDuration(stamp + "s")
		if want := Sign("a secret of webhooks", bodies[i], time.Unix(0, 0).Add(at)); err != nil || header.Get(voiceassist.WebhookSignature) != want {
			t.Errorf("signature %q, want %q", header.Get(voiceassist.WebhookSignature), want)
		}
		if bodies[i] != bodies[0] || header.Get(voiceassist.WebhookNotice) != calls[0].Get(voiceassist.WebhookNotice) {
			t.Errorf("attempt %d says something else than the first", i+1)
		}
	}
}

func TestANoticeIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	box := &mailbox{refuse: errors.New("not now")}
	n := NewNotifier(Notifier{Ledger: r.Ledger, Mailer: box, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	user := uuid.New()
	r.sql(t, `INSERT INTO users (id, email, password_hash) VALUES ($1, 'ada@example.org', '')`, user)
	b, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", Notify: true, CreatedBy: &user}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ledger.CloseBatch(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := n.EndBatches(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting := func(want int) {
		t.Helper()
		if _, err := n.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Ledger.WaitingNotices(t.Context()); err != nil || got != want {
			t.Errorf("%d notices wait, %v; want %d", got, err, want)
		}
	}
	waiting(1)
	r.sql(t, `UPDATE notices SET next_at = now(), created_at = now() - interval '25 hours'`)
	waiting(0)
	box.refuse = nil
	r.sql(t, `UPDATE notices SET next_at = now(), created_at = now(), given_up_at = NULL`)
	waiting(0)
	if len(box.mails) != 1 || box.mails[0].To != "ada@example.org" || !strings.Contains(box.mails[0].Text, `"a load"`) {
		t.Errorf("the mails are %+v", box.mails)
	}
}

func TestWebhooksDoNotReachThisMachineOrItsCloud(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"93.184.216.34": true, "10.0.0.7": true, "192.168.1.4": true, "fd12::1": true, "2606:2800::1": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "169.254.169.254": false, "fe80::1": false, "100.100.100.200": false,
		"::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "fd00:ec2::254": false, "224.0.0.1": false, "255.255.255.255": false,
	} {
		err := checkTarget(netip.AddrPortFrom(netip.MustParseAddr(addr), 443).String(), false)
		if (err == nil) != want {
			t.Errorf("checkTarget(%s) = %v, want allowed %t", addr, err, want)
		}
	}
	if err := checkTarget("127.0.0.1:80", true); err != nil {
		t.Errorf("for development: %v", err)
	}
}
