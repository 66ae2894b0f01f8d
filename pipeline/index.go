package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// Batches bound what a worker holds of a document at once.
const (
	pageBatch      = 32      // pages
	pageBatchBytes = 1 << 20 // or so much text
	passageBatch   = 128     // passages
	passageInsert  = 2000    // passages stored in one transaction
)

// Progress of a job at the ends of its stages, in percent.
const (
	extractedPercent = 40
	chunkedPercent   = 50
	embeddedPercent  = 75
	publishedPercent = 99
)

// What the stages take of it.
var (
	extractShare = share{0, extractedPercent}
	chunkShare   = share{extractedPercent, chunkedPercent}
	embedShare   = share{chunkedPercent, embeddedPercent}
	publishShare = share{embeddedPercent, publishedPercent}
)

// index makes a new generation of a document and lets it take over. It may be
// called any number of times: it finds what earlier attempts, parts and other
// documents have stored, and does what is left.
func (w *Worker) index(ctx context.Context, a *attempt) error {
	if w.mayEmbed() {
		a.embedder = w.Embedder
	}
	var x postgres.Extraction
	if err := w.inStage(ctx, a, voiceassist.StageExtract, func() (err error) {
		x, err = w.extract(ctx, a)
		if err == nil && len(x.Bad) > 0 {
			a.note("done", voiceassist.DescribeBadPages(x.Bad), 0)
		}
		return err
	}); err != nil {
		return err
	}
	recipe, p := w.plan(a, x)
	resumed, err := w.resume(ctx, a, recipe, &p)
	if err != nil {
		return err
	}
	if !resumed {
		if err := w.inStage(ctx, a, voiceassist.StageChunk, func() error { return w.chunk(ctx, a, x, recipe, &p) }); err != nil {
			return err
		}
	}
	a.generation = p.Generation
	if a.embedder != nil {
		if err := w.inStage(ctx, a, voiceassist.StageEmbed, func() error { return w.embed(ctx, a, p) }); err != nil {
			return err
		}
	}
	return w.inStage(ctx, a, voiceassist.StagePublish, func() error { return w.publish(ctx, a, p) })
}

// extract sees to it that all pages of the document's original are stored.
// Those that are, from an earlier attempt or another document with the same
// bytes, are not read again. More than fit into a part are left to parts.
func (w *Worker) extract(ctx context.Context, a *attempt) (postgres.Extraction, error) {
	x, complete, err := w.extraction(ctx, a)
	if err != nil || complete {
		return x, err
	}
	if x.Info.Pages == 0 {
		if x, complete, err = w.beginExtraction(ctx, a, x); err != nil || complete {
			return x, err
		}
	}
	all := postgres.Span{First: 1, Last: x.Info.Pages}
	missing, err := w.Ledger.MissingPages(ctx, x, all)
	if err != nil {
		return x, err
	}
	if len(missing) > w.partPages() {
		return x, w.splitPages(x, missing)
	}
	if len(missing) > 0 {
		if x.Info, err = w.readMissing(ctx, a, x, all); err != nil {
			return x, err
		}
	}
	return w.finishExtraction(ctx, a, x, x.Info)
}

// extraction returns what is stored of the document's text, as our engine
// reads it, and whether that is all.
func (w *Worker) extraction(ctx context.Context, a *attempt) (x postgres.Extraction, complete bool, err error) {
	engines, err := w.Reader.Engines(ctx)
	if err != nil {
		return x, false, fmt.Errorf("ask for the engines: %w", err)
	}
	engine := engines[a.document.MediaType]
	if engine == "" {
		return x, false, voiceassist.Fail(voiceassist.ReasonUnsupported, "No engine reads %s.", a.document.MediaType)
	}
	return w.Ledger.Extraction(ctx, a.document.SHA256, engine)
}

// beginExtraction reads a file of which nothing is known yet, unless it is a PDF
// that is worth parts: of that it reads two pages, because the first may tell the title,
// and whoever finds the extraction begun relies on it. It reports whether it has
// read all.
func (w *Worker) beginExtraction(ctx context.Context, a *attempt, x postgres.Extraction) (_ postgres.Extraction, complete bool, err error) {
	file, remove, err := w.fetch(ctx, a.document)
	if err != nil {
		return x, false, err
	}
	defer remove()
	if a.document.MediaType == voiceassist.MediaPDF {
		if x.Info, err = w.readPages(ctx, a, x, file, noPage); err != nil {
			return x, false, err
		}
	}
	if x.Info.Pages > w.partPages() {
		info, err := w.readPages(ctx, a, x, file, voiceassist.PageRange{First: 1, Last: 2})
		if _, failed := errors.AsType[*voiceassist.Failure](err); err != nil && !failed {
			return x, false, err
		}
		if err == nil { // else the first part finds out whether these pages are to blame or the file
			x.Info = info
		}
		return x, false, w.Ledger.BeginExtraction(ctx, a.Attempt, x)
	}
	if x.Info, err = w.readPages(ctx, a, x, file, voiceassist.PageRange{}); err != nil {
		return x, false, err
	}
	x, err = w.finishExtraction(ctx, a, x, x.Info)
	return x, true, err
}

// fetch copies a document's original to a file of our own, which is gone when
// remove is called or this process ends.
func (w *Worker) fetch(ctx context.Context, d voiceassist.Document) (name string, remove func(), err error) {
	r, err := w.Blobs.NewReader(ctx, d.BlobKey, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return "", nil, voiceassist.Fail(voiceassist.ReasonMissing, "The original is missing from the file store. Upload the file again.")
	}
	if err != nil {
		return "", nil, blobError(err)
	}
	defer func() { _ = r.Close() }()
	f, err := newTempFile(w.TempDir)
	if err != nil {
		return "", nil, fmt.Errorf("fetch original: %w", err)
	}
	if _, err := io.Copy(f, r); err != nil {
		_ = f.Close()
		return "", nil, fmt.Errorf("fetch original: %w", err)
	}
	return f.path(), func() { _ = f.Close() }, nil
}

// plan returns how the document's passages are made now, and what becomes of it
// when they are.
func (w *Worker) plan(a *attempt, x postgres.Extraction) (postgres.Recipe, postgres.Publication) {
	p := postgres.Publication{Version: a.document.Version, Info: x.Info}
	p.Info.Title = cmp.Or(a.document.Title, x.Info.Title, nameWithoutExtension(a.document.Filename))
	recipe := postgres.Recipe{Engine: x.Engine, Chunker: ChunkerName, Title: p.Info.Title}
	if a.embedder != nil {
		recipe.Profile = a.embedder.Profile()
	}
	return recipe, p
}

// resume goes on with the generation that an earlier attempt has cut, if there
// is one and it was cut in the same way.
func (w *Worker) resume(ctx context.Context, a *attempt, recipe postgres.Recipe, p *postgres.Publication) (resumed bool, err error) {
	if a.job.Generation == 0 {
		return false, nil
	}
	had, passages, tokens, err := w.Ledger.Generation(ctx, a.DocumentID, a.job.Generation)
	if err != nil || had != recipe || passages == 0 {
		return false, err
	}
	p.Generation, p.Passages, p.Tokens = a.job.Generation, passages, tokens
	return true, nil
}

// chunk opens a generation and stores the passages of all pages in it.
func (w *Worker) chunk(ctx context.Context, a *attempt, x postgres.Extraction, recipe postgres.Recipe, p *postgres.Publication) error {
	number, err := w.Ledger.BeginGeneration(ctx, a.Attempt, recipe)
	if err != nil {
		return err
	}
	p.Generation = number
	chunker := NewChunker(a.DocumentID, number)
	for first := 1; first <= x.Info.Pages; first += pageBatch {
		pages, err := w.pages(ctx, a, x, first)
		if err != nil {
			return err
		}
		if want := min(pageBatch, x.Info.Pages-first+1) - x.BadIn(first, first+pageBatch-1); len(pages) < want {
			return fmt.Errorf("%d of %d pages from %d on are stored", len(pages), want, first)
		}
		var passages []voiceassist.Passage
		for _, page := range pages {
			passages = append(passages, chunker.Chunk(page)...)
		}
		if err := w.addPassages(ctx, a, recipe, passages); err != nil {
			return err
		}
		for _, passage := range passages {
			p.Passages++
			p.Tokens += passage.Tokens
		}
		if x.Info.Pages <= pageBatch && len(passages) <= passageBatch {
			a.passages = passages
		}
		if err := w.progress(ctx, a, postgres.Progress{
			Stage: voiceassist.StageChunk, Processed: min(first+pageBatch-1, x.Info.Pages), Total: x.Info.Pages,
			Percent: chunkShare.at(min(first+pageBatch-1, x.Info.Pages), x.Info.Pages),
		}); err != nil {
			return err
		}
	}
	w.Metrics.passagesCut(p.Passages)
	return nil
}

// pages returns a batch of an extraction's pages from first on, in order. Those
// of a short document that the attempt has read are at hand.
func (w *Worker) pages(ctx context.Context, a *attempt, x postgres.Extraction, first int) ([]voiceassist.Page, error) {
	if first == 1 && len(a.pages) == x.Info.Pages && slices.IsSortedFunc(a.pages, func(p, q voiceassist.Page) int { return p.Number - q.Number }) {
		return a.pages, nil
	}
	return w.Ledger.Pages(ctx, x.SHA256, x.Engine, first, pageBatch)
}

// addPassages stores passages, and which texts their vectors will stand for.
func (w *Worker) addPassages(ctx context.Context, a *attempt, recipe postgres.Recipe, passages []voiceassist.Passage) error {
	for some := range slices.Chunk(passages, passageInsert) {
		var digests [][]byte
		if recipe.Profile != "" {
			_, digests = digestTexts(recipe.Title, some)
		}
		if err := w.Ledger.AddPassages(ctx, a.Attempt, some, digests); err != nil {
			return err
		}
	}
	return nil
}

func nameWithoutExtension(name string) string {
	return cmp.Or(strings.TrimSuffix(name, path.Ext(name)), name)
}

// publish puts the generation's points into the index, unseen, and makes it
// the active one.
func (w *Worker) publish(ctx context.Context, a *attempt, p postgres.Publication) error {
	a.published = true
	if err := w.eachBatch(ctx, a, p, func(passages []voiceassist.Passage, done int) error {
		d := a.document
		d.Title = p.Info.Title
		points, err := w.points(ctx, a, d, d.Title, passages)
		if err != nil {
			return err
		}
		if err := w.Index.Upsert(ctx, points, false); err != nil {
			return fmt.Errorf("publish passages: %w", err)
		}
		return w.progress(ctx, a, postgres.Progress{
			Stage: voiceassist.StagePublish, Processed: done, Total: p.Passages,
			Percent: publishShare.at(done, p.Passages),
		})
	}); err != nil {
		return err
	}
	// Points are seen before the ledger lets them be found, and the old ones go
	// last: wherever this breaks off, the document stays findable.
	if err := w.Index.Reveal(ctx, a.DocumentID, p.Generation); err != nil {
		return fmt.Errorf("reveal generation: %w", err)
	}
	if err := w.Ledger.Publish(ctx, a.Attempt, p); err != nil {
		return err
	}
	if p.Generation == 1 {
		return nil // there are no old ones
	}
	if err := w.Index.Activate(ctx, a.DocumentID, p.Generation); err != nil {
		return fmt.Errorf("activate generation: %w", err)
	}
	return nil
}

// eachBatch calls f with the generation's passages in order; done counts those
// up to the end of the batch.
func (w *Worker) eachBatch(ctx context.Context, a *attempt, p postgres.Publication, f func(passages []voiceassist.Passage, done int) error) error {
	return w.eachBatchOf(ctx, a, p.Generation, postgres.Span{First: 0, Last: p.Passages - 1}, f)
}

// eachBatchOf is eachBatch for some of the passages; done counts only those.
func (w *Worker) eachBatchOf(ctx context.Context, a *attempt, generation int, s postgres.Span, f func(passages []voiceassist.Passage, done int) error) error {
	for first := s.First; first <= s.Last; first += passageBatch {
		want := min(passageBatch, s.Last-first+1)
		passages, err := w.passages(ctx, a, generation, first, want)
		if err != nil {
			return err
		}
		if len(passages) < want {
			return fmt.Errorf("%d of %d passages from %d on are stored", len(passages), want, first)
		}
		if err := f(passages, first-s.First+len(passages)); err != nil {
			return err
		}
	}
	return nil
}

// passages returns some of a generation's passages from first on, in order. Those
// of a short document that the attempt has cut are at hand.
func (w *Worker) passages(ctx context.Context, a *attempt, generation, first, limit int) ([]voiceassist.Passage, error) {
	if n := len(a.passages); n > 0 && generation == a.generation && first+limit <= n {
		return a.passages[first : first+limit], nil
	}
	return w.Ledger.GenerationPassages(ctx, a.DocumentID, generation, first, limit)
}

// points makes the points of passages of d, which were embedded under a title
// that may be an older one than d's.
func (w *Worker) points(ctx context.Context, a *attempt, d voiceassist.Document, embeddedTitle string, passages []voiceassist.Passage) ([]voiceassist.Point, error) {
	dense, err := w.vectors(ctx, a, embeddedTitle, passages)
	if err != nil {
		return nil, err
	}
	points := make([]voiceassist.Point, len(passages))
	for i, passage := range passages {
		points[i] = voiceassist.Point{
			ID: passage.ID, DocumentID: d.ID, Generation: passage.Generation,
			SourceType: d.SourceType, Specialty: d.Specialty, Category: d.Category,
			Text: searchText(d.Title, passage), Dense: dense[i],
		}
	}
	return points, nil
}

// titleWeight is how often a document's title counts in what a passage is
// found by its words: three times ranked best on MedQuAD (docs/decisions.md).
const titleWeight = 3

// searchText is what a passage is found by its words: the title of its
// document, its section, and its text.
func searchText(title string, p voiceassist.Passage) string {
	return strings.Repeat(title+"\n", titleWeight) + headedText("", p)
}

// headedText is a passage under the headings that it stands under, those that
// it does not itself begin with. It is what a passage is found by its meaning.
func headedText(title string, p voiceassist.Passage) string {
	section := p.Section
	if strings.HasPrefix(p.Text, section) {
		section = ""
	}
	return strings.Join(nonEmpty(title, section, p.Text), "\n")
}

func nonEmpty(parts ...string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}
