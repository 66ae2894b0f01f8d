package pipeline

import (
	"context"
	"fmt"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// remove takes a deleted document out of the index. A worker that was indexing
// it when it was deleted may still write there until its lease would have ended,
// so removal runs once more then.
func (w *Worker) remove(ctx context.Context, a *attempt) error {
	return w.inStage(ctx, a, voiceassist.StageRemove, func() error {
		if a.document.DeletedAt == nil {
			return nil
		}
		if err := w.Index.Delete(ctx, a.DocumentID); err != nil {
			return fmt.Errorf("remove points: %w", err)
		}
		workedOn, err := w.Ledger.WorkedOn(ctx, a.DocumentID)
		if err != nil {
			return fmt.Errorf("remove points: %w", err)
		}
		if wait := time.Until(a.document.DeletedAt.Add(a.lease)); workedOn && wait > 0 {
			return &voiceassist.Paced{After: wait, Err: voiceassist.Errorf(voiceassist.Conflict, "a worker may still be writing")}
		}
		return nil
	})
}

// purge removes the text and the original of a document that can no longer be
// brought back.
func (w *Worker) purge(ctx context.Context, a *attempt) error {
	return w.inStage(ctx, a, voiceassist.StageRemove, func() error {
		at, err := w.Ledger.PurgeAt(ctx, a.DocumentID)
		if err != nil {
			return fmt.Errorf("purge: %w", err)
		}
		if wait := time.Until(at); wait > 0 {
			return &voiceassist.Paced{After: wait, Err: voiceassist.Errorf(voiceassist.Conflict, "the document may still be brought back")}
		}
		if err := w.Ledger.Purge(ctx, a.Attempt); err != nil {
			return fmt.Errorf("purge text: %w", err)
		}
		return deleteBlob(ctx, w.Blobs, a.document.BlobKey)
	})
}
