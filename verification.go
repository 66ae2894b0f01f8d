package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// DifferenceKind says in which way two parts of the system disagree.
type DifferenceKind string

// The kinds of difference.
const (
	PointsMissing  DifferenceKind = "points_missing"  // passages of an active generation that the index lacks
	PointsSurplus  DifferenceKind = "points_surplus"  // points that no passage of an active generation answers for
	PointsWrong    DifferenceKind = "points_wrong"    // points of another document or generation than their passage, or hidden
	BlobMissing    DifferenceKind = "blob_missing"    // a document without its original
	BlobChanged    DifferenceKind = "blob_changed"    // an original of another size, or with other bytes
	BlobOrphan     DifferenceKind = "blob_orphan"     // a blob that no row refers to
	TextDiffers    DifferenceKind = "text_differs"    // passages that are not what their pages say, or of another number
	VectorsMissing DifferenceKind = "vectors_missing" // passages that should have a vector and have none
	WithoutJob     DifferenceKind = "without_job"     // a document that waits for a job there is not
	JobStray       DifferenceKind = "job_stray"       // an unfinished job of a deleted document, or a part without its whole
	JobStuck       DifferenceKind = "job_stuck"       // a job that waits for nothing, or whose worker is long gone
	DeliveryLost   DifferenceKind = "delivery_lost"   // a job that was published and that the queue does not hold
	TaskStray      DifferenceKind = "task_stray"      // a task in the queue of which the ledger has no job
	StateWrong     DifferenceKind = "state_wrong"     // a document whose state contradicts its generation
)

// DifferenceKinds are all there are, in the order in which they are looked for.
var DifferenceKinds = []DifferenceKind{
	WithoutJob, JobStray, JobStuck, StateWrong, DeliveryLost, TaskStray,
	BlobMissing, BlobChanged, BlobOrphan, TextDiffers, VectorsMissing, PointsMissing, PointsWrong, PointsSurplus,
}

// Difference is something that two parts of the system disagree on.
type Difference struct {
	Kind     DifferenceKind `json:"kind"`
	ID       string         `json:"id"`    // of the document, the job, the blob or the task
	Count    int            `json:"count"` // of how many points or passages; else 1
	Detail   string         `json:"detail"`
	Remedy   string         `json:"remedy"`            // what repairing does, or what a person must do
	Repaired bool           `json:"repaired"`          // it was repaired, or a job that does so was made
	Failure  string         `json:"failure,omitempty"` // why it could not be repaired
}

// MaxDifferences is how many differences a stored verification lists; all are
// counted.
const MaxDifferences = 200

// Verification is one comparison of ledger, index, blob store and queue.
type Verification struct {
	ID          uuid.UUID
	Scheduled   bool // it is a nightly one
	Repair      bool
	RequestedAt time.Time
	StartedAt   *time.Time
	FinishedAt  *time.Time // nil while it waits or is under way
	Error       string     // why it could not be done
	Checked     map[string]int
	Counts      map[DifferenceKind]int
	Repaired    int
	Differences []Difference // the first MaxDifferences
}

// Clean reports whether the comparison was done and found nothing.
func (v Verification) Clean() bool {
	return v.FinishedAt != nil && v.Error == "" && len(v.Counts) == 0
}

// StoredPoint is a point as the index holds it.
type StoredPoint struct {
	PassageID  uuid.UUID
	DocumentID uuid.UUID
	Generation int
	Active     bool
}

// QueuedTask is a task as the queue holds it.
type QueuedTask struct {
	Queue Queue
	ID    string
	JobID uuid.UUID // whose delivery it is; zero if it is none
}
