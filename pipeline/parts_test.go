package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/qdrant"
)

// pagesReader counts the pages that are read, and does something first when a
// test has it.
type pagesReader struct {
	Reader

	mu     sync.Mutex
	read   map[int]int // times, by number
	before func(voiceassist.PageRange) error
}

func (r *pagesReader) set(before func(voiceassist.PageRange) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

func (r *pagesReader) Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	if before != nil {
		if err := before(pages); err != nil {
			return voiceassist.FileInfo{}, "", err
		}
	}
	return r.Reader.Extract(ctx, mediaType, path, pages, func(p voiceassist.Page) error {
		r.mu.Lock()
		r.read[p.Number]++
		r.mu.Unlock()
		return emit(p)
	})
}

// times returns how often pages from first to last were read: the fewest and
// the most.
func (r *pagesReader) times(first, last int) (fewest, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fewest = r.read[first]
	for n := first; n <= last; n++ {
		fewest, most = min(fewest, r.read[n]), max(most, r.read[n])
	}
	return fewest, most
}

// newPDFRig is a rig whose readers read PDF.
func newPDFRig(t *testing.T) (*rig, *pagesReader) {
	t.Helper()
	r := newRig(t)
	pool, err := extract.NewPool(extract.Options{Args: []string{childArg, filepath.Join(os.TempDir(), "voiceassist-pipeline-test")}, Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close(context.WithoutCancel(t.Context())) })
	reader := &pagesReader{Reader: pool, read: make(map[int]int)}
	r.Reader = reader
	return r, reader
}

// pdfPages makes a PDF of n pages, each of which says its number in words of its
// own.
func pdfPages(n int) string {
	var b bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(offsets)}, args...)...)
	}
	b.WriteString("%PDF-1.4\n")
	var kids strings.Builder
	for i := range n {
		fmt.Fprintf(&kids, "%d 0 R ", 4+2*i)
	}
	object("<</Type/Catalog/Pages 2 0 R>>")
	object("<</Type/Pages/Kids[%s]/Count %d>>", kids.String(), n)
	object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
	for i := range n {
		content := fmt.Sprintf("BT /F 10 Tf 50 %d Td (Patient group%d took medicine%d on day%d.) Tj ET", 700-i%300, i, i, i)
		object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>", 5+2*i)
		object("<</Length %d>>stream\n%s\nendstream", len(content), content)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, start)
	return b.String()
}

// handle has one worker do some deliveries.
func (r *rig) handle(ctx context.Context, deliveries ...voiceassist.Delivery) {
	for _, d := range deliveries {
		r.Handle(ctx, d)
	}
}

func TestALargePDFIsReadInPartsByTwoWorkers(t *testing.T) {
	t.Parallel()
	r, reader := newPDFRig(t)
	a := r.upload(t, "large.pdf", pdfPages(200))
	r.deliver(t)
	j := r.job(t, a.JobID)
	if j.State != voiceassist.JobWaiting || j.Attempts != j.GivenBack || j.Processed != 2 || j.Total != 200 {
		t.Fatalf("the job is %+v, want it waiting with the first two of 200 pages", j)
	}
	parts := r.due(t)
	if len(parts) != 4 { // of 50 pages, the last of 48
		t.Fatalf("%d parts, want 4", len(parts))
	}
	var workers sync.WaitGroup
	workers.Go(func() { r.handle(t.Context(), parts[:2]...) })
	workers.Go(func() { r.handle(t.Context(), parts[2]) })
	workers.Wait()
	if j := r.job(t, a.JobID); j.State != voiceassist.JobWaiting || j.Processed != 152 || j.Progress == 0 || j.Progress >= extractedPercent {
		t.Errorf("with one part left the job is %+v", j)
	}
	r.handle(t.Context(), parts[3])
	r.deliver(t)
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentIndexed || d.PageCount != 200 || d.PassageCount != 200 || d.Generation != 1 {
		t.Errorf("the document is %+v", d)
	}
	if fewest, most := reader.times(1, 200); fewest != 1 || most != 1 {
		t.Errorf("pages were read between %d and %d times, want once", fewest, most)
	}
	var named []int
	for _, e := range r.job(t, a.JobID).Timeline {
		if e.Part != nil && e.Result == "done" && e.Took > 0 {
			named = append(named, e.Part.First, e.Part.Last)
		}
	}
	slices.Sort(named)
	if want := []int{3, 52, 53, 102, 103, 152, 153, 200}; !slices.Equal(named, want) {
		t.Errorf("the timeline has parts from and to %v, want %v", named, want)
	}
	if _, total, err := r.Ledger.Jobs(t.Context(), voiceassist.JobFilter{DocumentID: &d.ID, Limit: 10}); err != nil || total != 1 {
		t.Errorf("%d jobs are listed, %v; want the parts left out", total, err)
	}
}

// titlingReader tells a title when it reads page 1.
type titlingReader struct{ Reader }

const firstPageTitle = "What page 1 says"

func (r titlingReader) Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	info, engine, err := r.Reader.Extract(ctx, mediaType, path, pages, emit)
	if pages.Has(1) {
		info.Title = firstPageTitle
	}
	return info, engine, err
}

func TestALargePDFHasTheTitleOfPage1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		amid func(*testing.T, *rig, voiceassist.Accepted)
	}{
		{"read", func(*testing.T, *rig, voiceassist.Accepted) {}},
		{"read by a worker that died before it told", func(t *testing.T, r *rig, _ voiceassist.Accepted) {
			t.Helper()
			storePage1(t, r, r.due(t)[0])
		}},
		{"cancelled amid its parts and retried", func(t *testing.T, r *rig, a voiceassist.Accepted) {
			t.Helper()
			r.deliver(t)
			r.handle(t.Context(), r.due(t)[0])
			if _, err := r.Ledger.CancelJob(t.Context(), a.JobID); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Ledger.RetryJob(t.Context(), a.JobID); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, reader := newPDFRig(t)
			r.Reader, r.PartPages = titlingReader{reader}, 4
			a := r.upload(t, "large.pdf", pdfPages(8))
			c.amid(t, r, a)
			for n := 1; n > 0; {
				n = r.deliver(t)
			}
			if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.PassageCount != 8 || d.Title != firstPageTitle {
				t.Errorf("the document is %s with %d passages under the title %q", d.State, d.PassageCount, d.Title)
			}
		})
	}
}

// storePage1 stores the first page of a job and lets its worker die of it.
func storePage1(t *testing.T, r *rig, d voiceassist.Delivery) {
	t.Helper()
	j, doc, started, err := r.Ledger.StartAttempt(t.Context(), d, defaultLease)
	if err != nil || !started {
		t.Fatalf("StartAttempt = %v, %v", started, err)
	}
	engines, err := r.Reader.Engines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x := postgres.Extraction{SHA256: doc.SHA256, Engine: engines[doc.MediaType]}
	if err := r.Ledger.AddPages(t.Context(), postgres.AttemptOf(j), x, []voiceassist.Page{{Number: 1, Text: "Page 1."}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ledger.ReclaimLapsed(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func TestPartsAreAlikeAndEvenInNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, most, want int }{{65, 64, 33}, {129, 64, 33}, {200, 64, 50}, {2, 1, 1}, {3, 1, 1}, {3, 2, 2}, {276, 64, 46}} {
		if got := evenly(c.n, c.most); got != c.want {
			t.Errorf("evenly(%d, %d) = %d, want %d", c.n, c.most, got, c.want)
		}
	}
}

func TestADocumentThatFitsIsReadInOneGo(t *testing.T) {
	t.Parallel()
	r, _ := newPDFRig(t)
	a := r.upload(t, "small.pdf", pdfPages(64))
	r.deliver(t)
	if j := r.job(t, a.JobID); j.State != voiceassist.JobCompleted || j.Attempts != 1 {
		t.Errorf("the job is %+v, want it done in one attempt", j)
	} else {
		checkSequence(t, j.Timeline)
	}
}

// checkSequence demands that the stages of an attempt follow one another.
func checkSequence(t *testing.T, timeline []voiceassist.JobEvent) {
	t.Helper()
	if len(timeline) < 3 {
		t.Fatalf("the timeline has only %d stages", len(timeline))
	}
	const rounding = 10 * time.Microsecond
	for i, e := range timeline[1:] {
		if begun := e.At.Add(-e.Took); begun.Before(timeline[i].At.Add(-rounding)) {
			t.Errorf("%s began at %v, before %s ended at %v", e.Stage, begun, timeline[i].Stage, timeline[i].At)
		}
	}
}

func TestAWorkerThatDiesInAPartRepeatsOnlyThat(t *testing.T) {
	t.Parallel()
	r, reader := newPDFRig(t)
	a := r.upload(t, "large.pdf", pdfPages(200))
	r.deliver(t)
	reader.set(func(pages voiceassist.PageRange) error {
		if pages.First != 103 {
			return nil
		}
		_, err := r.Ledger.ReclaimLapsed(t.Context(), true) // as if its worker were gone; what it reads is for nothing
		return err
	})
	for _, d := range r.due(t) {
		r.handle(t.Context(), d)
	}
	reader.set(nil)
	if n := r.deliver(t); n != 1 {
		t.Errorf("%d deliveries after that, want the one part", n)
	}
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.PageCount != 200 {
		t.Errorf("the document is %+v", d)
	}
	if fewest, most := reader.times(103, 102+pageBatch); fewest != 2 || most != 2 {
		t.Errorf("the first pages of the part were read between %d and %d times, want twice", fewest, most)
	}
	_, before := reader.times(1, 102)
	if _, after := reader.times(153, 200); before != 1 || after != 1 {
		t.Errorf("other pages were read up to %d and %d times, want once", before, after)
	}
}

func TestAPartThatFailsTakesItsDocumentWithIt(t *testing.T) {
	t.Parallel()
	r, reader := newPDFRig(t)
	a := r.upload(t, "large.pdf", pdfPages(200))
	r.deliver(t)
	reader.set(func(pages voiceassist.PageRange) error {
		if pages.First == 103 {
			return voiceassist.Fail(voiceassist.ReasonTooComplex, "The file is too complex to read.")
		}
		return nil
	})
	r.deliver(t)
	if n := r.deliver(t); n != 0 {
		t.Errorf("%d deliveries are left, want none", n)
	}
	d, j := r.document(t, a.Document.ID), r.job(t, a.JobID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonTooComplex || j.State != voiceassist.JobFailed {
		t.Errorf("the document is %s: %s, its job %s", d.State, d.ErrorCode, j.State)
	}
	reader.set(nil)
	if _, err := r.Ledger.RetryJob(t.Context(), a.JobID); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		n = r.deliver(t)
	}
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed {
		t.Errorf("after a retry the document is %s: %s", d.State, d.ErrorMessage)
	}
	if _, most := reader.times(1, 200); most != 1 {
		t.Errorf("pages were read up to %d times, want those stored not to be read again", most)
	}
}

func TestAPartWhoseWorkersKeepDyingFailsItsDocument(t *testing.T) {
	t.Parallel()
	r, _ := newPDFRig(t)
	a := r.upload(t, "large.pdf", pdfPages(200))
	r.deliver(t)
	for range voiceassist.MaxAttempts {
		for _, d := range r.due(t) {
			if _, _, _, err := r.Ledger.StartAttempt(t.Context(), d, defaultLease); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Ledger.ReclaimLapsed(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	d, j := r.document(t, a.Document.ID), r.job(t, a.JobID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonInterrupted || j.State != voiceassist.JobFailed {
		t.Errorf("the document is %s: %s, its job %s", d.State, d.ErrorCode, j.State)
	}
	if n := len(r.due(t)); n != 0 {
		t.Errorf("%d deliveries are left, want none", n)
	}
}

func TestPartsEndWithTheirJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(*rig, voiceassist.Accepted) error
		left int // deliveries
	}{
		{"cancelled", func(r *rig, a voiceassist.Accepted) error {
			_, err := r.Ledger.CancelJob(t.Context(), a.JobID)
			return err
		}, 0},
		{"deleted", func(r *rig, a voiceassist.Accepted) error {
			_, err := r.Ledger.DeleteDocument(t.Context(), a.Document.ID, 0)
			return err
		}, 2}, // that take it out of the index, and of the rest
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, reader := newPDFRig(t)
			a := r.upload(t, "large.pdf", pdfPages(200))
			r.deliver(t)
			reader.set(func(voiceassist.PageRange) error { // while a part is under way
				reader.set(nil)
				return c.end(r, a)
			})
			r.deliver(t)
			if n := len(r.due(t)); n != c.left {
				t.Errorf("%d deliveries are left, want %d", n, c.left)
			}
			if j := r.job(t, a.JobID); j.State != voiceassist.JobCancelled {
				t.Errorf("the job is %s", j.State)
			}
			if _, most := reader.times(51, 200); most != 0 {
				t.Errorf("pages of parts not begun were read %d times", most)
			}
		})
	}
}

// TestPartsThatEndAtOnceWakeTheirJobOnce lets the last two parts end together.
func TestPartsThatEndAtOnceWakeTheirJobOnce(t *testing.T) {
	t.Parallel()
	r, _ := newPDFRig(t)
	r.PartPages = 2
	for i := range 8 {
		a := r.upload(t, fmt.Sprintf("%d.pdf", i), pdfPages(5+i))
		r.deliver(t)
		var workers sync.WaitGroup
		for _, d := range r.due(t) {
			workers.Go(func() { r.handle(t.Context(), d) })
		}
		workers.Wait()
		if j := r.job(t, a.JobID); j.State != voiceassist.JobPending || j.Processed != 5+i {
			t.Fatalf("the job is %+v, want it pending after all pages", j)
		}
		if n := r.deliver(t); n != 1 {
			t.Errorf("%d deliveries, want the job once", n)
		}
		if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed {
			t.Errorf("the document is %s: %s", d.State, d.ErrorMessage)
		}
	}
}

func TestAPartThatReadsNothingIsNotDone(t *testing.T) {
	t.Parallel()
	r, _ := newPDFRig(t)
	a := r.upload(t, "large.pdf", pdfPages(200))
	r.deliver(t)
	r.Reader = lazyReader{r.Reader}
	for range voiceassist.MaxAttempts {
		r.deliver(t)
		for _, e := range r.job(t, a.JobID).Timeline {
			if e.Part != nil {
				r.runNow(t, e.Part.JobID)
			}
		}
	}
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonInternal {
		t.Errorf("the document is %s: %s, want it failed and not split for ever", d.State, d.ErrorCode)
	}
}

// lazyReader says that it is done and has read nothing.
type lazyReader struct{ Reader }

func (lazyReader) Extract(context.Context, string, string, voiceassist.PageRange, func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	return voiceassist.FileInfo{Pages: 200}, "", nil
}

func TestRunsHaveNoGapsAndABound(t *testing.T) {
	t.Parallel()
	got := runs([]int{1, 2, 3, 4, 7, 8, 10}, 3)
	if want := []postgres.Span{{First: 1, Last: 3}, {First: 4, Last: 4}, {First: 7, Last: 8}, {First: 10, Last: 10}}; !slices.Equal(got, want) {
		t.Errorf("runs = %v, want %v", got, want)
	}
}

// startAttempt starts a new document's job for a worker that holds it for lease.
func (r *rig) startAttempt(t *testing.T, name string, lease time.Duration) *attempt {
	t.Helper()
	r.upload(t, name, "A leaflet named "+name)
	due := r.due(t)
	if len(due) != 1 {
		t.Fatalf("%d jobs are due, want 1", len(due))
	}
	j, doc, started, err := r.Ledger.StartAttempt(t.Context(), due[0], lease)
	if err != nil || !started {
		t.Fatalf("StartAttempt = %v, %v", started, err)
	}
	return &attempt{Attempt: postgres.AttemptOf(j), job: j, document: doc, lease: lease, embedder: r.Embedder}
}

// sharedPassages are passages with distinct texts.
func sharedPassages(n int) []voiceassist.Passage {
	passages := make([]voiceassist.Passage, n)
	for i := range passages {
		passages[i] = voiceassist.Passage{ID: uuid.New(), Text: fmt.Sprintf("Passage %d.", i)}
	}
	return passages
}

// sentOnce returns how many texts were sent, and how many of them distinct.
func (e *embedder) sentOnce() (sent, distinct int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.sent)
	slices.Sort(all)
	return len(all), len(slices.Compact(all))
}

func TestWorkersThatShareTextsEmbedEachOnce(t *testing.T) {
	t.Parallel()
	r, e := newRig(t), &embedder{}
	r.Embedder = e
	passages := sharedPassages(200)
	var workers sync.WaitGroup
	for i := range 8 {
		a := r.startAttempt(t, fmt.Sprintf("%d.txt", i), time.Hour)
		mine := slices.Concat(passages[i*25:], passages[:i*25]) // the same in another order
		workers.Go(func() {
			for some := range slices.Chunk(mine, embedBatch-i) {
				if err := r.embedPassages(t.Context(), a, "", some); err != nil {
					t.Errorf("embedPassages = %v", err)
				}
			}
		})
	}
	workers.Wait()
	if sent, distinct := e.sentOnce(); sent != 200 || distinct != 200 {
		t.Errorf("%d texts were sent, %d of them distinct; want 200", sent, distinct)
	}
}

func TestTextsOfADeadWorkerAreEmbeddedByAnother(t *testing.T) {
	t.Parallel()
	r, e := newRig(t), &embedder{}
	r.Embedder = e
	passages := sharedPassages(200)
	texts, digests := digestTexts("", passages)
	const kills = 3
	for i := range kills { // each has sent a batch when it dies
		a := r.startAttempt(t, fmt.Sprintf("dead-%d.txt", i), time.Second)
		claimed, others, err := r.Ledger.ClaimTexts(t.Context(), a.Attempt, e.Profile(), digests[i*embedBatch:min((i+1)*embedBatch, 200)])
		if err != nil || others != 0 || len(claimed) == 0 {
			t.Fatalf("ClaimTexts = %d claimed, %d others, %v", len(claimed), others, err)
		}
		if _, err := e.Embed(t.Context(), textsOf(claimed, texts, digests)); err != nil {
			t.Fatal(err)
		}
	}
	a := r.startAttempt(t, "alive.txt", time.Hour)
	if claimed, others, err := r.Ledger.ClaimTexts(t.Context(), a.Attempt, e.Profile(), digests[:1]); err != nil || len(claimed) != 0 || others != 1 {
		t.Fatalf("ClaimTexts of a text under way = %d claimed, %d others, %v", len(claimed), others, err)
	}
	if err := r.embedPassages(t.Context(), a, "", passages); err != nil {
		t.Fatal(err)
	}
	if sent, distinct := e.sentOnce(); distinct != 200 || sent > 200+kills*embedBatch {
		t.Errorf("%d texts were sent, %d of them distinct; want 200 and at most %d more", sent, distinct, kills*embedBatch)
	}
	stored, err := r.Ledger.Vectors(t.Context(), e.Profile(), digests)
	if err != nil || len(stored) != 200 {
		t.Errorf("%d vectors are stored, %v; want 200", len(stored), err)
	}
}

func TestAClaimThatFailedIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Embedder = failingEmbedder{&embedder{}}
	a, b := r.startAttempt(t, "a.txt", time.Hour), r.startAttempt(t, "b.txt", time.Hour)
	passages := sharedPassages(3)
	if err := r.embedPassages(t.Context(), a, "", passages); err == nil {
		t.Fatal("embedPassages succeeded")
	}
	_, digests := digestTexts("", passages)
	if claimed, others, err := r.Ledger.ClaimTexts(t.Context(), b.Attempt, r.profile(), digests); err != nil || len(claimed) != 3 || others != 0 {
		t.Errorf("ClaimTexts = %d claimed, %d others, %v; want all 3", len(claimed), others, err)
	}
}

// failingEmbedder embeds nothing.
type failingEmbedder struct{ voiceassist.Embedder }

func (failingEmbedder) Embed(context.Context, []string) ([][]float32, error) {
	return nil, errors.New("it broke off")
}

// gate lets requests through unless it is shut.
type gate struct {
	mu      sync.Mutex
	shut    bool
	entered int
	left    []error
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
}

func (g *gate) Enter(_ context.Context, texts, tokens int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if texts == 0 || tokens == 0 {
		return fmt.Errorf("%d texts of %d tokens", texts, tokens)
	}
	if g.shut {
		return &voiceassist.Paced{After: time.Hour, Err: errors.New("shut")}
	}
	g.entered++
	return nil
}

func (g *gate) Left(_ context.Context, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = append(g.left, err)
}

// newEmbeddingRig is a rig whose passages get vectors.
func newEmbeddingRig(t *testing.T) (*rig, *embedder, *pagesReader) {
	t.Helper()
	r, reader := newPDFRig(t)
	e := &embedder{}
	r.index = openIndex(t, qdrant.Options{Dim: e.Dim()})
	r.broken.Index, r.Embedder = r.index, e
	return r, e, reader
}

func TestManyPassagesAreEmbeddedInParts(t *testing.T) {
	t.Parallel()
	r, e, _ := newEmbeddingRig(t)
	r.PartPassages = 16
	a := r.upload(t, "large.pdf", pdfPages(60))
	r.deliver(t)
	j := r.job(t, a.JobID)
	if j.State != voiceassist.JobWaiting || j.Stage != voiceassist.StageEmbed || j.Generation != 1 || j.Total != 60 {
		t.Fatalf("the job is %+v, want it waiting in the stage embed", j)
	}
	parts := r.due(t)
	if len(parts) != 4 {
		t.Fatalf("%d parts, want 4", len(parts))
	}
	for _, p := range parts {
		if part := r.job(t, p.JobID); part.Kind != voiceassist.JobEmbed || part.Gate != voiceassist.GateEmbed || part.Generation != 1 {
			t.Errorf("a part is %+v", part)
		}
	}
	var workers sync.WaitGroup
	for some := range slices.Chunk(parts, 2) {
		workers.Go(func() { r.handle(t.Context(), some...) })
	}
	workers.Wait()
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.Generation != 1 {
		t.Errorf("the document is %s in generation %d", d.State, d.Generation)
	}
	if sent, distinct := e.sentOnce(); sent != 60 || distinct != 60 {
		t.Errorf("%d texts were sent, %d of them distinct; want 60", sent, distinct)
	}
	if active, total := r.points(t); active != 60 || total != 60 {
		t.Errorf("the index has %d of %d points, want 60", active, total)
	}
}

func TestAJobThatWaitedAtTheGateRepeatsNothing(t *testing.T) {
	t.Parallel()
	r, e, reader := newEmbeddingRig(t)
	g := &gate{shut: true}
	r.Gate = g
	a := r.upload(t, "small.pdf", pdfPages(10))
	for range 3 {
		r.deliver(t)
		j := r.job(t, a.JobID)
		if j.State != voiceassist.JobPending || j.Gate != voiceassist.GateEmbed || j.Generation != 1 || j.Attempts != j.GivenBack {
			t.Fatalf("the job is %+v, want it given back at the gate with its generation", j)
		}
		r.runNow(t, a.JobID)
	}
	g.set(false)
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.Generation != 1 {
		t.Errorf("the document is %s in generation %d, want 1", d.State, d.Generation)
	}
	if fewest, most := reader.times(1, 10); fewest != 1 || most != 1 {
		t.Errorf("pages were read between %d and %d times", fewest, most)
	}
	if sent, distinct := e.sentOnce(); sent != 10 || distinct != 10 || g.entered != 1 || len(g.left) != 1 || g.left[0] != nil {
		t.Errorf("%d texts were sent, %d distinct, the gate was entered %d times and left %v", sent, distinct, g.entered, g.left)
	}
	cut := 0
	for _, e := range r.job(t, a.JobID).Timeline {
		if e.Stage == voiceassist.StageChunk {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("passages were cut %d times, want once", cut)
	}
	g.set(true)
	if _, err := r.Ledger.Reindex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.Generation != 2 {
		t.Errorf("reindexed, all vectors being stored, the document is %s in generation %d; want no need of the gate", d.State, d.Generation)
	}
}

func TestAPartThatMayNotEmbedLetsItsJobGoOnWithoutVectors(t *testing.T) {
	t.Parallel()
	r, e, _ := newEmbeddingRig(t)
	r.PartPassages = 16
	may := true
	r.MayEmbed = func() bool { return may }
	a := r.upload(t, "large.pdf", pdfPages(40))
	r.deliver(t)
	may = false
	r.deliver(t)
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.PassageCount != 40 {
		t.Errorf("the document is %+v", d)
	}
	if sent, _ := e.sentOnce(); sent != 0 {
		t.Errorf("%d texts were sent, want none", sent)
	}
}

func TestAnEditedTitleStartsANewGeneration(t *testing.T) {
	t.Parallel()
	r, _, _ := newEmbeddingRig(t)
	g := &gate{shut: true}
	r.Gate = g
	a := r.upload(t, "small.pdf", pdfPages(3))
	r.deliver(t)
	title := "Another title"
	if _, err := r.Ledger.UpdateDocument(t.Context(), a.Document.ID, voiceassist.DocumentEdit{Title: &title}); err != nil {
		t.Fatal(err)
	}
	g.set(false)
	r.runNow(t, a.JobID)
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.Generation != 2 {
		t.Errorf("the document is %s in generation %d, want its passages under the new title in generation 2", d.State, d.Generation)
	}
}
