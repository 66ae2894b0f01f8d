package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// Bounds of a manifest.
const (
	MaxManifestChunk = 10_000  // entries of one request
	MaxBatchFiles    = 100_000 // entries of one batch
)

// Batch is a load of many files, of which every one is accounted for. It takes
// files until it is closed, cancelled or has ended; it ends when no more come
// and nothing of it is in flight. Its account goes on telling the fate of its
// files after that, and has some in flight while their documents are indexed anew.
type Batch struct {
	ID          uuid.UUID
	Name        string
	Manifest    bool // it takes the files that it lists and no others
	More        bool // entries of its manifest are still to come
	Defaults    BatchDefaults
	WebhookURL  string // that is told of the end; "" is none
	Notify      bool   // whether whoever opened it is mailed the end
	CreatedBy   *uuid.UUID
	CreatedAt   time.Time
	PausedAt    *time.Time
	CancelledAt *time.Time
	ClosedAt    *time.Time
	EndedAt     *time.Time
	Account     BatchAccount
	Rate        float64        // files finished per minute, over the last five; only of a batch asked for by itself
	Notices     []NoticeReport // of its ends, oldest first; likewise
}

// BatchDefaults say of files what their uploads do not say.
type BatchDefaults struct {
	SourceType string
	Specialty  string
	Category   string
	Author     string
}

// BatchState is where a batch stands, in one word.
type BatchState string

// The states of a batch.
const (
	BatchOpen      BatchState = "open"      // files come, or are worked on
	BatchPaused    BatchState = "paused"    // files come, and no work on them begins
	BatchClosed    BatchState = "closed"    // no more files come; some are worked on
	BatchCancelled BatchState = "cancelled" // likewise, and what was unfinished is not done
	BatchEnded     BatchState = "ended"
)

// State returns where the batch stands.
func (b Batch) State() BatchState {
	switch {
	case b.CancelledAt != nil:
		return BatchCancelled
	case b.EndedAt != nil:
		return BatchEnded
	case b.PausedAt != nil:
		return BatchPaused
	case b.ClosedAt != nil:
		return BatchClosed
	}
	return BatchOpen
}

// TakesFiles returns nil, or a Conflict that says why no file may be added.
func (b Batch) TakesFiles() error {
	switch {
	case b.CancelledAt != nil:
		return Errorf(Conflict, "the batch was cancelled")
	case b.EndedAt != nil:
		return Errorf(Conflict, "the batch has ended: open another one for more files")
	case b.ClosedAt != nil:
		return Errorf(Conflict, "the batch is closed: open another one for more files")
	}
	return nil
}

// BatchAccount says of how many files what has become. Declared = Awaited +
// Accepted, and Accepted = Indexed + Duplicate + Skipped + Failed + Cancelled +
// InFlight + Imbalance.
type BatchAccount struct {
	Declared  int
	Awaited   int // not uploaded yet
	Accepted  int
	Indexed   int
	Duplicate int // in the library before, or twice in the batch
	Skipped   int // of a kind that is not read
	Failed    int
	Cancelled int // also: deleted afterwards
	InFlight  int
	Imbalance int // lost; 0, or something is broken
}

// Fate is what has become of a file of a batch.
type Fate string

// The fates of files. FateLost is none that the program gives: it names files
// that are neither finished nor worked on.
const (
	FateAwaited   Fate = "awaited"
	FateInFlight  Fate = "in_flight"
	FateIndexed   Fate = "indexed"
	FateDuplicate Fate = "duplicate"
	FateSkipped   Fate = "skipped"
	FateFailed    Fate = "failed"
	FateCancelled Fate = "cancelled"
	FateLost      Fate = "lost"
)

// Why files of a batch are not indexed, besides the reasons of documents.
const (
	ReasonTooLarge  Reason = "too_large"  // longer than uploads may be
	ReasonEmpty     Reason = "empty"      // without a byte
	ReasonOther     Reason = "other_file" // other bytes came than the manifest says
	ReasonWithdrawn Reason = "withdrawn"  // its batch was cancelled before it came
)

// ManifestEntry announces a file.
type ManifestEntry struct {
	Name   string // as the client knows it, such as a path
	Size   int64  // bytes
	SHA256 string // 64 hex digits
}

// BatchFile is a file of a batch and its fate.
type BatchFile struct {
	ID         int64 // in the order of the manifest
	Name       string
	Size       int64  // bytes; 0 if nobody knows
	SHA256     string // "" if nobody knows
	Fate       Fate
	Reason     Reason // "" unless the fate needs one
	Message    string // the same as a sentence
	DocumentID *uuid.UUID
	JobID      *uuid.UUID // the last that worked on it
	AddedAt    time.Time
	ReceivedAt *time.Time
	FinishedAt *time.Time
}

// BatchFilter selects batches; zero fields select everything. Newest first.
type BatchFilter struct {
	Name   string // exactly
	Open   bool   // those that have not ended
	Offset int
	Limit  int
}

// BatchFileFilter selects files of a batch; zero fields select everything. In
// the order of the manifest.
type BatchFileFilter struct {
	Fate   Fate
	Search string // a part of the name, any case
	Offset int
	Limit  int
}

// NoticeKind is how somebody is told.
type NoticeKind string

// The kinds of notice.
const (
	NoticeWebhook NoticeKind = "webhook"
	NoticeMail    NoticeKind = "mail"
)

// Notice is something that somebody outside is to be told.
type Notice struct {
	ID        uuid.UUID
	BatchID   uuid.UUID
	Kind      NoticeKind
	To        string // a URL, or an address; "" if there is none any more
	Body      string
	Attempts  int // begun, with the current one
	CreatedAt time.Time
}

// NoticeReport says how far a notice has come.
type NoticeReport struct {
	Kind        NoticeKind
	Attempts    int    // begun
	LastError   string // why the last attempt failed; "" once it has arrived
	CreatedAt   time.Time
	NextAt      time.Time // not before, if there is to be another attempt
	DeliveredAt *time.Time
	GivenUpAt   *time.Time
}

// LibraryAccount says of how many documents what has become. Accepted = Indexed
// + Failed + Cancelled + Deleted + InFlight + Imbalance.
type LibraryAccount struct {
	Accepted, Indexed, Failed, Cancelled, Deleted, InFlight, Imbalance int
}
