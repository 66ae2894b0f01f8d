package pipeline

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// balanced returns the account of a batch after it has seen that it adds up, and
// the library's, too.
func (r *rig) balanced(t *testing.T, id uuid.UUID) voiceassist.BatchAccount {
	t.Helper()
	a := r.batch(t, id).Account
	if a.Accepted != a.Indexed+a.Duplicate+a.Skipped+a.Failed+a.Cancelled+a.InFlight || a.Declared != a.Awaited+a.Accepted {
		t.Errorf("the account does not add up: %+v", a)
	}
	if batches, library, err := r.Ledger.Imbalances(t.Context()); batches != 0 || library != 0 || err != nil {
		t.Errorf("Imbalances = %d, %d, %v; want none", batches, library, err)
	}
	return a
}

// failing has whatever is read or published meanwhile fail for good.
func (r *rig) failing(do func()) {
	fail := func(context.Context) error { return voiceassist.Fail(voiceassist.ReasonDamaged, "It is damaged.") }
	r.broken.set(fail, fail)
	defer r.broken.set(nil, nil)
	do()
}

// publishing has work done while the points of a document are written.
func (r *rig) publishing(t *testing.T, work func()) {
	t.Helper()
	done := false
	r.broken.set(nil, func(context.Context) error {
		if !done {
			done = true
			work()
		}
		return nil
	})
	defer r.broken.set(nil, nil)
	if r.deliver(t); !done {
		t.Error("nothing was published")
	}
}

func TestAnEndedBatchGoesOnTellingTheFateOfItsFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	opened, _, err := r.Ledger.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", Manifest: true, WebhookURL: "https://example.org/"},
		[]voiceassist.ManifestEntry{entryOf("one", "one"), entryOf("two", "two")})
	if err != nil {
		t.Fatal(err)
	}
	id := opened.ID
	one := r.load(t, id, "one").Document.ID
	r.deliver(t)
	r.load(t, id, "two")
	r.failing(func() { r.deliver(t) })
	if r.endBatches(t) != 1 {
		t.Fatal("the batch did not end")
	}
	ended := *r.batch(t, id).EndedAt
	is := func(what string, want voiceassist.BatchAccount) {
		t.Helper()
		want.Declared, want.Accepted = 2, 2
		if a := r.balanced(t, id); a != want {
			t.Errorf("%s: the account is %+v, want %+v", what, a, want)
		}
		if n, err := r.Ledger.WaitingNotices(t.Context()); r.endBatches(t) != 0 || !r.batch(t, id).EndedAt.Equal(ended) || n != 1 || err != nil {
			t.Errorf("%s: the batch ended again, or is told of %d times, %v", what, n, err)
		}
	}
	is("ended", voiceassist.BatchAccount{Indexed: 1, Failed: 1})

	if _, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{one}); err != nil {
		t.Fatal(err)
	}
	is("to be indexed again", voiceassist.BatchAccount{Indexed: 1, Failed: 1})
	r.publishing(t, func() { is("being indexed again", voiceassist.BatchAccount{InFlight: 1, Failed: 1}) })
	is("indexed again", voiceassist.BatchAccount{Indexed: 1, Failed: 1})

	r.upload(t, "b.txt", "two")
	is("uploaded again", voiceassist.BatchAccount{Indexed: 1, InFlight: 1})
	r.deliver(t)
	is("indexed at last", voiceassist.BatchAccount{Indexed: 2})

	if _, err := r.Ledger.DeleteDocument(t.Context(), one, time.Hour); err != nil {
		t.Fatal(err)
	}
	is("deleted", voiceassist.BatchAccount{Indexed: 1, Cancelled: 1})
	if _, err := r.Ledger.RestoreDocument(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	is("brought back", voiceassist.BatchAccount{Indexed: 2})
}

func TestARetryThatChangesNoFateLeavesABatchEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one")
	one := r.load(t, id, "one").Document.ID
	r.deliver(t)
	if r.endBatches(t) != 1 {
		t.Fatal("the batch did not end")
	}
	jobs, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{one})
	if err != nil {
		t.Fatal(err)
	}
	r.failing(func() { r.deliver(t) })
	if j := r.job(t, jobs[0].ID); j.State != voiceassist.JobFailed {
		t.Fatalf("the reindexing is %s, want it failed", j.State)
	}
	again, err := r.Ledger.RetryJob(t.Context(), jobs[0].ID)
	if err != nil || again.Lane != jobs[0].Lane {
		t.Fatalf("the retry is in the lane %q, %v; want %q", again.Lane, err, jobs[0].Lane)
	}
	if b := r.batch(t, id); b.EndedAt == nil || r.balanced(t, id).Indexed != 1 {
		t.Errorf("the batch is %s, %+v; want it ended with its file indexed", b.State(), b.Account)
	}
}

// TestCancellingABatchLeavesTheWorkOfOthersAlone cancels a batch of which one
// file was uploaded once more by somebody else, another is being reindexed, and a
// third is uploaded by somebody else before the batch has ended.
func TestCancellingABatchLeavesTheWorkOfOthersAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one", "two", "three", "four", "five")
	r.load(t, id, "one")
	r.failing(func() { r.deliver(t) })
	two := r.load(t, id, "two").Document.ID
	r.deliver(t)
	if _, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{two}); err != nil {
		t.Fatal(err)
	}
	is := func(what string, want voiceassist.BatchAccount) {
		t.Helper()
		want.Declared, want.Accepted = 5, 5
		if a := r.balanced(t, id); a != want {
			t.Errorf("%s: the account is %+v, want %+v", what, a, want)
		}
	}
	r.publishing(t, func() {
		r.upload(t, "a.txt", "one")
		r.load(t, id, "three")
		r.load(t, id, "four")
		if _, err := r.Ledger.CancelBatch(t.Context(), id); err != nil {
			t.Error(err)
		}
		is("cancelled", voiceassist.BatchAccount{InFlight: 2, Cancelled: 3})
	})
	is("reindexed", voiceassist.BatchAccount{InFlight: 1, Indexed: 1, Cancelled: 3})
	r.upload(t, "a.txt", "three")
	if r.endBatches(t) != 0 {
		t.Error("the batch ended while somebody works on two of its files")
	}
	is("uploaded after it was cancelled", voiceassist.BatchAccount{InFlight: 2, Indexed: 1, Cancelled: 2})
	if n := r.deliver(t); n != 2 || r.endBatches(t) != 1 {
		t.Errorf("%d jobs ran, want the two of others, and then the end", n)
	}
	is("ended", voiceassist.BatchAccount{Indexed: 3, Cancelled: 2})
}

func TestARetriedJobOfABatchIsCancelledWithIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.openBatch(t, "one")
	a := r.load(t, id, "one")
	r.failing(func() { r.deliver(t) })
	if _, err := r.Ledger.RetryJob(t.Context(), a.JobID); err != nil {
		t.Fatal(err)
	}
	if b, err := r.Ledger.CancelBatch(t.Context(), id); err != nil || b.Account.Cancelled != 1 {
		t.Errorf("CancelBatch = %+v, %v; want the file cancelled", b.Account, err)
	}
}
