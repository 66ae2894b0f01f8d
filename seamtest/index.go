// Package seamtest holds a suite of tests for each seam of the program, so that
// every engine behind a seam is held to the same behaviour.
package seamtest

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/bm25"
	"github.com/voiceassist/backend/qdrant"
)

// Index checks what package qdrant relies on, against the Qdrant at url. Each
// test uses a collection of its own and drops it.
func Index(t *testing.T, url string) {
	for name, test := range map[string]func(*testing.T, indexServer){
		"EnsureTwiceIsEnsuringOnce":              ensureTwice,
		"EnsureRefusesACollectionOfOtherVectors": ensureRefuses,
		"UpsertTwiceStoresOnce":                  upsertTwice,
		"SearchSeesOnlyActivePoints":             searchActive,
		"SearchScoresByBM25":                     searchScores,
		"SearchPagesWithoutGapsOrRepeats":        searchPages,
		"SearchWithoutTermsFindsNothing":         searchNothing,
		"SearchFiltersByEveryField":              searchFilters,
		"SearchFindsWordsOfAnyScript":            searchScripts,
		"SearchFusesWordsAndMeaningByRank":       searchFuses,
		"SearchByMeaningAloneRanksByCosine":      searchDense,
		"ActivateSwapsGenerations":               activateSwaps,
		"ActivateTwiceIsActivatingOnce":          activateTwice,
		"DeleteRemovesEveryPointOfADocument":     deleteDocument,
		"DeleteGenerationLeavesTheOthers":        deleteGeneration,
		"IDFIsQdrantsFormula":                    idfFormula,
		"ScrollListsEveryPointOnce":              scrollLists,
		"DocumentsCountsEveryGeneration":         documentsCounts,
		"BatchesOverFourMegabytesAreStored":      largeBatches,
		"SearchesGoOnWhilePointsAreStored":       concurrent,
		"DropForgetsTheCollection":               dropForgets,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, indexServer{url: url})
		})
	}
}

// indexServer opens collections for one test.
type indexServer struct{ url string }

// index returns an empty index of dense vectors of dim numbers.
func (s indexServer) index(t *testing.T, dim int) *qdrant.Index {
	t.Helper()
	x := s.open(t, "seamtest_"+uuid.NewString(), dim)
	if err := x.Ensure(t.Context()); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := x.Drop(ctx); err != nil {
			t.Errorf("Drop: %v", err)
		}
	})
	return x
}

func (s indexServer) open(t *testing.T, collection string, dim int) *qdrant.Index {
	t.Helper()
	x, err := qdrant.Open(s.url, qdrant.Options{Collection: collection, Dim: dim})
	if err != nil {
		t.Fatalf("Open(%q): %v", s.url, err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return x
}

// points returns one point of generation 1 of a new document for each text.
func points(texts ...string) []voiceassist.Point {
	document := uuid.New()
	made := make([]voiceassist.Point, len(texts))
	for i, text := range texts {
		made[i] = voiceassist.Point{
			ID:         voiceassist.PassageID(document, 1, i, text),
			DocumentID: document,
			Generation: 1,
			Text:       text,
		}
	}
	return made
}

func mustUpsert(t *testing.T, x *qdrant.Index, active bool, batch []voiceassist.Point) {
	t.Helper()
	if err := x.Upsert(t.Context(), batch, active); err != nil {
		t.Fatalf("Upsert: %v", err)
	}
}

func mustSearch(t *testing.T, x *qdrant.Index, q qdrant.Query) []qdrant.Match {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 10
	}
	matches, err := x.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("Search: %v", err)
	}
	return matches
}

func ids(matches []qdrant.Match) []uuid.UUID {
	found := make([]uuid.UUID, len(matches))
	for i, m := range matches {
		found[i] = m.PassageID
	}
	return found
}

func wantIDs(t *testing.T, what string, got []qdrant.Match, want ...uuid.UUID) {
	t.Helper()
	if diff := cmp.Diff(want, ids(got), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCount(t *testing.T, x *qdrant.Index, wantActive, wantTotal int) {
	t.Helper()
	active, total, err := x.Count(t.Context())
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	if active != wantActive || total != wantTotal {
		t.Errorf("Count() = %d active of %d, want %d of %d", active, total, wantActive, wantTotal)
	}
}

// wantClose compares as closely as single precision allows.
func wantClose(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-5*math.Abs(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func inverseFrequency(total, n int) float64 {
	return math.Log((float64(total)-float64(n)+0.5)/(float64(n)+0.5) + 1)
}

func ensureTwice(t *testing.T, s indexServer) {
	x := s.index(t, 3)
	errs := make(chan error)
	for range 4 {
		go func() { errs <- x.Ensure(t.Context()) }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Errorf("Ensure once more: %v", err)
		}
	}
}

func ensureRefuses(t *testing.T, s indexServer) {
	x := s.index(t, 3)
	for _, dim := range []int{0, 4} {
		err := s.open(t, x.Collection(), dim).Ensure(t.Context())
		if voiceassist.CodeOf(err) != voiceassist.Conflict {
			t.Errorf("Ensure of %d dimensions over 3 = %v, want a Conflict", dim, err)
		}
	}
}

func upsertTwice(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	batch := points("aspirin and bleeding", "warfarin and bleeding")
	mustUpsert(t, x, true, batch)
	first := mustSearch(t, x, qdrant.Query{Text: "aspirin"})
	mustUpsert(t, x, true, batch)
	wantCount(t, x, 2, 2)
	if diff := cmp.Diff(first, mustSearch(t, x, qdrant.Query{Text: "aspirin"})); diff != "" {
		t.Errorf("Search after the second Upsert (-before +after):\n%s", diff)
	}
}

func searchActive(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	hidden, shown := points("metformin dose"), points("metformin in pregnancy")
	mustUpsert(t, x, false, hidden)
	mustUpsert(t, x, true, shown)
	wantIDs(t, "Search", mustSearch(t, x, qdrant.Query{Text: "metformin"}), shown[0].ID)
	wantCount(t, x, 1, 2)
	n, err := x.CountDocument(t.Context(), hidden[0].DocumentID, 1)
	if err != nil || n != 1 {
		t.Errorf("CountDocument = %d, %v, want 1", n, err)
	}
}

func searchScores(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	batch := points("fever", "fever and chills", "a cough")
	mustUpsert(t, x, true, batch)
	_, weights := bm25.Encoder{}.Document(batch[1].Text)
	matches := mustSearch(t, x, qdrant.Query{Text: "chills with fever"})
	wantIDs(t, "Search", matches, batch[1].ID, batch[0].ID)
	want := float64(weights[0])*inverseFrequency(3, 1) + float64(weights[1])*inverseFrequency(3, 2)
	wantClose(t, "score", matches[0].Score, want)
}

func searchPages(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	texts := make([]string, 25)
	for i := range texts {
		texts[i] = "sepsis" + strings.Repeat(" filler", i)
	}
	batch := points(texts...)
	mustUpsert(t, x, true, batch)
	var found []qdrant.Match
	for offset := 0; offset < 30; offset += 10 {
		found = append(found, mustSearch(t, x, qdrant.Query{Text: "sepsis", Limit: 10, Offset: offset})...)
	}
	want := make([]uuid.UUID, len(batch)) // shorter texts score higher
	for i, p := range batch {
		want[i] = p.ID
	}
	wantIDs(t, "three pages", found, want...)
}

func searchNothing(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	mustUpsert(t, x, true, points("the heart"))
	for _, text := range []string{"", "the and of", "?!", "spleen"} {
		wantIDs(t, "Search "+text, mustSearch(t, x, qdrant.Query{Text: text}))
	}
}

func searchFilters(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	a, b := points("stroke care"), points("stroke rehabilitation")
	a[0].SourceType, a[0].Specialty, a[0].Category = "guideline", "neurology", "acute"
	b[0].SourceType, b[0].Specialty, b[0].Category = "review", "rehabilitation", "Übung"
	mustUpsert(t, x, true, slices.Concat(a, b))
	for name, test := range map[string]struct {
		filter voiceassist.SearchFilter
		want   []uuid.UUID
	}{
		"document":          {voiceassist.SearchFilter{DocumentIDs: []uuid.UUID{b[0].DocumentID}}, []uuid.UUID{b[0].ID}},
		"documents":         {voiceassist.SearchFilter{DocumentIDs: []uuid.UUID{a[0].DocumentID, uuid.New()}}, []uuid.UUID{a[0].ID}},
		"source type":       {voiceassist.SearchFilter{SourceType: "guideline"}, []uuid.UUID{a[0].ID}},
		"specialty":         {voiceassist.SearchFilter{Specialty: "rehabilitation"}, []uuid.UUID{b[0].ID}},
		"category":          {voiceassist.SearchFilter{Category: "Übung"}, []uuid.UUID{b[0].ID}},
		"all must match":    {voiceassist.SearchFilter{SourceType: "guideline", Category: "Übung"}, nil},
		"nothing like that": {voiceassist.SearchFilter{SourceType: "letter"}, nil},
	} {
		wantIDs(t, "filter by "+name, mustSearch(t, x, qdrant.Query{Text: "stroke", Filter: test.filter}), test.want...)
	}
}

func searchScripts(t *testing.T, s indexServer) {
	x := s.index(t, 0)
	batch := points("Ménière's disease", "糖尿病の治療について", "гипертония у пожилых", "ارتفاع ضغط الدم", "naı̈ve ﬁbrosis 😷")
	mustUpsert(t, x, true, batch)
	for i, text := range []string{"MENIERE", "糖尿病", "ГИПЕРТОНИЯ", "ضغط", "fibrosis"} {
		wantIDs(t, "Search "+text, mustSearch(t, x, qdrant.Query{Text: text}), batch[i].ID)
	}
}
