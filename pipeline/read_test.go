package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/extract/extracttest"
	"github.com/voiceassist/backend/postgres"
)

// culprit is a made-up document that misbehaves, and what becomes of it.
type culprit struct {
	name   string
	pages  []string
	bad    []voiceassist.BadPage
	failed voiceassist.Reason // "" when it is indexed without its bad pages
	deaths int                // children that it may cost
}

var culprits = []culprit{
	{"crashes on page 3 of 5", pagesWith(5, 3, extracttest.Crash), []voiceassist.BadPage{{Number: 3, Reason: voiceassist.PageCrashed}}, "", 2},
	{"panics on page 1 of 5", pagesWith(5, 1, extracttest.Panic), []voiceassist.BadPage{{Number: 1, Reason: voiceassist.PageCrashed}}, "", 2},
	{"hangs on page 2 of 3", pagesWith(3, 2, extracttest.Hang), []voiceassist.BadPage{{Number: 2, Reason: voiceassist.PageTooSlow}}, "", 2},
	{"takes memory on page 7 of 9", pagesWith(9, 7, extracttest.Balloon), []voiceassist.BadPage{{Number: 7, Reason: voiceassist.PageTooMuchMemory}}, "", 2},
	{"floods on page 4 of 4", pagesWith(4, 4, extracttest.Flood), []voiceassist.BadPage{{Number: 4, Reason: voiceassist.PageTooMuchText}}, "", 2},
	{"crashes when it is opened", pagesWith(5, 1, extracttest.Open+extracttest.Crash), nil, voiceassist.ReasonCrashed, 2},
	{"hangs when it is opened", pagesWith(5, 1, extracttest.Open+extracttest.Hang), nil, voiceassist.ReasonTooComplex, 2},
	{"crashes on every page", slices.Repeat([]string{extracttest.Crash}, 40), nil, voiceassist.ReasonCrashed, 4},
}

// pagesWith are n pages, one of which does what.
func pagesWith(n, page int, what string) []string {
	pages := make([]string, n)
	for i := range pages {
		pages[i] = fmt.Sprintf("Page %d tells of sleep and rest.", i+1)
	}
	pages[page-1] = what
	return pages
}

// newPoisonRig is a rig whose readers do what files tell them to.
func newPoisonRig(t *testing.T) (*rig, *extract.Pool) {
	t.Helper()
	r := newRig(t)
	pool := newPool(t, extract.Options{Args: []string{poisonArg}, Size: 2, Limits: extract.Limits{
		PageTimeout: 3 * time.Second, Memory: 400 << 20, MaxOutput: 4 << 20,
	}})
	r.broken.Reader = pool
	return r, pool
}

func TestCulpritsAmongAHundredDocuments(t *testing.T) {
	t.Parallel()
	r, pool := newPoisonRig(t)
	accepted := make([]voiceassist.Accepted, len(culprits))
	for i, c := range culprits {
		accepted[i] = r.upload(t, fmt.Sprintf("culprit-%d.txt", i), uniqueFile(i, c.pages))
	}
	for i := range 100 - len(culprits) {
		r.upload(t, fmt.Sprintf("good-%d.txt", i), extracttest.File(fmt.Sprintf("Document %d tells of sleep.", i), "Its second page."))
	}
	deliveries := map[uuid.UUID]voiceassist.Delivery{}
	for _, d := range r.due(t) {
		deliveries[d.JobID] = d
	}

	var good sync.WaitGroup
	for _, a := range accepted {
		delete(deliveries, a.JobID)
	}
	rest := slices.Collect(maps.Values(deliveries))
	good.Go(func() {
		for _, d := range rest {
			r.Handle(t.Context(), d)
		}
	})
	for i, c := range culprits { // one after the other, so that the deaths are theirs
		before, begun := pool.Stats(), time.Now()
		r.Handle(t.Context(), voiceassist.Delivery{JobID: accepted[i].JobID, Number: 1})
		after := pool.Stats()
		deaths := after.Crashes + after.Killed - before.Crashes - before.Killed
		t.Logf("%-28s %d children, %.1f s", c.name, deaths, time.Since(begun).Seconds())
		if deaths > c.deaths {
			t.Errorf("%s: it cost %d children, want at most %d", c.name, deaths, c.deaths)
		}
		checkCulprit(t, c, r.document(t, accepted[i].Document.ID), r.job(t, accepted[i].JobID))
	}
	good.Wait()

	stats, err := r.Ledger.LibraryStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, c := range culprits {
		if c.failed != "" {
			failed++
		}
	}
	want := map[voiceassist.DocumentState]int{voiceassist.DocumentIndexed: 100 - failed, voiceassist.DocumentFailed: failed}
	if diff := cmp.Diff(want, stats.ByState); diff != "" {
		t.Errorf("documents by state (-want +got):\n%s", diff)
	}
	if left, err := os.ReadDir(r.TempDir); err != nil || len(left) > 0 {
		t.Errorf("%d temporary files are left, %v", len(left), err)
	}
	last := r.upload(t, "last.txt", "The readers still read.")
	r.deliver(t)
	if d := r.document(t, last.Document.ID); d.State != voiceassist.DocumentIndexed {
		t.Errorf("the document after them is %s: %s", d.State, d.ErrorMessage)
	}
}

// uniqueFile is a file of the pages that no other culprit has.
func uniqueFile(i int, pages []string) string {
	return extracttest.File(append(slices.Clone(pages[:len(pages)-1]), pages[len(pages)-1]+fmt.Sprintf(" (%d)", i))...)
}

func checkCulprit(t *testing.T, c culprit, d voiceassist.Document, j voiceassist.Job) {
	t.Helper()
	if j.Attempts != 1 {
		t.Errorf("%s: %d attempts, want one", c.name, j.Attempts)
	}
	if c.failed != "" {
		if d.State != voiceassist.DocumentFailed || d.ErrorCode != c.failed {
			t.Errorf("%s: the document is %s: %s %q", c.name, d.State, d.ErrorCode, d.ErrorMessage)
		}
		return
	}
	if d.State != voiceassist.DocumentIndexed || d.PageCount != len(c.pages) || d.PassageCount == 0 {
		t.Errorf("%s: the document is %s with %d pages and %d passages: %s", c.name, d.State, d.PageCount, d.PassageCount, d.ErrorMessage)
	}
	if diff := cmp.Diff(c.bad, d.BadPages); diff != "" {
		t.Errorf("%s: bad pages (-want +got):\n%s", c.name, diff)
	}
	page := fmt.Sprintf("Page %d could not be read", c.bad[0].Number)
	if !strings.HasPrefix(d.Warning(), page) {
		t.Errorf("%s: the warning is %q", c.name, d.Warning())
	}
	if !slices.ContainsFunc(j.Timeline, func(e voiceassist.JobEvent) bool { return strings.HasPrefix(e.Detail, page) }) {
		t.Errorf("%s: the timeline does not name the page: %+v", c.name, j.Timeline)
	}
}

// syntheticReader reads files in its mind: pages that are bad break off as a
// child's death does.
type syntheticReader struct {
	pages  int
	bad    map[int]error
	broken error // what opening the file ends with
	deaths int
	loads  int
}

func (s *syntheticReader) Engines(context.Context) (map[string]string, error) {
	return map[string]string{voiceassist.MediaText: "synthetic/1", voiceassist.MediaPDF: "synthetic/1"}, nil
}

func (s *syntheticReader) Extract(_ context.Context, _, _ string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	err := s.broken
	if err == nil {
		err = extracttest.Late(pages, s.pages, func(n int) (string, error) {
			s.loads++
			return fmt.Sprintf("Page %d.", n), s.bad[n]
		}, emit)
	}
	if _, isolable := faultOf(err); isolable {
		s.deaths++
	}
	if err != nil {
		return voiceassist.FileInfo{}, "", err
	}
	return voiceassist.FileInfo{Title: "Synthetic", Pages: s.pages}, "synthetic/1", nil
}

var deaths = []error{
	&extract.Crash{Status: "signal: killed"},
	&extract.Overrun{Fault: voiceassist.PageTooSlow, Failure: voiceassist.Fail(voiceassist.ReasonTooComplex, "It is slow.")},
	&extract.Overrun{Fault: voiceassist.PageTooMuchMemory, Failure: voiceassist.Fail(voiceassist.ReasonTooComplex, "It is large.")},
	voiceassist.Fail(voiceassist.ReasonDamaged, "It is damaged."),
}

// begin uploads a file of its own and starts the attempt to index it.
func (r *rig) begin(t *testing.T) (*attempt, postgres.Extraction) {
	t.Helper()
	up := r.upload(t, "file.txt", uuid.NewString())
	for _, d := range r.due(t) {
		if d.JobID != up.JobID {
			continue
		}
		j, doc, started, err := r.Ledger.StartAttempt(t.Context(), d, time.Minute)
		if err != nil || !started {
			t.Fatalf("StartAttempt = %v, %v", started, err)
		}
		return &attempt{Attempt: postgres.AttemptOf(j), job: j, document: doc}, postgres.Extraction{SHA256: doc.SHA256, Engine: "synthetic/1"}
	}
	t.Fatal("the job of the upload is not due")
	return nil, postgres.Extraction{}
}

// TestGoodPagesAreExactlyThoseThatAreNotBad reads documents with random sets of
// bad pages.
func TestGoodPagesAreExactlyThoseThatAreNotBad(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		s := &syntheticReader{pages: 1 + rnd.IntN(80), bad: map[int]error{}}
		for range rnd.IntN(1 + min(20, s.pages)) {
			s.bad[1+rnd.IntN(s.pages)] = deaths[rnd.IntN(len(deaths))]
		}
		r.Reader = s
		a, x := r.begin(t)
		info, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{})
		what := fmt.Sprintf("seed %d, %d pages, bad %v", seed, s.pages, slices.Sorted(maps.Keys(s.bad)))
		if most := 2*len(s.bad) + 2; s.deaths > most {
			t.Errorf("%s: %d deaths, want at most %d", what, s.deaths, most)
		}
		if s.pages > 1 && s.bad[1] != nil && s.bad[(1+s.pages)/2] != nil && s.bad[s.pages] != nil {
			if _, ok := errors.AsType[*voiceassist.Failure](err); !ok || s.deaths > 4 {
				t.Errorf("%s: %v after %d deaths, want a failure after 4", what, err, s.deaths)
			}
			continue
		}
		if err != nil || info.Pages != s.pages {
			t.Errorf("%s: %+v, %v", what, info, err)
			continue
		}
		checkExtracted(t, what, s, r.extracted(t, x))
	}
}

func (r *rig) extracted(t *testing.T, x postgres.Extraction) postgres.Extracted {
	t.Helper()
	e, err := r.Ledger.Extracted(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func checkExtracted(t *testing.T, what string, s *syntheticReader, got postgres.Extracted) {
	t.Helper()
	var good []int
	var bad []voiceassist.BadPage
	for n := 1; n <= s.pages; n++ {
		if err := s.bad[n]; err != nil {
			fault, _ := faultOf(err)
			bad = append(bad, voiceassist.BadPage{Number: n, Reason: fault})
		} else {
			good = append(good, n)
		}
	}
	if !slices.Equal(got.Pages, good) {
		t.Errorf("%s: stored are %v", what, got.Pages)
	}
	if !slices.Equal(got.Bad, bad) {
		t.Errorf("%s: bad are %v", what, got.Bad)
	}
}

// TestRangesReadByDifferentWorkersFindTheSamePages reads a document in parts, as
// large ones are.
func TestRangesReadByDifferentWorkersFindTheSamePages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := &syntheticReader{pages: 65, bad: map[int]error{16: deaths[0], 17: deaths[1], 33: deaths[2], 64: deaths[3]}}
	r.Reader = s
	a, x := r.begin(t)
	for _, first := range []int{17, 1, 65, 33, 49} {
		info, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{First: first, Last: min(first+15, 65)})
		if err != nil || info.Pages != 65 {
			t.Fatalf("pages from %d on: %+v, %v", first, info, err)
		}
	}
	checkExtracted(t, "in parts", s, r.extracted(t, x))
	if most := 2*len(s.bad) + 5; s.deaths > most { // a bad page beside a part may cost it one
		t.Errorf("%d deaths, want at most %d", s.deaths, most)
	}
}

func TestWhatIsKnownIsNotReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := &syntheticReader{pages: 40, bad: map[int]error{9: deaths[0], 30: errors.New("the disk is on fire")}}
	r.Reader = s
	a, x := r.begin(t)
	if _, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{}); err == nil || s.deaths != 2 {
		t.Fatalf("the first attempt: %v, %d deaths; want an error after 2", err, s.deaths)
	}
	delete(s.bad, 30)
	s.deaths, s.loads = 0, 0
	info, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{})
	if err != nil || info.Title != "Synthetic" || s.deaths != 0 {
		t.Fatalf("the second attempt: %+v, %v, %d deaths", info, err, s.deaths)
	}
	checkExtracted(t, "in two attempts", s, r.extracted(t, x))
	if s.loads >= s.pages {
		t.Errorf("the second attempt looked at %d pages", s.loads)
	}
}

func TestTroubleThatPilesUpIsNoPagesFault(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Reader = &pilingReader{syntheticReader{pages: 200}, 60}
	a, x := r.begin(t)
	if _, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{}); err != nil {
		t.Fatal(err)
	}
	if got := r.extracted(t, x); len(got.Pages) != 200 || len(got.Bad) != 0 {
		t.Errorf("%d pages are stored, bad are %v", len(got.Pages), got.Bad)
	}
	r.Reader = &pilingReader{syntheticReader{pages: 200}, 3}
	a, x = r.begin(t)
	_, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{})
	if f, ok := errors.AsType[*voiceassist.Failure](err); !ok || f.Reason != voiceassist.ReasonTooComplex {
		t.Errorf("a file that takes a child every few pages: %v, want too_complex", err)
	}
}

// pilingReader breaks off after so many pages of a range.
type pilingReader struct {
	syntheticReader
	most int
}

func (p *pilingReader) Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	n := 0
	return p.syntheticReader.Extract(ctx, mediaType, path, pages, func(page voiceassist.Page) error {
		if n++; n > p.most {
			return deaths[2]
		}
		return emit(page)
	})
}

func TestTooManyBadPagesFailTheDocumentAndNameTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.MaxBadPages = 3
	s := &syntheticReader{pages: 50, bad: map[int]error{}}
	for n := 10; n < 40; n += 5 {
		s.bad[n] = deaths[0]
	}
	r.Reader = s
	a, x := r.begin(t)
	for range 2 { // the second finds them in the ledger
		_, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{})
		f, ok := errors.AsType[*voiceassist.Failure](err)
		if !ok || f.Reason != voiceassist.ReasonCrashed || !strings.Contains(f.Message, "Pages 10, 15, 20 and 25 could not be read") {
			t.Errorf("%v, want that the pages crashed", err)
		}
		if s.deaths != 8 {
			t.Errorf("%d deaths, want 8", s.deaths)
		}
	}
}

func TestADocumentWithoutAGoodPageFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := &syntheticReader{pages: 1, bad: map[int]error{1: deaths[1]}}
	r.Reader = s
	a, x := r.begin(t)
	info, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.finishExtraction(t.Context(), a, x, info)
	if f, ok := errors.AsType[*voiceassist.Failure](err); !ok || f.Reason != voiceassist.ReasonTooComplex || !strings.Contains(f.Message, "Page 1 could not be read: it took too long") {
		t.Errorf("%v, want too_complex with the page", err)
	}
}

func TestALargePDFMayBeginWithBadPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Reader = &syntheticReader{pages: 12, bad: map[int]error{1: deaths[0], 2: deaths[1]}}
	r.PartPages = 5
	up := r.upload(t, "large.pdf", "%PDF-1.7 in the mind")
	for n := 1; n > 0; {
		n = r.deliver(t)
	}
	d := r.document(t, up.Document.ID)
	if d.State != voiceassist.DocumentIndexed || d.PageCount != 12 || d.PassageCount != 10 || len(d.BadPages) != 2 {
		t.Errorf("the document is %s, %d pages, %d passages, bad %v: %s", d.State, d.PageCount, d.PassageCount, d.BadPages, d.ErrorMessage)
	}
}

func TestAnExtractionWithAGapIsNotFinished(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Reader = &syntheticReader{pages: 10}
	a, x := r.begin(t)
	info, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{First: 1, Last: 8})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.finishExtraction(t.Context(), a, x, info); err == nil || !strings.Contains(err.Error(), "2 of 10 pages were not read, the first is page 9") {
		t.Errorf("finishExtraction = %v, want that pages 9 and 10 are missing", err)
	}
}

func TestTheTextOfADocumentIsBoundedOverAllRanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.MaxText = 60
	r.Reader = &syntheticReader{pages: 10} // of 7 or 8 bytes
	a, x := r.begin(t)
	if _, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{First: 1, Last: 6}); err != nil {
		t.Fatal(err)
	}
	_, err := r.readPages(t.Context(), a, x, "", voiceassist.PageRange{First: 7})
	if f, ok := errors.AsType[*voiceassist.Failure](err); !ok || f.Reason != voiceassist.ReasonTooComplex {
		t.Errorf("error = %v, want too_complex", err)
	}
}

func TestPassagesSkipBadPagesInEveryBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := &syntheticReader{pages: 70, bad: map[int]error{5: deaths[0], 32: deaths[0], 33: deaths[1], 70: deaths[2]}}
	r.Reader = s
	up := r.upload(t, "file.txt", "Seventy pages.")
	r.deliver(t)
	d := r.document(t, up.Document.ID)
	if d.State != voiceassist.DocumentIndexed || d.PageCount != 70 || len(d.BadPages) != 4 {
		t.Fatalf("the document is %s, %d pages, bad %v: %s", d.State, d.PageCount, d.BadPages, d.ErrorMessage)
	}
	passages, err := r.Ledger.GenerationPassages(t.Context(), d.ID, d.Generation, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]int{}
	for _, p := range passages {
		seen[p.Page]++
	}
	for n := 1; n <= s.pages; n++ {
		if want := s.bad[n] == nil; want != (seen[n] == 1) {
			t.Errorf("page %d has %d passages", n, seen[n])
		}
	}
	if again := r.upload(t, "copy.txt", "Seventy pages."); len(again.Document.BadPages) != 4 {
		t.Errorf("the duplicate has the bad pages %v", again.Document.BadPages)
	}
}
