package postgres_test

import (
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// TestAJobThatWaitsForOtherPartsWhenItIsLockedIsLeftAlone stops the look for
// forgotten jobs after its snapshot and before its locks, on a view that waits;
// meanwhile the job goes on and is split once more.
func TestAJobThatWaitsForOtherPartsWhenItIsLockedIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	add(t, p.db, "a.pdf", 1, voiceassist.DocumentMeta{})
	parent := startAll(t, p.db)[0]
	if err := p.db.Split(t.Context(), postgres.AttemptOf(parent), postgres.Split{
		Kind: voiceassist.JobExtract, Parts: []postgres.Span{{First: 1, Last: 9}},
	}, nil); err != nil {
		t.Fatal(err)
	}
	p.exec(`UPDATE jobs SET state = 'completed', completed_at = now() WHERE parent_id IS NOT NULL`)
	p.exec(`ALTER TABLE documents RENAME TO all_documents`)
	p.exec(`CREATE FUNCTION stopped() RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock(1);
			RETURN true;
		END $$`)
	p.exec(`CREATE VIEW documents AS SELECT * FROM all_documents WHERE stopped()`)

	p.exec(`SELECT pg_advisory_lock(1)`)
	resumed := make(chan int, 1)
	go func() {
		n, err := p.db.ResumeForgotten(t.Context())
		if err != nil {
			t.Error(err)
		}
		resumed <- n
	}()
	p.waitFor(1)
	p.exec(`UPDATE jobs SET state = 'pending' WHERE id = $1`, parent.ID)
	p.exec(`UPDATE jobs SET state = 'waiting' WHERE id = $1`, parent.ID)
	p.exec(`INSERT INTO jobs (id, document_id, kind, queue, parent_id, first, last) VALUES (gen_random_uuid(), $1, 'embed', 'default', $2, 0, 9)`,
		parent.DocumentID, parent.ID)
	p.exec(`SELECT pg_advisory_unlock(1)`)
	if n := <-resumed; n != 0 {
		t.Errorf("%d jobs go on, want none: a part is unfinished", n)
	}
	if j, err := p.db.Job(t.Context(), parent.ID); err != nil || j.State != voiceassist.JobWaiting {
		t.Errorf("the job is %s, %v; want it waiting", j.State, err)
	}
}
