package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// Verifier compares the ledger with the index, the blob store and the queue.
// It goes through each of them once, in order, and holds no more than a page of
// anything and what it suspects. Work goes on meanwhile, so whatever looks wrong
// is looked at again a moment later, and is no difference while a job is about it.
type Verifier struct {
	Ledger  *postgres.DB
	Index   PointStore
	Blobs   *blob.Bucket
	Queue   TaskStore
	Profile string        // of the vectors in use; "" is lexical search only
	Grace   time.Duration // how old a blob without a row must be; 0 is DefaultGrace
	Settle  time.Duration // between the first look and the second; 0 is 3 s
	Late    time.Duration // how long the sweeper may take; 0 is a minute
	Log     *slog.Logger
}

// PointStore is what verification needs of the index.
type PointStore interface {
	// Scroll lists the points of a document, or all for uuid.Nil, ordered by id.
	Scroll(ctx context.Context, documentID uuid.UUID) iter.Seq2[voiceassist.StoredPoint, error]
	// DeletePoints removes points by their ids.
	DeletePoints(ctx context.Context, ids []uuid.UUID) error
}

// TaskStore is what verification needs of the queue.
type TaskStore interface {
	// Holds reports whether a delivery still waits to be taken.
	Holds(queue voiceassist.Queue, d voiceassist.Delivery) (bool, error)
	// Tasks lists what the queues hold and nobody works on.
	Tasks(ctx context.Context) iter.Seq2[voiceassist.QueuedTask, error]
	// DropTask removes a task that nobody works on; one that is gone is no error.
	DropTask(t voiceassist.QueuedTask) error
}

// VerifyOptions say how thorough a verification is.
type VerifyOptions struct {
	Deep   bool                         // compare the bytes of all originals and the texts of all passages
	Repair bool                         // repair what can be repaired without a person
	Each   func(voiceassist.Difference) // told each difference as it is confirmed; nil tells nobody
}

// maxSuspects bounds what one kind of comparison remembers for its second look.
// What is beyond it is found by the next verification.
const maxSuspects = 10_000

// sampleEvery is of how many passages one is compared with its page, unless all
// are.
const sampleEvery = 64

// Verify compares everything and returns what it found; the times and ids of
// the result are left to the caller. Its error is that something could not be
// read: then the result is what was found until then.
func (v *Verifier) Verify(ctx context.Context, o VerifyOptions) (voiceassist.Verification, error) {
	run := &verifying{Verifier: v, VerifyOptions: o}
	run.result = voiceassist.Verification{
		Repair: o.Repair, Checked: make(map[string]int), Counts: make(map[voiceassist.DifferenceKind]int),
	}
	for _, part := range []struct {
		name    string
		compare func(context.Context) error
	}{
		{"ledger", run.ledger},
		{"deliveries", run.deliveries},
		{"tasks", run.tasks},
		{"originals", run.originals},
		{"texts", run.texts},
		{"points", run.points},
	} {
		if err := part.compare(ctx); err != nil {
			return run.result, fmt.Errorf("verify %s: %w", part.name, err)
		}
	}
	return run.result, nil
}

// verifying is one verification under way.
type verifying struct {
	*Verifier
	VerifyOptions
	result voiceassist.Verification
}

// settle lets what was under way at the first look end before the second.
func (v *verifying) settle(ctx context.Context) error {
	sleep(ctx, cmp.Or(v.Settle, 3*time.Second))
	return ctx.Err()
}

func (v *verifying) late() time.Duration { return cmp.Or(v.Late, time.Minute) }

func (v *verifying) checked(what string, n int) { v.result.Checked[what] += n }

// found counts a difference, and repairs it with mend if that is wanted; a nil
// mend is a person's work.
func (v *verifying) found(ctx context.Context, d voiceassist.Difference, mend func(context.Context) error) {
	d.Count = max(d.Count, 1)
	if v.Repair && mend != nil {
		err := mend(ctx)
		d.Repaired = err == nil
		if err != nil {
			d.Failure = "the repair failed; the log has the cause"
			v.Log.WarnContext(ctx, "not repaired", slog.String("kind", string(d.Kind)), slog.String("id", d.ID), slog.Any("error", err))
		} else {
			v.result.Repaired++
		}
	}
	v.result.Counts[d.Kind]++
	if len(v.result.Differences) < voiceassist.MaxDifferences {
		v.result.Differences = append(v.result.Differences, d)
	}
	if v.Each != nil {
		v.Each(d)
	}
}

// ledger looks for rows of the ledger that contradict one another.
func (v *verifying) ledger(ctx context.Context) error {
	size, err := v.Ledger.LedgerSize(ctx)
	if err != nil {
		return err
	}
	v.checked("documents", size.Documents)
	v.checked("jobs", size.Jobs)
	first, err := v.Ledger.Anomalies(ctx, v.late(), maxSuspects)
	if err != nil || len(first) == 0 {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	again, err := v.Ledger.Anomalies(ctx, v.late(), maxSuspects)
	if err != nil {
		return err
	}
	for _, a := range again {
		if slices.Contains(first, a) {
			v.found(ctx, voiceassist.Difference{Kind: a.Kind, ID: a.ID.String(), Detail: a.Detail, Remedy: mending[a.Kind]},
				func(ctx context.Context) error { return v.Ledger.Mend(ctx, a) })
		}
	}
	return nil
}

// mending says what postgres.DB.Mend does about each kind.
var mending = map[voiceassist.DifferenceKind]string{
	voiceassist.WithoutJob: "make the job",
	voiceassist.JobStray:   "cancel the job",
	voiceassist.JobStuck:   "run the job again",
	voiceassist.StateWrong: "index the document again",
}

// deliveries looks for published jobs that the queue does not hold and that the
// sweeper should have published again.
func (v *verifying) deliveries(ctx context.Context) error {
	published, err := v.Ledger.Published(ctx, v.late(), maxSuspects)
	if err != nil {
		return err
	}
	v.checked("deliveries", len(published))
	lost, err := v.notHeld(published)
	if err != nil || len(lost) == 0 {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	still, err := v.Ledger.Published(ctx, v.late(), maxSuspects)
	if err != nil {
		return err
	}
	if still, err = v.notHeld(still); err != nil {
		return err
	}
	for _, o := range still {
		if slices.Contains(lost, o) {
			v.found(ctx, voiceassist.Difference{
				Kind: voiceassist.DeliveryLost, ID: o.JobID.String(), Detail: "it was published and the queue does not hold it", Remedy: "publish it again",
			}, func(ctx context.Context) error { return v.Ledger.Unpublish(ctx, o.Delivery) })
		}
	}
	return nil
}

func (v *verifying) notHeld(published []postgres.Owed) (lost []postgres.Owed, err error) {
	for _, o := range published {
		held, err := v.Queue.Holds(o.Queue, o.Delivery)
		if err != nil {
			return nil, err
		}
		if !held {
			lost = append(lost, o)
		}
	}
	return lost, nil
}

// taskPage is how many tasks are looked up in the ledger at once.
const taskPage = 1000

// tasks looks for tasks in the queue of which the ledger has no job.
func (v *verifying) tasks(ctx context.Context) error {
	stray, n, err := v.strayTasks(ctx)
	v.checked("tasks", n)
	if err != nil || len(stray) == 0 {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	still, _, err := v.strayTasks(ctx)
	if err != nil {
		return err
	}
	for _, t := range still {
		if slices.Contains(stray, t) {
			v.found(ctx, voiceassist.Difference{
				Kind: voiceassist.TaskStray, ID: string(t.Queue) + "/" + t.ID, Detail: "the ledger has no job of it", Remedy: "remove the task",
			}, func(context.Context) error { return v.Queue.DropTask(t) })
		}
	}
	return nil
}

func (v *verifying) strayTasks(ctx context.Context) (stray []voiceassist.QueuedTask, n int, err error) {
	var page []voiceassist.QueuedTask
	look := func() error {
		ids := make([]uuid.UUID, len(page))
		for i, t := range page {
			ids[i] = t.JobID
		}
		unknown, err := v.Ledger.UnknownJobs(ctx, ids)
		for _, t := range page {
			if slices.Contains(unknown, t.JobID) && len(stray) < maxSuspects {
				stray = append(stray, t)
			}
		}
		page = page[:0]
		return err
	}
	for t, err := range v.Queue.Tasks(ctx) {
		if err != nil {
			return nil, n, err
		}
		n++
		if page = append(page, t); len(page) == taskPage {
			if err := look(); err != nil {
				return nil, n, err
			}
		}
	}
	return stray, n, look()
}

// textPage is how many documents are looked at in one statement.
const textPage = 200

// texts looks for passages that are not what their pages say, or lack their
// vector.
func (v *verifying) texts(ctx context.Context) error {
	every := sampleEvery
	if v.Deep {
		every = 1
	}
	var suspects []postgres.TextFault
	for last, more := uuid.Nil, true; more; {
		faults, looked, to, err := v.Ledger.TextFaults(ctx, last, textPage, every)
		if err != nil {
			return err
		}
		last, more = to, looked == textPage
		suspects = append(suspects, faults[:min(len(faults), maxSuspects-len(suspects))]...)
	}
	if len(suspects) == 0 {
		return nil
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	for _, s := range suspects {
		if err := v.examineText(ctx, s.DocumentID, every); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifying) examineText(ctx context.Context, id uuid.UUID, every int) error {
	faults, err := v.Ledger.TextFaultsOf(ctx, id, every)
	if err != nil {
		return err
	}
	standing, err := v.Ledger.Standing(ctx, id) // after the look: a job that made the fault shows
	if err != nil || standing.Busy || !standing.Living {
		return err
	}
	for _, f := range faults {
		if f.Miscounted || f.Misplaced > 0 {
			v.found(ctx, voiceassist.Difference{
				Kind: voiceassist.TextDiffers, ID: id.String(), Count: f.Misplaced,
				Detail: "passages are not what their pages say, or are missing", Remedy: "read the original and index it again",
			}, func(ctx context.Context) error { return v.Ledger.Republish(ctx, id, true, true) })
		}
		if f.Vectorless > 0 {
			v.found(ctx, voiceassist.Difference{
				Kind: voiceassist.VectorsMissing, ID: id.String(), Count: f.Vectorless,
				Detail: "passages have no stored vector", Remedy: "index the document again",
			}, func(ctx context.Context) error { return v.Ledger.Republish(ctx, id, true, false) })
		}
	}
	return nil
}
