package pipeline

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// Index is what the worker needs of the search index.
type Index interface {
	// Upsert stores points under their ids; active says whether searches see them.
	Upsert(ctx context.Context, points []voiceassist.Point, active bool) error
	// Reveal lets searches see a generation's points.
	Reveal(ctx context.Context, documentID uuid.UUID, generation int) error
	// Activate does so and removes the document's other generations.
	Activate(ctx context.Context, documentID uuid.UUID, generation int) error
	// DeleteGeneration removes the points of one generation.
	DeleteGeneration(ctx context.Context, documentID uuid.UUID, generation int) error
	// Delete removes every point of a document.
	Delete(ctx context.Context, documentID uuid.UUID) error
	// CountDocument returns how many points a generation has.
	CountDocument(ctx context.Context, documentID uuid.UUID, generation int) (int, error)
}

// Reader reads the text of files; it is *extract.Pool.
type Reader interface {
	Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (info voiceassist.FileInfo, engine string, err error)
	Engines(ctx context.Context) (map[string]string, error)
}

// Worker settles deliveries: it does the job and tells the ledger how it ended.
type Worker struct {
	Ledger   *postgres.DB
	Index    Index
	Reader   Reader
	Blobs    *blob.Bucket
	Embedder voiceassist.Embedder // nil: lexical search only
	MayEmbed func() bool          // whether passages may be sent to Embedder now; nil: they may
	TempDir  string               // where originals lie while they are read; "" is the system's
	Lease    time.Duration        // how long a silent worker keeps a job; 0 is 30 s
	Gate     EmbedGate            // asked before each request to Embedder; nil lets everything through

	PartPages    int   // a PDF with more is read in parts of at most so many; 0 is 64
	PartPassages int   // a document with more is embedded in parts of at most so many; 0 is 1,024
	MaxBadPages  int   // a document with more pages that cannot be read fails; 0 is 20
	MaxText      int64 // a document with more text fails, in bytes; 0 is 64 MiB

	Metrics *Metrics // nil measures nothing
	Log     *slog.Logger
}

// attempt is one run of a job.
type attempt struct {
	postgres.Attempt
	job      voiceassist.Job
	document voiceassist.Document
	lease    time.Duration

	readText   bool                  // a page that it has read and stored holds a letter or a digit
	pages      []voiceassist.Page    // that it has read and stored, in the order read, while they fit into a batch
	pagesRead  int                   // all of them
	textRead   int                   // bytes of their text
	passages   []voiceassist.Passage // all of generation, if it has cut them and they fit into a batch
	embedder   voiceassist.Embedder  // nil: what it builds is found by words alone
	generation int                   // the one it builds; 0 before all its passages are stored
	published  bool                  // points of it may be in the index
	gate       voiceassist.Gate      // at which its job has to wait; "" is none
	timeline   []voiceassist.JobEvent
	stage      voiceassist.Stage
	begun      time.Time // of the stage
	told       time.Time // when progress was last written
}

const defaultLease = 30 * time.Second

// Handle works on a delivery until the ledger holds the outcome. If the ledger
// cannot be reached the lease lapses, and the sweeper has the job done again.
// When ctx ends the job is given back and waits for another worker.
func (w *Worker) Handle(ctx context.Context, d voiceassist.Delivery) {
	lease := cmp.Or(w.Lease, defaultLease)
	j, doc, started, err := w.Ledger.StartAttempt(ctx, d, lease)
	if err != nil {
		w.Log.WarnContext(ctx, "job not started", slog.String("job_id", d.JobID.String()), slog.Any("error", err))
		return
	}
	if !started {
		return
	}
	a := &attempt{Attempt: postgres.AttemptOf(j), job: j, document: doc, lease: lease}
	begun := time.Now()
	err = w.run(ctx, a)
	result := w.settle(ctx, a, err)
	w.Metrics.jobDone(j.Kind, result, time.Since(begun))
	w.logJob(ctx, a, result, time.Since(begun), err)
}

func (w *Worker) logJob(ctx context.Context, a *attempt, result string, took time.Duration, err error) {
	attrs := []slog.Attr{
		slog.String("kind", string(a.job.Kind)), slog.String("job_id", a.JobID.String()),
		slog.String("document_id", a.DocumentID.String()), slog.Int("attempt", a.Number),
		slog.String("result", result), slog.Duration("took", took),
	}
	level := slog.LevelInfo
	if s, ok := errors.AsType[*split](err); ok {
		attrs = append(attrs, slog.Int("parts", len(s.Parts)))
	} else if err != nil {
		attrs = append(attrs, slog.String("stage", string(a.stage)), slog.Any("error", err))
		level = slog.LevelWarn
	}
	w.Log.LogAttrs(ctx, level, "job", attrs...)
}

// run does the job under a lease that is renewed until it ends. Its context
// ends, with ErrFenced as the cause, when the job is no longer this worker's.
func (w *Worker) run(ctx context.Context, a *attempt) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var renewing sync.WaitGroup
	renewing.Go(func() { w.renew(ctx, a, cancel) })
	err := w.work(ctx, a)
	fenced := errors.Is(context.Cause(ctx), voiceassist.ErrFenced)
	cancel(nil)
	renewing.Wait()
	if err != nil && fenced {
		return voiceassist.ErrFenced
	}
	return err
}

func (w *Worker) renew(ctx context.Context, a *attempt, cancel context.CancelCauseFunc) {
	for {
		sleep(ctx, a.lease/3)
		if ctx.Err() != nil {
			return
		}
		err := w.Ledger.Renew(ctx, a.Attempt, a.lease)
		if errors.Is(err, voiceassist.ErrFenced) {
			cancel(err)
			return
		}
		if err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "lease not renewed", slog.String("job_id", a.JobID.String()), slog.Any("error", err))
		}
	}
}

func (w *Worker) work(ctx context.Context, a *attempt) error {
	switch a.job.Kind {
	case voiceassist.JobIndex:
		return w.index(ctx, a)
	case voiceassist.JobExtract:
		return w.extractPart(ctx, a)
	case voiceassist.JobEmbed:
		return w.embedPart(ctx, a)
	case voiceassist.JobRefresh:
		return w.refresh(ctx, a)
	case voiceassist.JobDelete:
		return w.remove(ctx, a)
	case voiceassist.JobPurge:
		return w.purge(ctx, a)
	}
	return voiceassist.Fail(voiceassist.ReasonInternal, "This version of the program does not know the job %q.", a.job.Kind)
}

// inStage runs one stage and notes it in the timeline.
func (w *Worker) inStage(ctx context.Context, a *attempt, stage voiceassist.Stage, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a.stage, a.begun = stage, time.Now()
	err := f()
	w.Metrics.stageDone(stage, a.took())
	if err == nil {
		a.note("done", "", a.took())
	}
	return err
}

// note adds a line to the timeline.
func (a *attempt) note(result, detail string, took time.Duration) {
	a.timeline = append(a.timeline, voiceassist.JobEvent{
		Attempt: a.Number, Stage: a.stage, Result: result, Detail: detail, Took: took, At: time.Now(),
	})
}

// took is how long the stage has lasted; 0 before the first.
func (a *attempt) took() time.Duration {
	if a.begun.IsZero() {
		return 0
	}
	return time.Since(a.begun)
}

// progressEvery is how often, at most, progress is written.
const progressEvery = 500 * time.Millisecond

// progress tells the ledger how far the attempt has come, unless it did a
// moment ago, and learns whether the attempt is still the current one. A short
// job never writes any.
func (w *Worker) progress(ctx context.Context, a *attempt, p postgres.Progress) error {
	if a.told.IsZero() {
		a.told = time.Now()
	}
	if time.Since(a.told) < progressEvery {
		return nil
	}
	a.told = time.Now()
	return w.Ledger.SetProgress(ctx, a.Attempt, p)
}

// Retries wait twice as long each time, with jitter, up to a maximum. What is
// down is asked again sooner.
const (
	firstBackOff = 2 * time.Second
	maxBackOff   = 5 * time.Minute
	pacedFor     = 5 * time.Second
	maxPaced     = time.Minute
)

// settle tells the ledger how an attempt ended and returns the result's name.
func (w *Worker) settle(ctx context.Context, a *attempt, err error) string {
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	result, err := w.tell(ctx, a, err, stopping)
	if errors.Is(err, voiceassist.ErrFenced) {
		w.takeBack(ctx, a)
		return "fenced"
	}
	if err != nil {
		w.Log.WarnContext(ctx, "outcome not recorded", slog.String("job_id", a.JobID.String()), slog.Any("error", err))
	}
	return result
}

func (w *Worker) tell(ctx context.Context, a *attempt, err error, stopping bool) (string, error) {
	if err == nil {
		return "done", w.complete(ctx, a)
	}
	if errors.Is(err, voiceassist.ErrFenced) {
		return "fenced", err
	}
	if s, ok := errors.AsType[*split](err); ok {
		a.note("split", s.Error(), a.took())
		return "split", w.Ledger.Split(ctx, a.Attempt, s.Split, a.timeline)
	}
	if f, ok := errors.AsType[*voiceassist.Failure](err); ok && a.mayFail() {
		a.note("failed", f.Message, a.took())
		return "failed", w.Ledger.Fail(ctx, a.Attempt, f, a.timeline)
	}
	if p, ok := errors.AsType[*voiceassist.Paced](err); ok {
		a.note("paced", whyPaced(p), a.took())
		return "paced", w.giveBack(ctx, a, p.After)
	}
	if stopping {
		a.note("interrupted", "the worker is stopping", a.took())
		return "interrupted", w.giveBack(ctx, a, 0)
	}
	if e, ok := errors.AsType[*voiceassist.Error](err); ok && e.Code == voiceassist.Unavailable {
		a.note("paced", e.Message, a.took())
		before := a.job.GivenBack
		if a.gate != "" {
			before = 0 // how long it is shut is up to the gate
		}
		return "paced", w.giveBack(ctx, a, backOff(pacedFor, maxPaced, before))
	}
	return w.retry(ctx, a)
}

func (w *Worker) complete(ctx context.Context, a *attempt) error {
	if a.job.Kind == voiceassist.JobRefresh {
		return w.Ledger.CompleteRefresh(ctx, a.Attempt, a.document.Version, a.timeline)
	}
	if a.ParentID != uuid.Nil {
		return w.Ledger.CompletePart(ctx, a.Attempt, partShare(a.job.Kind), a.timeline)
	}
	return w.Ledger.Complete(ctx, a.Attempt, a.timeline)
}

// mayFail reports whether the job is ever given up. Deletions and refreshes are
// not.
func (a *attempt) mayFail() bool {
	return a.job.Kind == voiceassist.JobIndex || a.ParentID != uuid.Nil
}

// giveBack returns the job without counting the attempt. The next one goes on
// with its generation, unless the index knows of it: an upsert that was given up
// here may still be carried out there, over what the next attempt has made of
// the same points.
func (w *Worker) giveBack(ctx context.Context, a *attempt, after time.Duration) error {
	again := postgres.Again{After: after, GivenBack: true, Gate: a.gate}
	if !a.published {
		again.Generation = a.generation
	}
	return w.Ledger.Return(ctx, a.Attempt, again, a.timeline)
}

func (w *Worker) retry(ctx context.Context, a *attempt) (string, error) {
	tries := a.Number - a.job.GivenBack
	if tries >= voiceassist.MaxAttempts && a.mayFail() {
		f := voiceassist.Fail(voiceassist.ReasonInternal,
			"Processing failed %d times in the stage %q. Retry the job; if it fails again the worker's log has the cause under this job's id.", tries, a.stage)
		a.note("failed", f.Message, a.took())
		return "failed", w.Ledger.Fail(ctx, a.Attempt, f, a.timeline)
	}
	a.note("retry", "an unexpected error", a.took())
	return "retry", w.Ledger.Return(ctx, a.Attempt, postgres.Again{After: backOff(firstBackOff, maxBackOff, tries-1)}, a.timeline)
}

// backOff returns how long to wait after so many waits before: first, doubled
// each time up to most, give or take a fifth.
func backOff(first, most time.Duration, before int) time.Duration {
	d := min(first<<min(before, 10), most)
	return d*4/5 + rand.N(d*2/5+1)
}

// takeBack removes from the index what an attempt wrote there before it learnt
// that it had lost its job: the index cannot be fenced. No live attempt goes on
// with that generation, because none goes on with one that has been published.
func (w *Worker) takeBack(ctx context.Context, a *attempt) {
	d, err := w.Ledger.Document(ctx, a.DocumentID)
	switch {
	case voiceassist.CodeOf(err) == voiceassist.NotFound:
		err = w.Index.Delete(ctx, a.DocumentID)
	case err == nil && a.published && a.generation != d.Generation:
		err = w.Index.DeleteGeneration(ctx, a.DocumentID, a.generation)
	}
	if err != nil {
		w.Log.WarnContext(ctx, "points left behind", slog.String("document_id", a.DocumentID.String()), slog.Any("error", err))
	}
}
