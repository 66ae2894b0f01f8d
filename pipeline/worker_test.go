package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
)

const leaflet = `Migraine

Migraine is a headache disorder. Attacks last from four hours to three days. Triptans relieve many attacks when they are taken early.

Prevention

Regular sleep helps. Propranolol prevents attacks in some patients.`

func TestAnUploadBecomesSearchablePassages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "migraine.txt", leaflet)
	if a.Document.State != voiceassist.DocumentUploaded || a.JobID == uuid.Nil {
		t.Fatalf("accepted as %+v", a)
	}
	if n := r.deliver(t); n != 1 {
		t.Fatalf("%d deliveries, want 1", n)
	}
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentIndexed || d.Generation != 1 || d.PassageCount == 0 || d.PageCount != 1 || d.Progress != 100 {
		t.Errorf("the document is %+v", d)
	}
	if d.Title != "migraine" {
		t.Errorf("its title is %q, want the file's name", d.Title)
	}
	j := r.job(t, a.JobID)
	if j.State != voiceassist.JobCompleted || j.Attempts != 1 {
		t.Errorf("the job is %+v", j)
	}
	var stages []voiceassist.Stage
	for _, e := range j.Timeline {
		stages = append(stages, e.Stage)
	}
	if len(stages) != 3 || stages[0] != voiceassist.StageExtract || stages[2] != voiceassist.StagePublish {
		t.Errorf("the timeline has the stages %v", stages)
	}
	matches, err := r.index.Search(t.Context(), voiceassist.IndexQuery{Text: "propranolol prevention", Limit: 5})
	if err != nil || len(matches) != 1 || matches[0].DocumentID != a.Document.ID {
		t.Errorf("search found %v, %v", matches, err)
	}
	page, err := r.Ledger.PageText(t.Context(), a.Document.ID, 0, 1)
	if err != nil || !strings.Contains(page.Text, "Triptans relieve many attacks") {
		t.Errorf("page 1 is %q, %v", page.Text, err)
	}
}

func TestTheSameBytesAreOneDocument(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.upload(t, "a.txt", leaflet)
	again := r.upload(t, "b.txt", leaflet)
	if !again.Duplicate || again.Document.ID != first.Document.ID || again.JobID != first.JobID {
		t.Errorf("the second upload is %+v, want a duplicate with the first's job", again)
	}
	r.deliver(t)
	if done := r.upload(t, "c.txt", leaflet); !done.Duplicate || done.JobID != uuid.Nil {
		t.Errorf("the third upload is %+v, want a duplicate that is done", done)
	}
	if n := r.originals(t); n != 1 {
		t.Errorf("%d originals are kept, want 1", n)
	}
}

func TestAFileWithoutTextFailsWithAReasonAndMayBeSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "dashes.txt", "----- ***** -----")
	r.deliver(t)
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonNoText || !strings.Contains(d.ErrorMessage, "OCR") {
		t.Fatalf("the document is %s: %s %q", d.State, d.ErrorCode, d.ErrorMessage)
	}
	again := r.upload(t, "dashes.txt", "----- ***** -----")
	if !again.Duplicate || again.Document.ID != d.ID || again.JobID == a.JobID || again.Document.State != voiceassist.DocumentUploaded {
		t.Errorf("sent again it is %+v, want a retry of the same document", again)
	}
	if n := r.originals(t); n != 1 {
		t.Errorf("%d originals are kept, want 1", n)
	}
}

func TestAFileThatEndsEveryReaderFailsAtItsFirstAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.broken.set(func(context.Context) error { return &extract.Crash{Status: "signal: killed"} }, nil)
	a := r.upload(t, "poison.txt", leaflet)
	r.deliver(t)
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonCrashed || !strings.Contains(d.ErrorMessage, "ends the reader") {
		t.Errorf("the document is %s: %s %q", d.State, d.ErrorCode, d.ErrorMessage)
	}
	if r.broken.reads != 2 {
		t.Errorf("%d readers were lost, want one for the file and one to prove it", r.broken.reads)
	}
}

func TestWhatIsDownBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.broken.set(nil, func(context.Context) error {
		return voiceassist.Errorf(voiceassist.Unavailable, "the index cannot be reached")
	})
	a := r.upload(t, "a.txt", leaflet)
	for range voiceassist.MaxAttempts + 2 {
		r.deliver(t)
		r.runNow(t, a.JobID)
	}
	j := r.job(t, a.JobID)
	if j.State != voiceassist.JobPending || j.Attempts != j.GivenBack || j.Attempts != voiceassist.MaxAttempts+2 {
		t.Fatalf("the job is %+v, want all attempts given back", j)
	}
	r.broken.set(nil, nil)
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed {
		t.Errorf("the document is %s, want indexed", d.State)
	}
	if r.broken.reads != 1 {
		t.Errorf("the file was read %d times, want once", r.broken.reads)
	}
}

func TestOurOwnFaultFailsAfterMaxAttempts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.broken.set(nil, func(context.Context) error { return errors.New("secret internals") })
	a := r.upload(t, "a.txt", leaflet)
	for range voiceassist.MaxAttempts {
		r.deliver(t)
		r.runNow(t, a.JobID)
	}
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonInternal {
		t.Fatalf("the document is %s: %s", d.State, d.ErrorCode)
	}
	for _, e := range r.job(t, a.JobID).Timeline {
		if strings.Contains(e.Detail, "secret") {
			t.Errorf("the timeline tells internals: %q", e.Detail)
		}
	}
	r.broken.set(nil, nil)
	j, err := r.Ledger.RetryJob(t.Context(), a.JobID)
	if err != nil || j.ID == a.JobID {
		t.Fatalf("RetryJob = %+v, %v; want a new job", j, err)
	}
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.ErrorMessage != "" {
		t.Errorf("after a retry the document is %s %q, want indexed", d.State, d.ErrorMessage)
	}
}

func TestADocumentDeletedWhileItIsIndexedLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	r.broken.set(nil, func(ctx context.Context) error {
		_, err := r.Ledger.DeleteDocument(ctx, a.Document.ID, 0)
		return err
	})
	r.deliver(t) // the upsert lands after the deletion
	if _, err := r.Ledger.Document(t.Context(), a.Document.ID); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("Document = %v, want NotFound", err)
	}
	if _, total := r.points(t); total != 0 {
		t.Errorf("the index has %d points, want 0: the writer takes its own back", total)
	}
	r.broken.set(nil, nil)
	r.deliver(t)
	jobs, _, err := r.Ledger.Jobs(t.Context(), voiceassist.JobFilter{DocumentID: &a.Document.ID, State: voiceassist.JobPending, Limit: 1})
	if err != nil || len(jobs) != 1 || jobs[0].Kind != voiceassist.JobDelete {
		t.Fatalf("pending: %v, %v; want the deletion, which runs again when the writer's lease has ended", jobs, err)
	}
	if n := r.originals(t); n != 0 {
		t.Errorf("%d originals are kept, want 0", n)
	}
}

func TestDeletionRemovesDocumentTextPointsAndOriginal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kept := r.upload(t, "kept.txt", "Another leaflet about asthma.")
	a := r.upload(t, "a.txt", leaflet)
	r.deliver(t)
	if _, err := r.Ledger.DeleteDocument(t.Context(), a.Document.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ledger.PageText(t.Context(), a.Document.ID, 0, 1); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("PageText of a deleted document = %v, want NotFound at once", err)
	}
	r.deliver(t)
	if active, total := r.points(t); active != 1 || total != 1 {
		t.Errorf("the index has %d of %d points, want those of the kept document", active, total)
	}
	if n := r.originals(t); n != 1 {
		t.Errorf("%d originals are kept, want 1", n)
	}
	if d := r.document(t, kept.Document.ID); d.State != voiceassist.DocumentIndexed {
		t.Errorf("the kept document is %s", d.State)
	}
	if again := r.upload(t, "a.txt", leaflet); again.Duplicate {
		t.Error("the bytes of a deleted document are a duplicate, want a new document")
	}
}

func TestReindexingReplacesTheGenerationInOneStep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	r.deliver(t)
	if _, err := r.Ledger.Reindex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.broken.set(nil, func(ctx context.Context) error {
		if active, _, err := r.index.Count(ctx); err != nil || active != 1 {
			t.Errorf("while it is reindexed searches see %d points, %v; want the old one", active, err)
		}
		return nil
	})
	r.deliver(t)
	d := r.document(t, a.Document.ID)
	if d.Generation != 2 || d.Version != 2 {
		t.Errorf("generation %d, version %d; want 2 and 2", d.Generation, d.Version)
	}
	if active, total := r.points(t); active != 1 || total != 1 {
		t.Errorf("the index has %d of %d points, want 1 of 1", active, total)
	}
	if _, err := r.Ledger.PageText(t.Context(), d.ID, 1, 1); err != nil {
		t.Errorf("the text of the old generation, which citations refer to: %v", err)
	}
}

func TestAStoppingWorkerGivesItsJobBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, stop := context.WithCancel(t.Context())
	r.broken.set(func(ctx context.Context) error {
		stop()
		<-ctx.Done()
		return ctx.Err()
	}, nil)
	a := r.upload(t, "a.txt", leaflet)
	for _, d := range r.due(t) {
		r.Handle(ctx, d)
	}
	j := r.job(t, a.JobID)
	if j.State != voiceassist.JobPending || j.GivenBack != 1 {
		t.Fatalf("the job is %+v, want it given back", j)
	}
	r.broken.set(nil, nil)
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed {
		t.Errorf("the document is %s, want indexed", d.State)
	}
}

func TestAnAttemptThatLostItsLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	r.broken.set(nil, func(ctx context.Context) error {
		// The sweeper takes the job away while this worker hangs here.
		_, err := r.Ledger.ReclaimLapsed(ctx, true)
		return err
	})
	r.deliver(t)
	j := r.job(t, a.JobID)
	if j.State != voiceassist.JobPending || r.document(t, a.Document.ID).Generation != 0 {
		t.Fatalf("the job is %s, the generation %d; want it pending and nothing published", j.State, r.document(t, a.Document.ID).Generation)
	}
	r.broken.set(nil, nil)
	r.deliver(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || d.Generation != 2 {
		t.Errorf("the document is %s in generation %d, want a generation of its own", d.State, d.Generation)
	}
	if active, total := r.points(t); active != 1 || total != 1 {
		t.Errorf("the index has %d of %d points, want no duplicates", active, total)
	}
}

func TestAJobWhoseWorkersKeepDyingFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	for range voiceassist.MaxAttempts {
		for _, d := range r.due(t) {
			if _, _, started, err := r.Ledger.StartAttempt(t.Context(), d, defaultLease); err != nil || !started {
				t.Fatalf("StartAttempt = %v, %v", started, err)
			}
		}
		if _, err := r.Ledger.ReclaimLapsed(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonInterrupted {
		t.Errorf("the document is %s: %s", d.State, d.ErrorCode)
	}
	if j := r.job(t, a.JobID); j.State != voiceassist.JobFailed {
		t.Errorf("the job is %s", j.State)
	}
}

func TestACancelledJobLeavesItsDocumentCancelled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	if j, err := r.Ledger.CancelJob(t.Context(), a.JobID); err != nil || j.State != voiceassist.JobCancelled {
		t.Fatalf("CancelJob = %+v, %v", j, err)
	}
	if n := r.deliver(t); n != 0 {
		t.Errorf("%d deliveries, want none", n)
	}
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentCancelled {
		t.Errorf("the document is %s", d.State)
	}
	if _, err := r.Ledger.CancelJob(t.Context(), a.JobID); voiceassist.CodeOf(err) != voiceassist.Conflict {
		t.Errorf("cancelling twice = %v, want Conflict", err)
	}
	if _, err := r.Ledger.CancelJob(t.Context(), uuid.New()); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("cancelling what is not there = %v, want NotFound", err)
	}
}
