package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/postgres"
)

// Bounds of what is read of a document, where a Worker sets none.
const (
	defaultMaxBadPages = 20
	defaultMaxText     = 64 << 20 // bytes
)

// maxBlameless is how many children the reading of a range may cost beyond those
// for which a page can be blamed.
const maxBlameless = 8

// reading is the reading of a range of a document's pages. A page that ends its
// child, or has it overrun a limit, is found and left out:
//
//	a range breaks off      what came is stored; the next pages are suspects
//	suspects                are read one by one, each touching no other page
//	one of them breaks off  it is bad; the pages around it are read one by one
//	none of them does       the trouble had piled up; a new range begins behind
//
// So a bad page costs two children: one finds that there is something, one what
// it is. A file that cannot even be opened costs two, and one of whose pages the
// first, the middle and the last are bad costs four: it is to blame as a whole.
type reading struct {
	*Worker
	a     *attempt
	x     postgres.Extraction
	file  string
	pages voiceassist.PageRange // wanted

	info      voiceassist.FileInfo // Pages is 0 until a child has opened the file and lived
	titled    bool                 // info was told with page 1 in view
	stored    map[int]bool         // of those wanted
	bad       map[int]bool         // of the whole document
	text      int64                // bytes of all stored pages of the document
	taken     int                  // pages that came in this reading
	alone     int                  // pages up to this one are suspects
	blameless int                  // ranges that broke off less pages blamed

	batch []voiceassist.Page
	size  int // bytes of its text
}

// readPages has children read pages of a file and stores those that can be read;
// those that cannot are noted in the ledger. What is stored or noted already,
// by an earlier attempt or for the same bytes, is not read again. It returns
// what the file says of itself: Pages of the whole, the title for certain only
// with page 1 among the pages. Its end is nil, a *voiceassist.Failure that is
// the document's, or an error that is worth another attempt.
//
// Reading takes at most EXTRACT_TIMEOUT for each range and each suspect; a page
// that hangs takes twice EXTRACT_PAGE_TIMEOUT. Ranges that break off are at
// most the bad pages and maxBlameless.
func (w *Worker) readPages(ctx context.Context, a *attempt, x postgres.Extraction, file string, pages voiceassist.PageRange) (voiceassist.FileInfo, error) {
	r := &reading{Worker: w, a: a, x: x, file: file, pages: pages, stored: map[int]bool{}, bad: map[int]bool{}}
	err := r.resume(ctx)
	if err == nil {
		err = r.run(ctx)
	}
	w.Metrics.pagesRead(r.taken)
	info := r.info
	info.Title, info.Author = cleanText(info.Title, maxMeta), cleanText(info.Author, maxMeta)
	return info, err
}

// resume learns what is stored already.
func (r *reading) resume(ctx context.Context) error {
	known, err := r.Ledger.Extracted(ctx, r.x)
	if err != nil {
		return err
	}
	for _, n := range known.Pages {
		if r.pages.Has(n) {
			r.stored[n] = true
		}
	}
	r.text = known.Bytes
	if err := r.blame(known.Bad); err != nil {
		return err
	}
	if len(r.stored)+len(r.bad) == 0 {
		return nil // the first range tells how many pages there are
	}
	return r.open(ctx)
}

func (r *reading) run(ctx context.Context) error {
	for {
		pages, more := r.next()
		if !more {
			break
		}
		err := r.request(ctx, pages)
		if err == nil {
			continue
		}
		fault, isolable := faultOf(err)
		if !isolable {
			return err
		}
		if err := r.isolate(ctx, pages, fault, err); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	return r.tell(ctx)
}

// next returns the pages to be read next.
func (r *reading) next() (pages voiceassist.PageRange, more bool) {
	if r.info.Pages == 0 {
		if pages = r.pages; pages.Alone() {
			pages.Last++ // so that the text is what it is in a longer range
		}
		return pages, true
	}
	first, more := r.missing()
	if !more {
		return pages, false
	}
	if first <= r.alone || !r.clear(first, first+1) {
		return voiceassist.PageRange{First: first, Last: first}, true
	}
	_, end := r.pages.Of(r.info.Pages)
	last := first + 1
	for last < end && !r.stored[last+1] && r.clear(first, last+1) {
		last++
	}
	return voiceassist.PageRange{First: first, Last: last}, true
}

// missing returns the first page that is wanted and not yet settled.
func (r *reading) missing() (page int, ok bool) {
	first, last := r.pages.Of(r.info.Pages)
	for n := first; n <= last; n++ {
		if !r.stored[n] && !r.bad[n] {
			return n, true
		}
	}
	return 0, false
}

// clear reports whether a range can be read without touching a bad page.
func (r *reading) clear(first, last int) bool {
	for n := first - voiceassist.PageReach; n <= last+voiceassist.PageReach; n++ {
		if r.bad[n] {
			return false
		}
	}
	return true
}

// request has a child read pages. All of them are settled when it returns nil.
func (r *reading) request(ctx context.Context, pages voiceassist.PageRange) error {
	info, _, err := r.Reader.Extract(ctx, r.a.document.MediaType, r.file, pages, func(p voiceassist.Page) error { return r.take(ctx, p) })
	if err != nil {
		return fmt.Errorf("extract text: %w", err)
	}
	if !r.titled {
		r.info, r.titled = info, pages.Has(1)
	}
	if n, ok := r.missing(); ok && pages.Has(n) {
		return fmt.Errorf("extract text: the reader has left page %d out", n)
	}
	return nil
}

// take keeps a page that came, unless it came before or is only there for the
// sake of another.
func (r *reading) take(ctx context.Context, p voiceassist.Page) error {
	if !r.pages.Has(p.Number) || r.stored[p.Number] {
		return nil
	}
	r.text += int64(len(p.Text))
	if most := cmp.Or(r.MaxText, defaultMaxText); r.text > most {
		return voiceassist.Fail(voiceassist.ReasonTooComplex, "The file is too complex to read: it has more than %d MB of text.", most>>20)
	}
	r.stored[p.Number] = true
	r.a.readText = r.a.readText || hasWord(p)
	r.a.keep(p)
	r.taken++
	r.batch = append(r.batch, p)
	r.size += len(p.Text)
	if len(r.batch) < pageBatch && r.size < pageBatchBytes {
		return nil
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	return r.progress(ctx, r.a, postgres.Progress{
		Stage: voiceassist.StageExtract, Processed: len(r.stored), Total: r.info.Pages, Percent: extractedPercent / 2,
	})
}

// keep remembers the pages of a short document for the cutting of passages.
func (a *attempt) keep(p voiceassist.Page) {
	a.pagesRead++
	a.textRead += len(p.Text)
	a.pages = append(a.pages, p)
	if a.pagesRead > pageBatch || a.textRead > pageBatchBytes {
		a.pages = nil
	}
}

func (r *reading) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	err := r.Ledger.AddPages(ctx, r.a.Attempt, r.x, r.batch)
	r.batch, r.size = r.batch[:0], 0
	return err
}

// tell has page 1 read for what it tells of the file, if the child that read it
// did not live to say so.
func (r *reading) tell(ctx context.Context) error {
	if r.titled || !r.stored[1] {
		return nil
	}
	err := r.request(ctx, voiceassist.PageRange{First: 1, Last: 1})
	if _, isolable := faultOf(err); isolable {
		return nil // what is known has to do
	}
	return err
}

// noPage is a range that no file has a page in: a child only opens the file.
var noPage = voiceassist.PageRange{First: 1 << 30, Last: 1 << 30}

// open learns how many pages the file has. A file that cannot be opened fails.
func (r *reading) open(ctx context.Context) error {
	err := r.request(ctx, noPage)
	if _, isolable := faultOf(err); isolable {
		return failureOf(err)
	}
	return err
}

// isolate looks for what made the reading of pages break off with err. Its error
// ends the reading of the document.
func (r *reading) isolate(ctx context.Context, pages voiceassist.PageRange, fault voiceassist.PageFault, err error) error {
	if err := r.flush(ctx); err != nil {
		return err
	}
	if r.info.Pages == 0 {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	if !pages.Alone() {
		suspect, _ := r.missing()
		r.alone = suspect + voiceassist.PageReach
		if r.blameless++; r.blameless > maxBlameless {
			return failureOf(err)
		}
		return nil
	}
	r.blameless = max(0, r.blameless-1)
	if len(r.stored) == 0 {
		if err := r.probe(ctx, err); err != nil {
			return err
		}
	}
	bad, err := r.Ledger.AddBadPage(ctx, r.a.Attempt, r.x, voiceassist.BadPage{Number: pages.First, Reason: fault})
	if err != nil {
		return err
	}
	r.Metrics.pageBad(fault)
	r.Log.WarnContext(ctx, "bad page", slog.String("document_id", r.a.DocumentID.String()), slog.Int("page", pages.First), slog.String("reason", string(fault)))
	return r.blame(bad)
}

// probe reads a page in the middle and the last, when the first has broken off
// with err. If none of them can be read the file is to blame.
func (r *reading) probe(ctx context.Context, err error) error {
	first, last := r.pages.Of(r.info.Pages)
	for _, n := range []int{(first + last) / 2, last} {
		if n == first || r.bad[n] {
			continue
		}
		err = r.request(ctx, voiceassist.PageRange{First: n, Last: n})
		if _, isolable := faultOf(err); !isolable {
			return err
		}
	}
	if first == last {
		return nil
	}
	return failureOf(err)
}

// blame takes note of all bad pages of the document. Too many are a Failure.
func (r *reading) blame(bad []voiceassist.BadPage) error {
	for _, p := range bad {
		r.bad[p.Number] = true
	}
	most := cmp.Or(r.MaxBadPages, defaultMaxBadPages)
	if len(bad) <= most {
		return nil
	}
	return voiceassist.Fail(reasonOf(bad[0].Reason), "More than %d pages of the file cannot be read. %s %s",
		most, voiceassist.DescribeBadPages(bad[:min(len(bad), namedBadPages)]), resave)
}

// namedBadPages is how many bad pages the reason for a failure names.
const namedBadPages = 5

const resave = "Re-save or print the file to a new PDF and upload that."

// faultOf says what a page has done whose reading ended with err. It is not
// isolable when no page is to blame.
func faultOf(err error) (fault voiceassist.PageFault, isolable bool) {
	if _, ok := errors.AsType[*extract.Crash](err); ok {
		return voiceassist.PageCrashed, true
	}
	if o, ok := errors.AsType[*extract.Overrun](err); ok {
		return o.Fault, true
	}
	if f, ok := errors.AsType[*voiceassist.Failure](err); ok && f.Reason == voiceassist.ReasonDamaged {
		return voiceassist.PageDamaged, true
	}
	return "", false
}

// failureOf is the end of a document whose reading broke off with err for which
// no single page is to blame.
func failureOf(err error) error {
	if f, ok := errors.AsType[*voiceassist.Failure](err); ok {
		return f
	}
	return &voiceassist.Failure{
		Reason:  voiceassist.ReasonCrashed,
		Message: "Reading this file ends the reader, whichever page is read. The file is probably damaged. " + resave,
		Err:     err,
	}
}

func reasonOf(fault voiceassist.PageFault) voiceassist.Reason {
	switch fault {
	case voiceassist.PageCrashed:
		return voiceassist.ReasonCrashed
	case voiceassist.PageDamaged:
		return voiceassist.ReasonDamaged
	default:
		return voiceassist.ReasonTooComplex
	}
}

// finishExtraction ends an extraction all of whose pages have been read: it
// decides, from what is stored, whether the document can be indexed.
func (w *Worker) finishExtraction(ctx context.Context, a *attempt, x postgres.Extraction, info voiceassist.FileInfo) (postgres.Extraction, error) {
	x.Info = info
	var err error
	if x.Bad, err = w.Ledger.BadPages(ctx, x); err != nil {
		return x, err
	}
	if len(x.Bad) > 0 && len(x.Bad) == info.Pages {
		return x, voiceassist.Fail(reasonOf(x.Bad[0].Reason), "No page of the file can be read. %s %s", voiceassist.DescribeBadPages(x.Bad), resave)
	}
	some := a.readText
	if !some {
		if some, err = w.hasText(ctx, x); err != nil {
			return x, err
		}
	}
	if !some {
		return x, voiceassist.Fail(voiceassist.ReasonNoText,
			"This file holds no text, only pictures or empty pages. If it is a scan, run text recognition (OCR) over it and upload the result.")
	}
	return x, w.Ledger.FinishExtraction(ctx, a.Attempt, x)
}

// hasText reports whether a stored page holds a letter or a digit.
func (w *Worker) hasText(ctx context.Context, x postgres.Extraction) (bool, error) {
	for first := 1; first <= x.Info.Pages; first += pageBatch {
		pages, err := w.Ledger.Pages(ctx, x.SHA256, x.Engine, first, pageBatch)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(pages, hasWord) {
			return true, nil
		}
	}
	return false, nil
}

func hasWord(p voiceassist.Page) bool { return strings.ContainsFunc(p.Text, isWordRune) }

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
