package pipeline

import (
	"context"
	"fmt"
	"time"

	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
)

// remove takes a deleted document out of the index, the ledger and the blob
// store. A worker that was indexing it when it was deleted may still write to
// the index until its lease would have ended, so removal runs once more then.
func (w *Worker) remove(ctx context.Context, a *attempt) error {
	return w.inStage(ctx, a, voiceassist.StageRemove, func() error {
		if err := w.Index.Delete(ctx, a.DocumentID); err != nil {
			return fmt.Errorf("remove points: %w", err)
		}
		workedOn, err := w.Ledger.Purge(ctx, a.Attempt)
		if err != nil {
			return fmt.Errorf("purge text: %w", err)
		}
		if err := w.Blobs.Delete(ctx, a.document.BlobKey); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return blobError(err)
		}
		if wait := time.Until(a.document.DeletedAt.Add(a.lease)); workedOn && wait > 0 {
			return &voiceassist.Paced{After: wait, Err: voiceassist.Errorf(voiceassist.Conflict, "a worker may still be writing")}
		}
		return nil
	})
}
