package pipeline

import (
	"context"
	"fmt"
	"strings"
	"unicode"

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

// finishExtraction ends an extraction all of whose pages have been read: it
// decides, from what is stored, whether the document can be indexed.
func (w *Worker) finishExtraction(ctx context.Context, a *attempt, x postgres.Extraction, info voiceassist.FileInfo) (postgres.Extraction, error) {
	x.Info = info
	some, err := w.hasText(ctx, x)
	if err != nil {
		return x, err
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
		for _, p := range pages {
			if strings.ContainsFunc(p.Text, isWordRune) {
				return true, nil
			}
		}
	}
	return false, nil
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
