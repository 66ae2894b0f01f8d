package httpapi

import (
	"context"
	"io"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Library is what this package asks of pipeline.Intake: it takes documents in.
type Library interface {
	// Receive stores the bytes of body. Possible ends: they are safe; TooLarge;
	// UnsupportedMedia, judged by content; Invalid when there are none; the
	// error of body.
	Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error)
	// Commit makes received bytes a document, or finds the one they are already.
	Commit(ctx context.Context, r voiceassist.Received, meta voiceassist.DocumentMeta) (voiceassist.Accepted, error)
	// Discard forgets received bytes.
	Discard(ctx context.Context, r voiceassist.Received)
	// Original opens a document's file, or is NotFound.
	Original(ctx context.Context, d voiceassist.Document) (io.ReadCloser, error)
}

// Ledger is what this package asks of postgres.DB about the knowledge base.
// Whatever is looked up by an id may be NotFound.
type Ledger interface {
	Document(ctx context.Context, id uuid.UUID) (voiceassist.Document, error)
	// Documents returns a part of the matching documents and how many match.
	Documents(ctx context.Context, f voiceassist.DocumentFilter) ([]voiceassist.Document, int, error)
	// UpdateDocument changes what is said of a document; it is Conflict if
	// another version was edited than the one there is.
	UpdateDocument(ctx context.Context, id uuid.UUID, e voiceassist.DocumentEdit) (voiceassist.Document, error)
	// DeleteDocument hides a document at once and returns the job that removes
	// it. It can be brought back for keep.
	DeleteDocument(ctx context.Context, id uuid.UUID, keep time.Duration) (uuid.UUID, error)
	// Reindex makes jobs for the documents, all of them if ids is nil.
	Reindex(ctx context.Context, ids []uuid.UUID) ([]voiceassist.Job, error)

	Jobs(ctx context.Context, f voiceassist.JobFilter) ([]voiceassist.Job, int, error)
	Job(ctx context.Context, id uuid.UUID) (voiceassist.Job, error)
	// DocumentTimeline returns a part of what the jobs of a document have done.
	DocumentTimeline(ctx context.Context, id uuid.UUID, offset, limit int) (voiceassist.Timeline, error)
	// CancelJob and RetryJob are Conflict when the job's state does not allow it.
	CancelJob(ctx context.Context, id uuid.UUID) (voiceassist.Job, error)
	RetryJob(ctx context.Context, id uuid.UUID) (voiceassist.Job, error)

	// PageText returns a page as stored for a generation; 0 is the active one.
	PageText(ctx context.Context, documentID uuid.UUID, generation, page int) (voiceassist.Page, error)
	// Passages returns a part of the active generation's passages, in reading
	// order, and how many there are.
	Passages(ctx context.Context, documentID uuid.UUID, offset, limit int) ([]voiceassist.Passage, int, error)
	LibraryStats(ctx context.Context) (voiceassist.LibraryStats, error)
}

// Searcher is what this package asks of rag.Service.
type Searcher interface {
	// Search returns at most limit passages, best first.
	Search(ctx context.Context, query string, filter voiceassist.SearchFilter, limit int) ([]voiceassist.Hit, error)
}

// IndexFigures are what the search index says of itself.
type IndexFigures struct {
	Points  int    // passages that can be found
	Bytes   int64  // 0 if it does not tell
	Profile string // of the dense vectors; "" when the search goes by words alone
}
