package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// startAll publishes and starts what is due.
func startAll(t *testing.T, db *postgres.DB) (started []voiceassist.Job) {
	t.Helper()
	if _, _, err := db.PublishDue(t.Context(), 100, func(_ context.Context, o postgres.Owed) error {
		started = append(started, voiceassist.Job{ID: o.JobID, Deliveries: o.Number})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, j := range started {
		var ok bool
		var err error
		if started[i], _, ok, err = db.StartAttempt(t.Context(), voiceassist.Delivery{JobID: j.ID, Number: j.Deliveries}, time.Minute); err != nil || !ok {
			t.Fatalf("StartAttempt = %v, %v", ok, err)
		}
	}
	return started
}

func TestPartsKeepTheQueueAndTheLaneOfTheirJob(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	user := addUser(t, db, "ada")
	add(t, db, "a.pdf", 1, voiceassist.DocumentMeta{Queue: voiceassist.QueueBulk, UploadedBy: &user.ID})
	parent := startAll(t, db)[0]
	if err := db.Split(t.Context(), postgres.AttemptOf(parent), postgres.Split{
		Kind: voiceassist.JobEmbed, Gate: voiceassist.GateEmbed, Parts: []postgres.Span{{First: 0, Last: 9}, {First: 10, Last: 12}}, Generation: 3,
	}, nil); err != nil {
		t.Fatal(err)
	}
	parts := startAll(t, db)
	if len(parts) != 2 {
		t.Fatalf("%d parts, want 2", len(parts))
	}
	for _, p := range parts {
		if p.Queue != parent.Queue || p.Lane != parent.Lane || p.ParentID == nil || *p.ParentID != parent.ID || p.Generation != 3 || p.Gate != voiceassist.GateEmbed {
			t.Errorf("a part is %+v", p)
		}
	}
	if err := db.Split(t.Context(), postgres.AttemptOf(parent), postgres.Split{Kind: voiceassist.JobEmbed, Parts: []postgres.Span{{}}}, nil); !errors.Is(err, voiceassist.ErrFenced) {
		t.Errorf("an attempt that has ended splits again: %v, want ErrFenced", err)
	}
}

func TestAJobForgottenWithoutPartsIsWoken(t *testing.T) {
	t.Parallel()
	db, conn := postgrestest.OpenWithConn(t)
	add(t, db, "a.pdf", 1, voiceassist.DocumentMeta{})
	parent := startAll(t, db)[0]
	if err := db.Split(t.Context(), postgres.AttemptOf(parent), postgres.Split{Kind: voiceassist.JobExtract, Parts: []postgres.Span{{First: 1, Last: 9}}}, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := db.ReclaimLapsed(t.Context(), false); n != 0 || err != nil {
		t.Fatalf("ReclaimLapsed = %d, %v; want it to leave a job with a part alone", n, err)
	}
	if _, err := conn.Exec(t.Context(), `UPDATE jobs SET state = 'completed', completed_at = now() WHERE parent_id IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	if n, err := db.ReclaimLapsed(t.Context(), false); n != 1 || err != nil {
		t.Errorf("ReclaimLapsed = %d, %v; want 1", n, err)
	}
	if j, err := db.Job(t.Context(), parent.ID); err != nil || j.State != voiceassist.JobPending {
		t.Errorf("the job is %s, %v; want it pending", j.State, err)
	}
}

func TestAReturnedJobKeepsItsGenerationAndALapsedOneDoesNot(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	a := add(t, db, "a.pdf", 1, voiceassist.DocumentMeta{})
	again := postgres.Again{GivenBack: true, Generation: 7, Gate: voiceassist.GateEmbed}
	if err := db.Return(t.Context(), postgres.AttemptOf(startAll(t, db)[0]), again, nil); err != nil {
		t.Fatal(err)
	}
	if j, err := db.Job(t.Context(), a.JobID); err != nil || j.Generation != 7 || j.Gate != voiceassist.GateEmbed {
		t.Errorf("returned, the job is %+v, %v", j, err)
	}
	startAll(t, db)
	if _, err := db.ReclaimLapsed(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if j, err := db.Job(t.Context(), a.JobID); err != nil || j.Generation != 0 || j.Gate != "" {
		t.Errorf("lapsed, the job is %+v, %v", j, err)
	}
}

func TestTheTimelineOfADocumentHasAllItsJobsAndParts(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	a := add(t, db, "a.pdf", 1, voiceassist.DocumentMeta{})
	event := func(result string, took time.Duration) []voiceassist.JobEvent {
		return []voiceassist.JobEvent{{Attempt: 1, Stage: voiceassist.StageExtract, Result: result, Took: took}}
	}
	parent := startAll(t, db)[0]
	if err := db.Split(t.Context(), postgres.AttemptOf(parent), postgres.Split{
		Kind: voiceassist.JobExtract, Parts: []postgres.Span{{First: 65, Last: 96}},
	}, event("split", time.Second)); err != nil {
		t.Fatal(err)
	}
	part := startAll(t, db)[0]
	if err := db.CompletePart(t.Context(), postgres.AttemptOf(part), postgres.Shares{To: 40}, event("done", 2*time.Second)); err != nil {
		t.Fatal(err)
	}
	tl, err := db.DocumentTimeline(t.Context(), a.Document.ID, 0, 10)
	if err != nil || tl.Total != 2 || len(tl.Events) != 2 {
		t.Fatalf("DocumentTimeline = %+v, %v", tl, err)
	}
	first, second := tl.Events[0], tl.Events[1]
	if first.Result != "split" || first.Part != nil || first.JobID != parent.ID {
		t.Errorf("the first event is %+v", first)
	}
	if second.Part == nil || *second.Part != (voiceassist.Part{JobID: part.ID, First: 65, Last: 96}) || second.JobID != parent.ID || second.Kind != voiceassist.JobIndex {
		t.Errorf("the second event is %+v, want the part's under its job", second)
	}
	if want := (voiceassist.StageTotal{Stage: voiceassist.StageExtract, Runs: 2, Took: 3 * time.Second}); len(tl.Stages) != 1 || tl.Stages[0] != want {
		t.Errorf("the stages took %+v, want %+v", tl.Stages, want)
	}
	if tl, err := db.DocumentTimeline(t.Context(), a.Document.ID, 1, 10); err != nil || len(tl.Events) != 1 || tl.Total != 2 {
		t.Errorf("from the second on: %+v, %v", tl, err)
	}
	if _, err := db.DocumentTimeline(t.Context(), uuid.New(), 0, 10); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("the timeline of nothing is %v, want NotFound", err)
	}
}
