package seamtest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/qdrant"
)

// generation returns the same passages as another generation.
func generation(of []voiceassist.Point, number int) []voiceassist.Point {
	next := slices.Clone(of)
	for i := range next {
		next[i].Generation = number
		next[i].ID = voiceassist.PassageID(next[i].DocumentID, number, i, next[i].Text)
	}
	return next
}

func searchFuses(t *testing.T, s indexServer) {
	x := s.index(t, 2)
	batch := points("asthma asthma asthma", "asthma", "wheezing")
	batch[0].Dense = []float32{0, 1}
	batch[1].Dense = []float32{0.8, 0.6}
	batch[2].Dense = []float32{1, 0}
	mustUpsert(t, x, true, batch)
	matches := mustSearch(t, x, qdrant.Query{Text: "asthma", Dense: []float32{2, 0}})
	// Ranks by words 0, 1, none; by meaning 2, 1, 0.
	wantIDs(t, "Search", matches, batch[0].ID, batch[1].ID, batch[2].ID)
	for i, want := range []float64{1./61 + 1./63, 1./62 + 1./62, 1. / 61} {
		wantClose(t, fmt.Sprintf("score %d", i), matches[i].Score, want)
	}
	only := voiceassist.SearchFilter{DocumentIDs: []uuid.UUID{uuid.New()}}
	wantIDs(t, "filtered", mustSearch(t, x, qdrant.Query{Text: "asthma", Dense: []float32{2, 0}, Filter: only}))
}

func searchDense(t *testing.T, s indexServer) {
	x := s.index(t, 2)
	batch := points("one", "two", "hidden")
	batch[0].Dense = []float32{3, 4}
	batch[1].Dense = []float32{1, 0}
	batch[2].Dense = []float32{1, 0}
	mustUpsert(t, x, true, batch[:2])
	mustUpsert(t, x, false, batch[2:])
	matches := mustSearch(t, x, qdrant.Query{Dense: []float32{0, 5}})
	wantIDs(t, "Search", matches, batch[0].ID, batch[1].ID)
	wantClose(t, "score", matches[0].Score, 0.8)
}

func activateSwaps(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	other, first := points("gout in other words"), points("gout", "gout and uric acid")
	mustUpsert(t, x, true, other)
	mustUpsert(t, x, true, first)
	second := generation(first[:1], 2)
	mustUpsert(t, x, false, second)
	wantCount(t, x, 3, 4)
	if err := x.Activate(t.Context(), first[0].DocumentID, 2); err != nil {
		t.Fatalf("Activate: %v", err)
	}
	matches := mustSearch(t, x, qdrant.Query{Text: "gout"})
	wantIDs(t, "Search", matches, second[0].ID, other[0].ID)
	if matches[0].Generation != 2 || matches[0].DocumentID != first[0].DocumentID {
		t.Errorf("best match = %+v, want generation 2 of %s", matches[0], first[0].DocumentID)
	}
	wantCount(t, x, 2, 2)
}

func activateTwice(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	batch := points("anaemia", "iron")
	mustUpsert(t, x, false, batch)
	for range 2 {
		if err := x.Activate(t.Context(), batch[0].DocumentID, 1); err != nil {
			t.Fatalf("Activate: %v", err)
		}
		wantCount(t, x, 2, 2)
	}
}

func deleteDocument(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	kept, gone := points("croup"), points("croup", "stridor")
	mustUpsert(t, x, true, slices.Concat(kept, gone, generation(gone, 2)))
	for range 2 { // again when nothing is left
		if err := x.Delete(t.Context(), gone[0].DocumentID); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantCount(t, x, 1, 1)
	}
	wantIDs(t, "Search", mustSearch(t, x, qdrant.Query{Text: "croup stridor"}), kept[0].ID)
}

func deleteGeneration(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	first := points("otitis")
	second := generation(first, 2)
	mustUpsert(t, x, true, slices.Concat(first, second))
	if err := x.DeleteGeneration(t.Context(), first[0].DocumentID, 1); err != nil {
		t.Fatalf("DeleteGeneration: %v", err)
	}
	wantIDs(t, "Search", mustSearch(t, x, qdrant.Query{Text: "otitis"}), second[0].ID)
}

func idfFormula(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	mustUpsert(t, x, true, points("rash", "rash and itch", "rash rash", "cough"))
	mustUpsert(t, x, false, points("itch, not active"))
	idf, err := x.IDF(t.Context(), []string{"rash", "itch", "unheard", "rash"})
	if err != nil {
		t.Fatalf("IDF: %v", err)
	}
	for stem, n := range map[string]int{"rash": 3, "itch": 2, "unheard": 0} {
		wantClose(t, "IDF of "+stem, idf[stem], inverseFrequency(5, n))
	}
	if len(idf) != 3 {
		t.Errorf("IDF of three stems = %v", idf)
	}
}

func scrollLists(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	texts := make([]string, 2500) // more than two pages
	for i := range texts {
		texts[i] = fmt.Sprint("passage ", i)
	}
	batch := points(texts...)
	mustUpsert(t, x, false, batch)
	mustUpsert(t, x, true, points("another document"))
	got := make(map[uuid.UUID]qdrant.Stored)
	for stored, err := range x.Scroll(t.Context(), batch[0].DocumentID) {
		if err != nil {
			t.Fatalf("Scroll: %v", err)
		}
		if _, twice := got[stored.PassageID]; twice {
			t.Fatalf("Scroll listed %s twice", stored.PassageID)
		}
		got[stored.PassageID] = stored
	}
	want := make(map[uuid.UUID]qdrant.Stored)
	for _, p := range batch {
		want[p.ID] = qdrant.Stored{PassageID: p.ID, DocumentID: p.DocumentID, Generation: 1}
	}
	if !maps.Equal(got, want) {
		t.Errorf("Scroll listed %d points, want the %d stored", len(got), len(want))
	}
}

func documentsCounts(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	a, b := points("one", "two"), points("three")
	mustUpsert(t, x, true, slices.Concat(a, b))
	mustUpsert(t, x, false, generation(b, 2))
	got, err := x.Documents(t.Context())
	if err != nil {
		t.Fatalf("Documents: %v", err)
	}
	want := map[qdrant.Generation]qdrant.Tally{
		{DocumentID: a[0].DocumentID, Number: 1}: {Active: 2, Total: 2},
		{DocumentID: b[0].DocumentID, Number: 1}: {Active: 1, Total: 1},
		{DocumentID: b[0].DocumentID, Number: 2}: {Active: 0, Total: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Documents (-want +got):\n%s", diff)
	}
}

func largeBatches(t *testing.T, s indexServer) {
	const dim = 4096 // a full batch is more than 4 MiB
	x := s.index(t, dim)
	batch := points(slices.Repeat([]string{"the same words"}, 300)...)
	for i := range batch {
		batch[i].Dense = make([]float32, dim)
		batch[i].Dense[i] = 1
	}
	mustUpsert(t, x, true, batch)
	wantCount(t, x, 300, 300)
	matches := mustSearch(t, x, qdrant.Query{Dense: batch[299].Dense, Limit: 1})
	wantIDs(t, "Search", matches, batch[299].ID)
}

func concurrent(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				batch := points("measles outbreak", "measles vaccine", "mumps")
				if err := x.Upsert(t.Context(), batch, false); err != nil {
					t.Errorf("Upsert: %v", err)
				}
				if err := x.Activate(t.Context(), batch[0].DocumentID, 1); err != nil {
					t.Errorf("Activate: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := x.Search(t.Context(), qdrant.Query{Text: "measles", Limit: 100}); err != nil {
					t.Errorf("Search: %v", err)
				}
			}
		})
	}
	wg.Wait()
	wantCount(t, x, 60, 60)
	if got := len(mustSearch(t, x, qdrant.Query{Text: "measles", Limit: 100})); got != 40 {
		t.Errorf("Search found %d passages, want 40", got)
	}
}

func dropForgets(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	mustUpsert(t, x, true, points("forget me"))
	for range 2 { // again when it is gone
		if err := x.Drop(t.Context()); err != nil {
			t.Fatalf("Drop: %v", err)
		}
	}
	if err := x.Ensure(t.Context()); err != nil {
		t.Fatalf("Ensure after Drop: %v", err)
	}
	wantCount(t, x, 0, 0)
}
