package pipeline

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

func (r *ledgerRig) verifier() *Verifier {
	return &Verifier{
		Ledger: r.Ledger, Index: r.index, Blobs: r.Blobs, Queue: r.queue, Profile: r.embedder.Profile(),
		Grace: time.Nanosecond, Settle: time.Millisecond, Late: time.Microsecond, Log: r.Log,
	}
}

func (r *ledgerRig) verify(t *testing.T, o VerifyOptions) voiceassist.Verification {
	t.Helper()
	v, err := r.verifier().Verify(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// passage returns the id of a passage of a document.
func (r *ledgerRig) passage(t *testing.T, document uuid.UUID, ordinal int) (id uuid.UUID) {
	t.Helper()
	if err := r.conn.QueryRow(t.Context(), `SELECT id FROM passages WHERE document_id = $1 AND ordinal = $2`, document, ordinal).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// point stores a point.
func (r *ledgerRig) point(t *testing.T, id, document uuid.UUID, generation int, active bool) {
	t.Helper()
	p := voiceassist.Point{ID: id, DocumentID: document, Generation: generation, Text: "A stray text."}
	if err := r.index.Upsert(t.Context(), []voiceassist.Point{p}, active); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsAndRepairsEachDifference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		plant func(t *testing.T, r *ledgerRig, id uuid.UUID, d voiceassist.Document)
		want  []voiceassist.DifferenceKind
	}{
		{"nothing", func(*testing.T, *ledgerRig, uuid.UUID, voiceassist.Document) {}, nil},
		{"a lost point", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			if err := r.index.DeletePoints(t.Context(), []uuid.UUID{r.passage(t, id, 0)}); err != nil {
				t.Fatal(err)
			}
		}, []voiceassist.DifferenceKind{voiceassist.PointsMissing}},
		{"a lost index", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			if err := r.index.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}, []voiceassist.DifferenceKind{voiceassist.PointsMissing}},
		{"a stray point of a document", func(t *testing.T, r *ledgerRig, id uuid.UUID, d voiceassist.Document) {
			r.point(t, uuid.New(), id, d.Generation, true)
		}, []voiceassist.DifferenceKind{voiceassist.PointsSurplus}},
		{"points of a dead generation", func(t *testing.T, r *ledgerRig, id uuid.UUID, d voiceassist.Document) {
			r.point(t, uuid.New(), id, d.Generation+7, false)
		}, []voiceassist.DifferenceKind{voiceassist.PointsSurplus}},
		{"points of nobody", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			r.point(t, uuid.New(), uuid.New(), 1, true)
		}, []voiceassist.DifferenceKind{voiceassist.PointsSurplus}},
		{"a hidden point", func(t *testing.T, r *ledgerRig, id uuid.UUID, d voiceassist.Document) {
			r.point(t, r.passage(t, id, 1), id, d.Generation, false)
		}, []voiceassist.DifferenceKind{voiceassist.PointsWrong}},
		{"a point of another document", func(t *testing.T, r *ledgerRig, id uuid.UUID, d voiceassist.Document) {
			r.point(t, r.passage(t, id, 1), uuid.New(), d.Generation, true)
		}, []voiceassist.DifferenceKind{voiceassist.PointsMissing}},
		{"a point of another generation", func(t *testing.T, r *ledgerRig, id uuid.UUID, d voiceassist.Document) {
			r.point(t, r.passage(t, id, 1), id, d.Generation+1, true)
		}, []voiceassist.DifferenceKind{voiceassist.PointsWrong}},
		{"a lost blob", func(t *testing.T, r *ledgerRig, _ uuid.UUID, d voiceassist.Document) {
			if err := r.Blobs.Delete(t.Context(), d.BlobKey); err != nil {
				t.Fatal(err)
			}
		}, []voiceassist.DifferenceKind{voiceassist.BlobMissing}},
		{"a blob of another size", func(t *testing.T, r *ledgerRig, _ uuid.UUID, d voiceassist.Document) {
			r.write(t, d.BlobKey, "short")
		}, []voiceassist.DifferenceKind{voiceassist.BlobChanged}},
		{"a blob of other bytes", func(t *testing.T, r *ledgerRig, _ uuid.UUID, d voiceassist.Document) {
			r.write(t, d.BlobKey, strings.Repeat("x", int(d.Size)))
		}, []voiceassist.DifferenceKind{voiceassist.BlobChanged}},
		{"orphaned blobs", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			r.write(t, "originals/orphan", "bytes")
			r.write(t, "files/orphan", "bytes")
		}, []voiceassist.DifferenceKind{voiceassist.BlobOrphan}},
		{"an upload without its job", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			a := r.upload(t, "b.txt", leaflet)
			r.exec(t, `DELETE FROM jobs WHERE id = $1`, a.JobID)
		}, []voiceassist.DifferenceKind{voiceassist.WithoutJob}},
		{"a deletion without its purge", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.delete(t, id, time.Hour)
			r.deliverAll(t)
			r.exec(t, `DELETE FROM jobs WHERE kind = 'purge'`)
		}, []voiceassist.DifferenceKind{voiceassist.WithoutJob}},
		{"a job of a deleted document", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.delete(t, id, time.Hour)
			r.deliverAll(t)
			r.exec(t, `INSERT INTO jobs (id, document_id, kind, queue) VALUES (gen_random_uuid(), $1, 'index', 'bulk')`, id)
		}, []voiceassist.DifferenceKind{voiceassist.JobStray}},
		{"a deletion of a living document", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `INSERT INTO jobs (id, document_id, kind, queue) VALUES (gen_random_uuid(), $1, 'delete', 'bulk')`, id)
		}, []voiceassist.DifferenceKind{voiceassist.JobStray}},
		{"a part without its whole", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `INSERT INTO jobs (id, document_id, kind, queue, parent_id) SELECT gen_random_uuid(), $1, 'extract', 'bulk', id FROM jobs`, id)
		}, []voiceassist.DifferenceKind{voiceassist.JobStray}},
		{"a job that waits for nothing", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `INSERT INTO jobs (id, document_id, kind, queue, state) VALUES (gen_random_uuid(), $1, 'index', 'bulk', 'waiting')`, id)
		}, []voiceassist.DifferenceKind{voiceassist.JobStuck}},
		{"a job whose worker died", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `INSERT INTO jobs (id, document_id, kind, queue, state, attempts, lease_until)
				VALUES (gen_random_uuid(), $1, 'index', 'bulk', 'running', 1, now() - interval '1 hour')`, id)
		}, []voiceassist.DifferenceKind{voiceassist.JobStuck}},
		{"a lost delivery", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			r.upload(t, "b.txt", leaflet)
			r.due(t) // published, and to no queue
		}, []voiceassist.DifferenceKind{voiceassist.DeliveryLost}},
		{"a stray task", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			d := voiceassist.Delivery{JobID: uuid.New(), Number: 1}
			if err := r.queue.Publish(t.Context(), voiceassist.JobIndex, voiceassist.QueueBulk, d); err != nil {
				t.Fatal(err)
			}
		}, []voiceassist.DifferenceKind{voiceassist.TaskStray}},
		{"a lost passage", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `DELETE FROM passages WHERE id = $1`, r.passage(t, id, 1))
		}, []voiceassist.DifferenceKind{voiceassist.PointsSurplus, voiceassist.TextDiffers}},
		{"a page of another text", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `UPDATE pages SET text = 'Other. ' || text`)
		}, []voiceassist.DifferenceKind{voiceassist.TextDiffers}},
		{"a lost page", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			r.exec(t, `DELETE FROM pages`)
		}, []voiceassist.DifferenceKind{voiceassist.TextDiffers}},
		{"a lost vector", func(t *testing.T, r *ledgerRig, id uuid.UUID, _ voiceassist.Document) {
			r.digest(t, id)
			r.exec(t, `DELETE FROM vectors`)
		}, []voiceassist.DifferenceKind{voiceassist.VectorsMissing}},
		{"indexed without a generation", func(t *testing.T, r *ledgerRig, _ uuid.UUID, _ voiceassist.Document) {
			a := r.upload(t, "b.txt", leaflet)
			r.exec(t, `DELETE FROM jobs WHERE id = $1`, a.JobID)
			r.exec(t, `UPDATE documents SET state = 'indexed' WHERE id = $1`, a.Document.ID)
		}, []voiceassist.DifferenceKind{voiceassist.StateWrong}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newLedgerRig(t)
			a := r.upload(t, "a.txt", handbook(1))
			r.deliverAll(t)
			d := r.document(t, a.Document.ID)
			c.plant(t, r, d.ID, d)
			o := VerifyOptions{Deep: true}
			for range 2 { // looking changes nothing
				v := r.verify(t, o)
				if found := slices.Sorted(maps.Keys(v.Counts)); !slices.Equal(found, c.want) || v.Repaired != 0 {
					t.Fatalf("found %v, want %v; repaired %d: %+v", found, c.want, v.Repaired, v.Differences)
				}
			}
			o.Repair = true
			if v := r.verify(t, o); v.Repaired != len(v.Differences) {
				t.Errorf("repaired %d of %+v", v.Repaired, v.Differences)
			}
			r.deliverAll(t)
			if v := r.verify(t, o); len(v.Counts) != 0 {
				t.Errorf("after the repair: %+v", v.Differences)
			}
		})
	}
}

func (r *ledgerRig) write(t *testing.T, key, content string) {
	t.Helper()
	if err := r.Blobs.WriteAll(t.Context(), key, []byte(content), nil); err != nil {
		t.Fatal(err)
	}
}

func TestADocumentWithoutItsOriginalIsHealedByUploadingItAgain(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	a := r.upload(t, "a.txt", leaflet)
	r.deliver(t)
	if err := r.Blobs.Delete(t.Context(), a.Document.BlobKey); err != nil {
		t.Fatal(err)
	}
	r.verify(t, VerifyOptions{Repair: true})
	d := r.document(t, a.Document.ID)
	if d.State != voiceassist.DocumentFailed || d.ErrorCode != voiceassist.ReasonMissing || d.ErrorMessage == "" {
		t.Errorf("it is %s: %s %q", d.State, d.ErrorCode, d.ErrorMessage)
	}
	if active, _ := r.points(t); active == 0 {
		t.Error("what was indexed of it can no longer be found")
	}
	if again := r.upload(t, "a.txt", leaflet); again.Document.ID != d.ID {
		t.Errorf("uploaded again it is %s", again.Document.ID)
	}
	r.deliverAll(t)
	if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || r.originals(t) != 1 {
		t.Errorf("it is %s with %d originals", d.State, r.originals(t))
	}
}

// TestWorkUnderWayIsNoDifference verifies while documents are uploaded, indexed,
// indexed again, edited and deleted.
func TestWorkUnderWayIsNoDifference(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	r.work(t, r.queue, 4)

	worked := make(chan struct{})
	go func() {
		defer close(worked)
		for i := range 30 {
			a := r.upload(t, "handbook.txt", handbook(i))
			if _, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{a.Document.ID}); err != nil {
				t.Error(err)
			}
			if i%3 == 0 {
				r.delete(t, a.Document.ID, time.Duration(i%2)*time.Hour)
			}
		}
	}()
	v := r.verifier()
	v.Grace, v.Late, v.Settle = time.Minute, 10*time.Second, 50*time.Millisecond
	for busy := true; busy; {
		select {
		case <-worked:
			busy = r.count(t, `SELECT count(*) FROM jobs WHERE state IN ('pending', 'running') AND kind = 'index'`) > 0
		default:
		}
		found, err := v.Verify(t.Context(), VerifyOptions{Repair: true})
		if err != nil || len(found.Counts) > 0 {
			t.Fatalf("verification found %+v, %v", found.Differences, err)
		}
	}
}

func TestOneProcessAtATimeVerifiesAndAnotherGoesOn(t *testing.T) {
	t.Parallel()
	r := newLedgerRig(t)
	night := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	for range 2 {
		if err := r.Ledger.ScheduleVerification(t.Context(), night); err != nil {
			t.Fatal(err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	ran, err := r.Ledger.RunVerification(ended, func(ctx context.Context, _ bool) (voiceassist.Verification, error) {
		other, err := r.Ledger.RunVerification(t.Context(), func(context.Context, bool) (voiceassist.Verification, error) {
			t.Error("two verify at once")
			return voiceassist.Verification{}, nil
		})
		if other || err != nil {
			t.Errorf("beside it: %v, %v", other, err)
		}
		if v, err := r.Ledger.RequestVerification(t.Context(), true); voiceassist.CodeOf(err) != voiceassist.Conflict {
			t.Errorf("a repair joins one that does not: %+v, %v", v, err)
		}
		end() // its process stops
		return voiceassist.Verification{}, ctx.Err()
	})
	if !ran || err == nil {
		t.Errorf("RunVerification = %v, %v", ran, err)
	}
	ran, err = r.Ledger.RunVerification(t.Context(), func(ctx context.Context, repair bool) (voiceassist.Verification, error) {
		return r.verifier().Verify(ctx, VerifyOptions{Repair: repair})
	})
	last, unfinished, lastErr := r.Ledger.Verifications(t.Context())
	if !ran || err != nil || lastErr != nil || last == nil || unfinished != nil || !last.Scheduled || !last.Clean() {
		t.Errorf("another goes on: %v, %v; last %+v, %v", ran, err, last, lastErr)
	}
	if err := r.Ledger.ScheduleVerification(t.Context(), night); err != nil {
		t.Fatal(err)
	}
	if ran, err := r.Ledger.RunVerification(t.Context(), nil); ran || err != nil {
		t.Errorf("the same night once more: %v, %v", ran, err)
	}
	if s, err := r.Ledger.VerificationSummary(t.Context()); err != nil || s.LastSuccess.IsZero() {
		t.Errorf("the summary is %+v, %v", s, err)
	}
}

func TestPairUpMeetsEqualKeysAndMissesNone(t *testing.T) {
	t.Parallel()
	sequence := func(keys ...int) func(func(int, error) bool) {
		return func(yield func(int, error) bool) {
			for _, k := range keys {
				if !yield(k, nil) {
					return
				}
			}
		}
	}
	var left, both, right []int
	if err := pairUp(sequence(1, 2, 4, 7), sequence(2, 3, 4, 8, 9), func(l, r int) int { return l - r }, func(l, r *int) error {
		switch {
		case r == nil:
			left = append(left, *l)
		case l == nil:
			right = append(right, *r)
		default:
			both = append(both, *l)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(left, []int{1, 7}) || !slices.Equal(both, []int{2, 4}) || !slices.Equal(right, []int{3, 8, 9}) {
		t.Errorf("left %v, both %v, right %v", left, both, right)
	}
}
