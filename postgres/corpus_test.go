package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgrestest"
)

func TestAnEditChangesWhatItNamesAndTheVersion(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	d := add(t, db, "a.txt", 1, voiceassist.DocumentMeta{Title: "Old", Author: "A", SourceType: "paper"}).Document
	edited, err := db.UpdateDocument(t.Context(), d.ID, voiceassist.DocumentEdit{
		Title: new("New"), Author: new(""), Metadata: map[string]any{"year": 2020.0, "authors": []any{"B", "C"}}, Version: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := db.Document(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(edited, stored); diff != "" {
		t.Errorf("the reply and what is stored (-reply +stored):\n%s", diff)
	}
	d.Title, d.Author, d.Version, d.UpdatedAt = "New", "", 2, stored.UpdatedAt
	d.Metadata = map[string]any{"year": 2020.0, "authors": []any{"B", "C"}}
	if diff := cmp.Diff(d, stored); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	same, err := db.UpdateDocument(t.Context(), d.ID, voiceassist.DocumentEdit{
		Title: new("New"), Metadata: map[string]any{"year": 2020.0, "doi": nil},
	})
	if err != nil || same.Version != 2 {
		t.Errorf("an edit that changes nothing: version %d, %v", same.Version, err)
	}
	if removed, err := db.UpdateDocument(t.Context(), d.ID, voiceassist.DocumentEdit{Metadata: map[string]any{"year": nil}}); err != nil || removed.Metadata["year"] != nil || removed.Version != 3 {
		t.Errorf("removing the year: %+v, %v", removed, err)
	}
	if _, err := db.UpdateDocument(t.Context(), uuid.New(), voiceassist.DocumentEdit{Title: new("x")}); !errors.Is(err, voiceassist.NotFound) {
		t.Errorf("an unknown document: %v, want NotFound", err)
	}
	if _, err := db.DeleteDocument(t.Context(), d.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := db.UpdateDocument(t.Context(), d.ID, voiceassist.DocumentEdit{Title: new("x")}); !errors.Is(err, voiceassist.NotFound) {
		t.Errorf("a deleted document: %v, want NotFound", err)
	}
}

func TestOfEditsOfTheSameVersionOneWins(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	d := add(t, db, "a.txt", 1, voiceassist.DocumentMeta{Title: "Old"}).Document
	var editing sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		editing.Go(func() {
			_, errs[i] = db.UpdateDocument(t.Context(), d.ID, voiceassist.DocumentEdit{Title: new(fmt.Sprint("Title ", i)), Version: d.Version})
		})
	}
	editing.Wait()
	won, lost := 0, 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case errors.Is(err, voiceassist.Conflict):
			lost++
		}
	}
	if won != 1 || lost != len(errs)-1 {
		t.Errorf("%d won and %d were in conflict: %v", won, lost, errs)
	}
}

func TestEveryChangeOfTheCorpusIsAnotherVersion(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	version := func() int64 {
		v, err := db.CorpusVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var docs []uuid.UUID
	for i := range 20 {
		docs = append(docs, add(t, db, fmt.Sprint(i, ".txt"), i+1, voiceassist.DocumentMeta{Title: "Old"}).Document.ID)
	}
	before := version()
	var editing sync.WaitGroup
	for _, id := range docs {
		editing.Go(func() {
			if _, err := db.UpdateDocument(t.Context(), id, voiceassist.DocumentEdit{Title: new("New")}); err != nil {
				t.Error(err)
			}
			if _, err := db.DeleteDocument(t.Context(), id, 0); err != nil {
				t.Error(err)
			}
		})
	}
	editing.Wait()
	if after := version(); after != before+40 {
		t.Errorf("version %d after 40 changes, was %d", after, before)
	}
}
