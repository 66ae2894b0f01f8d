package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/openaitest"
	"github.com/voiceassist/backend/postgrestest"
	"github.com/voiceassist/backend/qdrant"
	"github.com/voiceassist/backend/redis"
)

// ledgerRig is a rig with vectors, whose ledger and queue a test can tamper with.
type ledgerRig struct {
	*rig
	conn     *pgx.Conn
	queue    *redis.Queue
	embedder *countingEmbedder
}

func newLedgerRig(t *testing.T) *ledgerRig {
	t.Helper()
	url := postgrestest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	r := &ledgerRig{rig: newRigOn(t, url, qdrant.Options{Dim: openaitest.Dim}), conn: conn, embedder: &countingEmbedder{}}
	r.Embedder = r.embedder
	r.queue, _ = openQueue(t)
	return r
}

func (r *ledgerRig) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := r.conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (r *ledgerRig) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := r.conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// delete deletes a document that can be brought back for keep.
func (r *ledgerRig) delete(t *testing.T, id uuid.UUID, keep time.Duration) {
	t.Helper()
	if _, err := r.Ledger.DeleteDocument(t.Context(), id, keep); err != nil {
		t.Fatal(err)
	}
}

func (r *ledgerRig) collector() *Collector {
	return &Collector{Ledger: r.Ledger, Blobs: r.Blobs, Grace: time.Nanosecond, Log: r.Log}
}

// handbook is a text of several passages that no other number gives.
func handbook(number int) string {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "Chapter %d of handbook %d\n\nTablet %d of this handbook relieves headache number %d when it is taken early, with water, and not more than twice a day. ", i, number, i, i)
		fmt.Fprintf(&b, "Patients of ward %d should not take it without asking, and never with tablet %d.\n\n", i%7, i+1)
	}
	return b.String()
}

func TestADeletedDocumentIsBroughtBackWithoutReadingOrEmbeddingIt(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	id := r.upload(t, "a.txt", handbook(1)).Document.ID
	r.deliver(t)
	if _, err := r.Ledger.UpdateDocument(t.Context(), id, voiceassist.DocumentEdit{Title: new("An edited title")}); err != nil {
		t.Fatal(err)
	}
	r.deliverAll(t)
	before := r.document(t, id)
	reads, texts := r.broken.reads, r.embedder.texts.Load()

	r.delete(t, id, time.Hour)
	r.deliverAll(t)
	if _, total := r.points(t); total != 0 || r.found(t, qdrant.Query{Text: "headache"}) != 0 {
		t.Errorf("%d points of a deleted document", total)
	}
	if deleted, n, err := r.Ledger.DeletedDocuments(t.Context(), 0, 10); err != nil || n != 1 || deleted[0].ID != id || time.Until(deleted[0].PurgeAt) < 50*time.Minute {
		t.Errorf("to be brought back: %+v, %v", deleted, err)
	}

	back, err := r.Ledger.RestoreDocument(t.Context(), id)
	if err != nil || back.JobID == uuid.Nil {
		t.Fatalf("RestoreDocument = %+v, %v", back, err)
	}
	r.deliverAll(t)
	after := r.document(t, id)
	if after.State != voiceassist.DocumentIndexed || after.Title != before.Title || after.PassageCount != before.PassageCount {
		t.Errorf("brought back it is %+v, was %+v", after, before)
	}
	if active, total := r.points(t); active != before.PassageCount || total != active {
		t.Errorf("%d of %d points are seen, want %d", active, total, before.PassageCount)
	}
	if r.broken.reads != reads || r.embedder.texts.Load() != texts {
		t.Errorf("read %d times and embedded %d texts, want %d and %d as before", r.broken.reads, r.embedder.texts.Load(), reads, texts)
	}
	if n := r.count(t, `SELECT count(*) FROM jobs WHERE kind IN ('delete', 'purge') AND state IN ('pending', 'running')`); n != 0 {
		t.Errorf("%d jobs still want to remove it", n)
	}
	if n := r.count(t, `SELECT count(*) FROM jobs WHERE kind = 'purge' AND state = 'superseded'`); n != 1 {
		t.Errorf("%d purges were superseded, want 1", n)
	}
	again, err := r.Ledger.RestoreDocument(t.Context(), id)
	if err != nil || again.JobID != uuid.Nil || again.Document.ID != id {
		t.Errorf("brought back twice: %+v, %v; want the document and no job", again, err)
	}
}

func TestADocumentDeletedBeforeItWasIndexedIsIndexedWhenItIsBroughtBack(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	id := r.upload(t, "a.txt", handbook(1)).Document.ID
	r.delete(t, id, time.Hour)
	r.deliverAll(t)
	if _, err := r.Ledger.RestoreDocument(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.deliverAll(t)
	d := r.document(t, id)
	if active, _ := r.points(t); d.State != voiceassist.DocumentIndexed || active != d.PassageCount || active == 0 {
		t.Errorf("it is %s with %d passages and %d points", d.State, d.PassageCount, active)
	}
}

func TestADocumentThatWasUploadedAgainIsNotBroughtBack(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	id := r.upload(t, "a.txt", leaflet).Document.ID
	r.deliver(t)
	r.delete(t, id, time.Hour)
	other := r.upload(t, "a.txt", leaflet)
	_, err := r.Ledger.RestoreDocument(t.Context(), id)
	if voiceassist.CodeOf(err) != voiceassist.Conflict || !strings.Contains(err.Error(), other.Document.ID.String()) {
		t.Errorf("RestoreDocument = %v, want a Conflict that names %s", err, other.Document.ID)
	}
}

func TestADocumentWhoseTimeIsOverIsGone(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	id := r.upload(t, "a.txt", leaflet).Document.ID
	twin := r.upload(t, "b.txt", handbook(2)).Document.ID
	r.deliverAll(t)
	r.delete(t, id, time.Hour)
	r.deliverAll(t)
	if r.originals(t) != 2 || r.count(t, `SELECT count(*) FROM passages WHERE document_id = $1`, id) == 0 {
		t.Fatal("what could be brought back has lost its original or its text")
	}
	r.delete(t, id, 0) // for good, after all
	if _, err := r.Ledger.RestoreDocument(t.Context(), id); voiceassist.CodeOf(err) != voiceassist.Gone {
		t.Errorf("before it is purged: %v, want Gone", err)
	}
	r.deliverAll(t)
	if _, err := r.Ledger.RestoreDocument(t.Context(), id); voiceassist.CodeOf(err) != voiceassist.Gone {
		t.Errorf("after it was purged: %v, want Gone", err)
	}
	if _, err := r.Ledger.DeleteDocument(t.Context(), id, 0); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("deleted once more: %v, want NotFound", err)
	}
	if _, err := r.Ledger.RestoreDocument(t.Context(), uuid.New()); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("of nothing: %v, want NotFound", err)
	}
	if n := r.originals(t); n != 1 {
		t.Errorf("%d originals, want 1", n)
	}
	if n := r.count(t, `SELECT count(*) FROM passages WHERE document_id <> $1`, twin) + r.count(t, `SELECT count(DISTINCT sha256) FROM pages`) - 1; n != 0 {
		t.Errorf("%d passages or texts are left", n)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_entries WHERE resource_id = $1 AND action IN ('document.deleted', 'document.purge_requested', 'document.purged')`, id.String()); n != 3 {
		t.Errorf("%d audit entries tell of it, want 3", n)
	}
}

// TestABroughtBackDocumentWaitsForWhoeverStillRemovesIt: a worker has the
// deletion and stalls before it removes the points.
func TestABroughtBackDocumentWaitsForWhoeverStillRemovesIt(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	id := r.upload(t, "a.txt", leaflet).Document.ID
	r.deliver(t)
	r.delete(t, id, time.Hour)
	if _, _, started, err := r.Ledger.StartAttempt(t.Context(), r.due(t)[0], time.Minute); err != nil || !started {
		t.Fatalf("StartAttempt = %v, %v", started, err)
	}
	back, err := r.Ledger.RestoreDocument(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if wait := time.Until(r.job(t, back.JobID).RunAt); wait < 50*time.Second {
		t.Errorf("its points are written again after %s, want after the lease of a minute", wait)
	}
}

// TestDocumentsDeletedWhileTheyAreIndexedLeaveNothing deletes documents at
// random moments of their indexing, 40 of them or as many as DELETIONS says.
func TestDocumentsDeletedWhileTheyAreIndexedLeaveNothing(t *testing.T) {
	t.Parallel()
	n := 40
	if s := os.Getenv("DELETIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	r := newLedgerRig(t)
	r.Lease = 2 * time.Second // after which a deletion is done once more
	r.work(t, r.queue, 4)

	began := time.Now()
	whole := r.upload(t, "handbook.txt", handbook(n))
	eventually(t, "a document is indexed", func() bool { return r.job(t, whole.JobID).State == voiceassist.JobCompleted })
	takes := time.Since(began)
	r.delete(t, whole.Document.ID, 0)
	var uploads sync.WaitGroup
	moments := make(chan voiceassist.JobState, n)
	for first := range 4 {
		uploads.Go(func() {
			for i := first; i < n; i += 4 {
				a := r.upload(t, "handbook.txt", handbook(i))
				sleep(t.Context(), rand.N(takes)/2) // the moment; half of it is the way through the queue
				moments <- r.job(t, a.JobID).State
				r.delete(t, a.Document.ID, 0)
			}
		})
	}
	uploads.Wait()
	close(moments)
	states := make(map[voiceassist.JobState]int)
	for s := range moments {
		states[s]++
	}
	t.Logf("%d documents that take %s; states of their jobs when they were deleted: %v", n, takes, states)
	eventually(t, "all jobs have ended", func() bool {
		return r.count(t, `SELECT count(*) FROM jobs WHERE state IN ('pending', 'running', 'waiting')`) == 0
	})
	collector := r.collector()
	if _, err := collector.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := r.found(t, qdrant.Query{Text: "headache tablet"}); found != 0 {
		t.Errorf("a search finds %d passages", found)
	}
	if _, total := r.points(t); total != 0 {
		t.Errorf("the index has %d points", total)
	}
	for _, table := range []string{"passages", "generations", "pages", "extractions", "vectors"} {
		if n := r.count(t, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%d %s are left", n, table)
		}
	}
	if n := r.originals(t); n != 0 {
		t.Errorf("%d originals are left", n)
	}
	if n := r.count(t, `SELECT count(*) FROM documents WHERE purged_at IS NULL`); n != 0 {
		t.Errorf("%d documents were not purged", n)
	}
	if v := r.verify(t, VerifyOptions{Deep: true}); len(v.Counts) > 0 {
		t.Errorf("verification finds %+v", v.Differences)
	}
}

func TestWhatNothingRefersToIsCollected(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	kept := r.upload(t, "kept.txt", handbook(1)).Document.ID
	r.deliver(t)
	r.digest(t, kept)
	restorable := r.upload(t, "restorable.txt", leaflet).Document.ID
	r.deliver(t)
	r.digest(t, restorable)
	r.delete(t, restorable, time.Hour)
	r.deliverAll(t)
	was := r.snapshot(t)

	for _, key := range []string{"originals/never-committed", "files/never-committed"} {
		if err := r.Blobs.WriteAll(t.Context(), key, []byte("bytes"), nil); err != nil {
			t.Fatal(err)
		}
	}
	r.exec(t, `INSERT INTO pages (sha256, engine, number, text) VALUES ('aaaa', 'text/1', 1, 'A page.'), ('ffff', 'text/1', 1, 'A page.')`)
	r.exec(t, `INSERT INTO extractions (sha256, engine, page_count) VALUES ('aaaa', 'text/1', 1), ('bbbb', 'text/1', 1)`)
	r.exec(t, `INSERT INTO vectors (profile, text_sha256, vector) VALUES ($1, sha256('gone'), 'vector'), ('another/1', sha256('gone'), 'vector')`, r.embedder.Profile())
	r.exec(t, `INSERT INTO generations (document_id, number, engine, chunker) VALUES ($1, 2, 'text/1', 'test/1')`, kept)
	r.exec(t, `INSERT INTO passages (id, document_id, generation, ordinal, page, char_start, char_end, text, tokens)
		VALUES (gen_random_uuid(), $1, 2, 0, 1, 0, 1, 'A', 1)`, kept)

	patient := r.collector()
	patient.Grace = time.Hour
	if n, err := patient.Collect(t.Context()); err != nil || n != 4 {
		t.Errorf("with an hour of grace %d things were collected, %v; want the 4 rows of text that nobody can be adding to", n, err)
	}
	if n, err := r.collector().Collect(t.Context()); err != nil || n != 5 {
		t.Errorf("%d things were collected, %v; want 2 blobs, 2 vectors and a passage", n, err)
	}
	if now := r.snapshot(t); now != was {
		t.Errorf("after collecting there are %s, want %s", now, was)
	}
	if n, err := r.collector().Collect(t.Context()); err != nil || n != 0 {
		t.Errorf("a second turn collected %d, %v", n, err)
	}
}

func TestVectorsOfAProfileThatDoesNotTellWhoseTheyAreAreKept(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	id := r.upload(t, "a.txt", handbook(1)).Document.ID
	r.deliver(t)
	r.exec(t, `UPDATE passages SET vector_sha256 = NULL`) // as before passages had it
	was := r.snapshot(t)
	if n, err := r.collector().Collect(t.Context()); err != nil || n != 0 {
		t.Errorf("%d things were collected, %v", n, err)
	}
	if now := r.snapshot(t); now != was {
		t.Errorf("after collecting there are %s, want %s", now, was)
	}
	r.delete(t, id, 0)
	r.deliverAll(t)
	if _, err := r.collector().Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.count(t, `SELECT count(*) FROM vectors`); n != 0 {
		t.Errorf("%d vectors of a library without documents", n)
	}
}

// digest notes on the passages of a document which vectors are theirs.
func (r *ledgerRig) digest(t *testing.T, id uuid.UUID) {
	t.Helper()
	d := r.document(t, id)
	passages, err := r.Ledger.GenerationPassages(t.Context(), id, d.Generation, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	title, _, err := r.Ledger.EmbeddedAs(t.Context(), id, d.Generation)
	if err != nil {
		t.Fatal(err)
	}
	_, digests := digestTexts(title, passages)
	for i, p := range passages {
		r.exec(t, `UPDATE passages SET vector_sha256 = $2 WHERE id = $1`, p.ID, digests[i])
	}
}

// snapshot counts what a collection could take away.
func (r *ledgerRig) snapshot(t *testing.T) string {
	t.Helper()
	blobs := 0
	for it := r.Blobs.List(&blob.ListOptions{}); ; blobs++ {
		if _, err := it.Next(t.Context()); err != nil {
			break
		}
	}
	s := fmt.Sprint(blobs, " blobs")
	for _, table := range []string{"pages", "extractions", "vectors", "passages"} {
		s += fmt.Sprint(", ", r.count(t, `SELECT count(*) FROM `+table), " ", table)
	}
	return s
}
