package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// What is done in one go at most; of more, several workers each take a part.
const (
	defaultPartPages    = 64   // pages
	defaultPartPassages = 1024 // passages
)

func (w *Worker) partPages() int { return cmp.Or(w.PartPages, defaultPartPages) }

func (w *Worker) partPassages() int { return cmp.Or(w.PartPassages, defaultPartPassages) }

// split ends an attempt whose job goes on in parts.
type split struct{ postgres.Split }

func (s *split) Error() string { return fmt.Sprintf("goes on in %d parts", len(s.Parts)) }

// splitPages has others read the missing pages of an extraction.
func (w *Worker) splitPages(x postgres.Extraction, missing []int) error {
	stored := x.Info.Pages - len(missing)
	return &split{postgres.Split{
		Kind: voiceassist.JobExtract, Parts: runs(missing, evenly(len(missing), w.partPages())),
		Progress: postgres.Progress{
			Stage: voiceassist.StageExtract, Processed: stored, Total: x.Info.Pages,
			Percent: extractShare.at(stored, x.Info.Pages),
		},
	}}
}

// splitPassages has others embed the passages with the given ordinals.
func (w *Worker) splitPassages(p postgres.Publication, missing []int) error {
	var parts []postgres.Span
	for some := range slices.Chunk(missing, evenly(len(missing), w.partPassages())) {
		parts = append(parts, postgres.Span{First: some[0], Last: some[len(some)-1]})
	}
	stored := p.Passages - len(missing)
	return &split{postgres.Split{
		Kind: voiceassist.JobEmbed, Gate: voiceassist.GateEmbed, Parts: parts, Generation: p.Generation,
		Progress: postgres.Progress{
			Stage: voiceassist.StageEmbed, Processed: stored, Total: p.Passages,
			Percent: embedShare.at(stored, p.Passages),
		},
	}}
}

// evenly returns how many of n go into each part when none takes more than
// most: parts that are alike and even in number keep two busy to the end.
func evenly(n, most int) int {
	pairs := (n + 2*most - 1) / (2 * most)
	return (n + 2*pairs - 1) / (2 * pairs)
}

// runs returns the runs without gaps among ascending numbers, none longer than
// most.
func runs(numbers []int, most int) []postgres.Span {
	var spans []postgres.Span
	for _, n := range numbers {
		last := len(spans) - 1
		if last >= 0 && spans[last].Last == n-1 && n-spans[last].First < most {
			spans[last].Last = n
			continue
		}
		spans = append(spans, postgres.Span{First: n, Last: n})
	}
	return spans
}

// extractPart reads those of the part's pages that are not stored.
func (w *Worker) extractPart(ctx context.Context, a *attempt) error {
	return w.inStage(ctx, a, voiceassist.StageExtract, func() error {
		x, complete, err := w.extraction(ctx, a)
		if err != nil || complete {
			return err
		}
		part := postgres.Span{First: a.job.First, Last: a.job.Last}
		missing, err := w.Ledger.MissingPages(ctx, x, part)
		if err != nil || len(missing) == 0 {
			return err
		}
		if _, err := w.readMissing(ctx, a, x, part); err != nil {
			return err
		}
		// A job whose parts end well without their pages would split for ever.
		if missing, err = w.Ledger.MissingPages(ctx, x, part); err == nil && len(missing) > 0 {
			err = fmt.Errorf("page %d was not read", missing[0])
		}
		return err
	})
}

// readMissing reads and stores those pages of a span of the document's original
// that are not stored. It returns what readPages does.
func (w *Worker) readMissing(ctx context.Context, a *attempt, x postgres.Extraction, s postgres.Span) (voiceassist.FileInfo, error) {
	file, remove, err := w.fetch(ctx, a.document)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	defer remove()
	return w.readPages(ctx, a, x, file, voiceassist.PageRange(s))
}

// embedPart stores the vectors of the part's passages. If they may not or cannot
// be made any more the part ends all the same: its job sees that, and goes on
// without.
func (w *Worker) embedPart(ctx context.Context, a *attempt) error {
	if w.Embedder == nil || !w.mayEmbed() {
		return nil
	}
	title, profile, err := w.Ledger.EmbeddedAs(ctx, a.DocumentID, a.job.Generation)
	if err != nil || profile != w.profile() {
		return err
	}
	a.embedder = w.Embedder
	return w.inStage(ctx, a, voiceassist.StageEmbed, func() error {
		p := postgres.Publication{Generation: a.job.Generation, Info: voiceassist.FileInfo{Title: title}}
		return w.embedSpan(ctx, a, p, postgres.Span{First: a.job.First, Last: a.job.Last})
	})
}

// share is what a stage takes of a job's progress, in percent from and to.
type share postgres.Shares

// at returns the percentage when so many of all pages or passages are done.
func (s share) at(done, all int) int { return s.From + (s.To-s.From)*done/max(all, 1) }

// partShare returns the share of the stage that parts of a kind belong to.
func partShare(kind voiceassist.JobKind) postgres.Shares {
	if kind == voiceassist.JobExtract {
		return postgres.Shares(extractShare)
	}
	return postgres.Shares(embedShare)
}
