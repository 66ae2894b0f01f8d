package voiceassist

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// JobKind names what a job does.
type JobKind string

// The kinds of job.
const (
	JobIndex   JobKind = "index"   // extract → chunk → embed → publish, as a new generation
	JobRefresh JobKind = "refresh" // bring the points of the active generation in line with the document's edited fields
	JobDelete  JobKind = "delete"  // take a tombstoned document out of the index
	JobPurge   JobKind = "purge"   // take it out of the ledger and the blob store, when it can no longer be brought back
	JobExtract JobKind = "extract" // a part of an index job: some of its pages
	JobEmbed   JobKind = "embed"   // a part of an index job: the vectors of some of its passages
)

// JobState is where a job stands. Moves:
//
//	pending → running → completed | failed | cancelled
//	running → pending   (retry, paced, its worker died)
//	running → waiting   (its parts are done by whoever is free)
//	waiting → pending   (they have all ended)
//	pending | waiting → superseded | cancelled
type JobState string

// The states of a job.
const (
	JobPending    JobState = "pending"
	JobRunning    JobState = "running"
	JobWaiting    JobState = "waiting"
	JobCompleted  JobState = "completed"
	JobFailed     JobState = "failed"
	JobSuperseded JobState = "superseded"
	JobCancelled  JobState = "cancelled"
)

// MaxAttempts is how often a job is tried before it fails, not counting the
// attempts that were given back.
const MaxAttempts = 5

// Done reports whether a job in this state will never run again by itself.
func (s JobState) Done() bool { return s != JobPending && s != JobRunning && s != JobWaiting }

// Queue is how urgent a job is.
type Queue string

// The queues, most urgent first.
const (
	QueueInteractive Queue = "interactive" // somebody waits for it
	QueueDefault     Queue = "default"     // an upload
	QueueBulk        Queue = "bulk"        // a load or a reindexing
	QueueMaintenance Queue = "maintenance" // housekeeping
)

// Queues lists every queue with its weight: how often it is looked at for each
// time a queue of weight 1 is.
var Queues = []struct {
	Name   Queue
	Weight int
}{
	{QueueInteractive, 8},
	{QueueDefault, 4},
	{QueueBulk, 2},
	{QueueMaintenance, 1},
}

// Backlog is how much one queue has to do.
type Backlog struct {
	Pending   int           // not started
	Running   int           //
	Oldest    time.Duration // how long the oldest pending job has been due
	Published int           // of the pending, those handed to the workers
	Gated     int           // of the pending, those that wait at a gate
	Lanes     int           // that the pending are in
	PerSecond float64       // started lately, while any are published
}

// Stage is what a job is doing.
type Stage string

// The stages of JobIndex, in order, of which JobRefresh has the last, and the
// one of JobDelete.
const (
	StageExtract Stage = "extract"
	StageChunk   Stage = "chunk"
	StageEmbed   Stage = "embed"
	StagePublish Stage = "publish"
	StageRemove  Stage = "remove"
)

// Job is one piece of work on a document, as the ledger accounts for it.
type Job struct {
	ID           uuid.UUID
	DocumentID   uuid.UUID
	Kind         JobKind
	Queue        Queue
	State        JobState
	Stage        Stage
	Attempts     int // started; the number of the current one is the fencing token of its writes
	GivenBack    int // attempts that do not count against MaxAttempts: paced, or the worker stopped in good order
	Deliveries   int // times published to the queue
	Progress     int // 0–100
	Processed    int // pages or passages done in this stage
	Total        int // of so many; 0 while unknown
	ErrorCode    Reason
	ErrorMessage string
	RunAt        time.Time // not before
	CreatedAt    time.Time
	StartedAt    *time.Time
	CompletedAt  *time.Time
	ParentID     *uuid.UUID // of a part, the job that waits for it
	First, Last  int        // of a part: pages from 1, or passages from 0
	Generation   int        // that it builds and goes on with when it runs again; 0 is none
	Gate         Gate       // that has to be open for it to be published; "" is none
	Lane         string     // jobs of a queue take turns by lane
	Timeline     []JobEvent // nil where a list does not carry it
}

// Gate names something outside that jobs wait for together.
type Gate string

// GateEmbed is open while the embedding service takes texts.
const GateEmbed Gate = "embed"

// JobEvent is a line of a job's timeline: what ran when, how long, with which
// result.
type JobEvent struct {
	Attempt int
	Stage   Stage
	Result  string // done, retry, paced, split, failed, cancelled, interrupted
	Detail  string
	Took    time.Duration
	At      time.Time // when it ended
	Part    *Part     // in which it happened; nil is the job itself
}

// JobFilter selects jobs; zero fields select everything. Newest first.
type JobFilter struct {
	DocumentID *uuid.UUID
	State      JobState
	Offset     int
	Limit      int
}

// Delivery is all that travels through the queue: which job, and the how-manieth
// publication of it this is. A worker loads the rest from the ledger.
type Delivery struct {
	JobID  uuid.UUID `json:"job_id"`
	Number int       `json:"delivery"`
}

// TaskID is the delivery's name in the queue. It is never used twice, because
// the queue refuses a name while it remembers it.
func (d Delivery) TaskID() string { return fmt.Sprintf("%s:%d", d.JobID, d.Number) }

// ErrFenced is returned by the ledger when the attempt that writes is no
// longer the job's current one: another worker has it now. Stop, write nothing.
var ErrFenced = errors.New("the attempt is no longer the current one")

// Failure is an outcome of a stage that retrying does not change. The document
// ends failed with its reason and message.
type Failure struct {
	Reason  Reason
	Message string // a sentence a person can act on
	Err     error  // for the log
}

// Fail returns a *Failure.
func Fail(reason Reason, format string, args ...any) *Failure {
	err := fmt.Errorf(format, args...)
	return &Failure{Reason: reason, Message: err.Error(), Err: errors.Unwrap(err)}
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Message }
func (f *Failure) Unwrap() error { return f.Err }

// Paced is an outcome that says: not now, and nobody's fault. The job waits and
// no attempt is counted.
type Paced struct {
	After time.Duration
	Err   error // an *Error's message tells whoever reads the job's timeline why
}

func (p *Paced) Error() string { return fmt.Sprintf("paced for %s: %v", p.After, p.Err) }
func (p *Paced) Unwrap() error { return p.Err }
