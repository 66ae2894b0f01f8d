package pipeline

import (
	"context"
	"fmt"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// readPages has a child read some pages of a file, stores them as they come and
// returns what the file says of itself; Pages counts those of the whole file.
func (w *Worker) readPages(ctx context.Context, a *attempt, x postgres.Extraction, file string, pages voiceassist.PageRange) (voiceassist.FileInfo, error) {
	var batch []voiceassist.Page
	size, read, last := 0, 0, 0
	store := func() error {
		if err := w.Ledger.AddPages(ctx, a.Attempt, x, batch); err != nil {
			return err
		}
		batch, size = batch[:0], 0
		return w.progress(ctx, a, postgres.Progress{Stage: voiceassist.StageExtract, Processed: read, Percent: extractedPercent / 2})
	}
	info, _, err := w.Reader.Extract(ctx, a.document.MediaType, file, pages, func(p voiceassist.Page) error {
		batch = append(batch, p)
		size += len(p.Text)
		read++
		last = p.Number
		if len(batch) < pageBatch && size < pageBatchBytes {
			return nil
		}
		return store()
	})
	if err != nil {
		return info, fmt.Errorf("extract text: %w", err)
	}
	w.Metrics.pagesRead(read)
	return voiceassist.FileInfo{
		Title: cleanText(info.Title, maxMeta), Author: cleanText(info.Author, maxMeta), Pages: max(info.Pages, last),
	}, store()
}
