package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// add takes a document with the given name and digest in.
func add(t *testing.T, db *postgres.DB, name string, digest int, m voiceassist.DocumentMeta) voiceassist.Accepted {
	t.Helper()
	a, _, err := db.AddDocument(t.Context(), voiceassist.Received{
		Filename: name, MediaType: voiceassist.MediaText, SHA256: fmt.Sprintf("%064x", digest), Size: int64(100 + digest), BlobKey: "b/" + name,
	}, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func names(docs []voiceassist.Document) []string {
	var all []string
	for _, d := range docs {
		all = append(all, d.Filename)
	}
	return all
}

func TestDocumentsAreFilteredSortedAndPaged(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	add(t, db, "alpha.txt", 1, voiceassist.DocumentMeta{Title: "Heart 100%", SourceType: "guideline"})
	add(t, db, "beta.txt", 2, voiceassist.DocumentMeta{Title: "Lung", SourceType: "paper", Specialty: "pulmonology"})
	gone := add(t, db, "gone.txt", 3, voiceassist.DocumentMeta{Title: "Gone"})
	add(t, db, "gamma.txt", 4, voiceassist.DocumentMeta{Title: "heart attack", SourceType: "paper"})
	if _, err := db.DeleteDocument(t.Context(), gone.Document.ID, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		f     voiceassist.DocumentFilter
		want  []string
		total int
	}{
		{"newest first", voiceassist.DocumentFilter{Limit: 10}, []string{"gamma.txt", "beta.txt", "alpha.txt"}, 3},
		{"by title", voiceassist.DocumentFilter{Sort: "title", Limit: 10}, []string{"alpha.txt", "gamma.txt", "beta.txt"}, 3},
		{"largest first", voiceassist.DocumentFilter{Sort: "-size", Limit: 10}, []string{"gamma.txt", "beta.txt", "alpha.txt"}, 3},
		{"a page", voiceassist.DocumentFilter{Sort: "filename", Offset: 1, Limit: 1}, []string{"beta.txt"}, 3},
		{"beyond the end", voiceassist.DocumentFilter{Offset: 50, Limit: 10}, nil, 3},
		{"by source", voiceassist.DocumentFilter{SourceType: "paper", Limit: 10}, []string{"gamma.txt", "beta.txt"}, 2},
		{"any case", voiceassist.DocumentFilter{Search: "HEART", Limit: 10}, []string{"gamma.txt", "alpha.txt"}, 2},
		{"a percent sign is one", voiceassist.DocumentFilter{Search: "100%", Limit: 10}, []string{"alpha.txt"}, 1},
		{"a wildcard is none", voiceassist.DocumentFilter{Search: "%attack_", Limit: 10}, nil, 0},
		{"by state", voiceassist.DocumentFilter{States: []voiceassist.DocumentState{voiceassist.DocumentFailed}, Limit: 10}, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs, total, err := db.Documents(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, names(docs)); d != "" || total != c.total {
				t.Errorf("total %d, want %d; documents differ (-want +got):\n%s", total, c.total, d)
			}
		})
	}
	if _, _, err := db.Documents(t.Context(), voiceassist.DocumentFilter{Sort: "sha256; DROP TABLE users"}); voiceassist.CodeOf(err) != voiceassist.Invalid {
		t.Errorf("an unknown order is %v, want Invalid", err)
	}
}

func TestTheSameBytesUploadedAtOnceAreOneDocument(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	var mu sync.Mutex
	ids, fresh := make(map[uuid.UUID]bool), 0
	var uploading sync.WaitGroup
	for i := range 8 {
		uploading.Go(func() {
			a, obsolete, err := db.AddDocument(t.Context(), voiceassist.Received{
				Filename: "a.txt", MediaType: voiceassist.MediaText, SHA256: strings.Repeat("a", 64), Size: 1, BlobKey: fmt.Sprint("b/", i),
			}, voiceassist.DocumentMeta{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[a.Document.ID] = true
			if !a.Duplicate {
				fresh++
			} else if obsolete != fmt.Sprint("b/", i) {
				t.Errorf("the obsolete blob of a duplicate is %q, want its own", obsolete)
			}
		})
	}
	uploading.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Errorf("%d documents, %d accepted as new; want 1 and 1", len(ids), fresh)
	}
}

func TestADeliveryStartsItsJobOnce(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	a := add(t, db, "a.txt", 1, voiceassist.DocumentMeta{})
	d := voiceassist.Delivery{JobID: a.JobID, Number: 1}
	if _, _, started, err := db.StartAttempt(t.Context(), d, time.Minute); started || err != nil {
		t.Errorf("a delivery that was never published started its job: %v, %v", started, err)
	}
	if _, _, err := db.PublishDue(t.Context(), 10, func(context.Context, postgres.Owed) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	starts := 0
	var workers sync.WaitGroup
	for range 6 {
		workers.Go(func() {
			_, _, started, err := db.StartAttempt(t.Context(), d, time.Minute)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if started {
				starts++
			}
		})
	}
	workers.Wait()
	if starts != 1 {
		t.Errorf("the job was started %d times, want once", starts)
	}
}

func TestReindexingSomethingUnknownDoesNothing(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	a := add(t, db, "a.txt", 1, voiceassist.DocumentMeta{})
	if _, err := db.CancelJob(t.Context(), a.JobID); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Reindex(t.Context(), []uuid.UUID{a.Document.ID, uuid.New()}); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("Reindex = %v, want NotFound", err)
	}
	if _, pending, err := db.Jobs(t.Context(), voiceassist.JobFilter{State: voiceassist.JobPending, Limit: 1}); err != nil || pending != 0 {
		t.Errorf("%d jobs are pending, %v; want none", pending, err)
	}
}

func TestMigrationsAreAppliedOnce(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	missing, err := db.MissingMigrations(t.Context())
	if err != nil || len(missing) != 0 {
		t.Errorf("MissingMigrations = %v, %v; want none", missing, err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Errorf("migrating again: %v", err)
	}
}

func TestBacklogsTellEveryQueue(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	add(t, db, "a.txt", 1, voiceassist.DocumentMeta{Queue: voiceassist.QueueBulk})
	backlogs, err := db.Backlogs(t.Context())
	if err != nil || len(backlogs) != len(voiceassist.Queues) || backlogs[voiceassist.QueueBulk].Pending != 1 {
		t.Errorf("Backlogs = %v, %v", backlogs, err)
	}
}
