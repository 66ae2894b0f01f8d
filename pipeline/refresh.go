package pipeline

import (
	"context"
	"fmt"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// refresh writes the points of the active generation again, with what the
// document says of itself now. Passages and vectors are those that are stored:
// nothing is read or embedded again.
func (w *Worker) refresh(ctx context.Context, a *attempt) error {
	return w.inStage(ctx, a, voiceassist.StagePublish, func() error {
		d := a.document
		if d.DeletedAt != nil || d.Generation == 0 {
			return nil
		}
		title, profile, err := w.Ledger.EmbeddedAs(ctx, d.ID, d.Generation)
		if err != nil || profile != "" && profile != w.profile() { // of another profile: it has no points here
			return err
		}
		if profile != "" {
			a.embedder = w.Embedder
		}
		p := postgres.Publication{Generation: d.Generation, Info: voiceassist.FileInfo{Title: d.Title}, Passages: d.PassageCount}
		if err := w.eachBatch(ctx, a, p, func(passages []voiceassist.Passage, _ int) error {
			points, err := w.points(ctx, a, d, title, passages)
			if err != nil {
				return err
			}
			if err := w.Index.Upsert(ctx, points, true); err != nil {
				return fmt.Errorf("refresh passages: %w", err)
			}
			return nil
		}); err != nil {
			return err
		}
		return w.removeIfSuperseded(ctx, d)
	})
}

// removeIfSuperseded removes the points of d's generation if another has taken
// over while they were written. If one does so only after this, it removes them
// itself.
func (w *Worker) removeIfSuperseded(ctx context.Context, d voiceassist.Document) error {
	now, err := w.Ledger.Document(ctx, d.ID)
	switch {
	case voiceassist.CodeOf(err) == voiceassist.NotFound:
		err = w.Index.Delete(ctx, d.ID)
	case err == nil && now.Generation != d.Generation:
		err = w.Index.DeleteGeneration(ctx, d.ID, d.Generation)
	}
	return err
}
