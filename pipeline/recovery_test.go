package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// brokenIndex answers some calls with an error.
type brokenIndex struct {
	Index
	activate, remove error
}

func (b brokenIndex) Activate(ctx context.Context, documentID uuid.UUID, generation int) error {
	if b.activate != nil {
		return b.activate
	}
	return b.Index.Activate(ctx, documentID, generation)
}

func (b brokenIndex) Delete(ctx context.Context, documentID uuid.UUID) error {
	if b.remove != nil {
		return b.remove
	}
	return b.Index.Delete(ctx, documentID)
}

// TestALateWriteOfALostAttemptHidesNothing: worker A stalls in an upsert beyond
// its lease, worker B does the job, and then A's upsert goes out.
func TestALateWriteOfALostAttemptHidesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	stalled := false
	r.broken.set(nil, func(ctx context.Context) error {
		if stalled {
			return nil
		}
		stalled = true
		if _, err := r.Ledger.ReclaimLapsed(ctx, true); err != nil {
			return err
		}
		r.deliver(t)
		return nil
	})
	r.deliver(t)
	d := r.document(t, a.Document.ID)
	if active, total := r.points(t); d.State != voiceassist.DocumentIndexed || active != d.PassageCount || total != d.PassageCount {
		t.Errorf("the document is %s with %d passages; the index has %d of %d points", d.State, d.PassageCount, active, total)
	}
}

func TestADocumentStaysFindableWhereverPublishingBreaksOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	r.deliver(t)
	whole := r.Index
	r.Index = brokenIndex{Index: whole, activate: errors.New("it broke off")}
	jobs, err := r.Ledger.Reindex(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range voiceassist.MaxAttempts {
		r.deliver(t)
		r.runNow(t, jobs[0].ID)
	}
	d := r.document(t, a.Document.ID)
	matches, err := r.index.Search(t.Context(), voiceassist.IndexQuery{Text: "propranolol prevention", Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range matches {
		found = found || m.Generation == d.Generation
	}
	if d.State != voiceassist.DocumentIndexed || !found {
		t.Errorf("the document is %s in generation %d; search sees %+v", d.State, d.Generation, matches)
	}
	r.Index = whole
	if _, err := r.Ledger.RetryJob(t.Context(), jobs[0].ID); err != nil {
		t.Fatal(err)
	}
	r.deliver(t)
	if active, total := r.points(t); active != 1 || total != 1 {
		t.Errorf("after a retry the index has %d of %d points, want 1 of 1", active, total)
	}
}

func TestADeletionIsNeverGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.upload(t, "a.txt", leaflet)
	r.deliver(t)
	whole := r.Index
	r.Index = brokenIndex{Index: whole, remove: errors.New("it broke off")}
	job, err := r.Ledger.DeleteDocument(t.Context(), a.Document.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range voiceassist.MaxAttempts + 2 {
		r.deliver(t)
		r.runNow(t, job)
	}
	if j := r.job(t, job); j.State != voiceassist.JobPending {
		t.Fatalf("the deletion is %s, want it pending", j.State)
	}
	r.Index = whole
	r.deliver(t)
	if _, total := r.points(t); total != 0 || r.originals(t) != 0 {
		t.Errorf("%d points and %d originals are left", total, r.originals(t))
	}
}

// TestReindexingEverythingWaitsForNobodyInACircle lets workers end jobs while
// everything is reindexed, deleted and cancelled.
func TestReindexingEverythingWaitsForNobodyInACircle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 40
	var ids []uuid.UUID
	for i := range n {
		ids = append(ids, r.upload(t, fmt.Sprintf("%d.txt", i), fmt.Sprintf("Leaflet %d. %s", i, leaflet)).Document.ID)
	}
	var workers sync.WaitGroup
	for some := range slices.Chunk(r.due(t), n/4) {
		workers.Go(func() {
			for _, d := range some {
				r.Handle(t.Context(), d)
			}
		})
	}
	for range 10 {
		if _, err := r.Ledger.Reindex(t.Context(), nil); err != nil {
			t.Errorf("Reindex = %v", err)
		}
	}
	for _, id := range ids[:n/4] {
		if _, err := r.Ledger.DeleteDocument(t.Context(), id, 0); err != nil {
			t.Errorf("DeleteDocument = %v", err)
		}
	}
	workers.Wait()
	for n := 1; n > 0; {
		n = r.deliver(t)
	}
	s, err := r.Ledger.LibraryStats(t.Context())
	if err != nil || s.ByState[voiceassist.DocumentIndexed] != n-n/4 {
		t.Errorf("%v, %v; want %d documents indexed", s.ByState, err, n-n/4)
	}
}
