package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
	"github.com/voiceassist/backend/rag"
)

func TestACachedSearchSeesEveryChangeOfTheCorpusAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := cache.New(cache.Options{})
	t.Cleanup(c.Close)
	service := rag.New(r.Ledger, cache.NewRetrieval(c, r.index, r.Ledger, ""), rag.Options{})
	search := func(f voiceassist.SearchFilter) (found []string) {
		t.Helper()
		for range 2 { // the second is answered from the cache
			hits, err := service.Search(t.Context(), "ibuprofen", f, 10)
			if err != nil {
				t.Fatal(err)
			}
			found = nil
			for _, h := range hits {
				found = append(found, strings.TrimSpace(h.Document.Title+" "+h.Document.Specialty))
			}
		}
		return found
	}
	check := func(when string, f voiceassist.SearchFilter, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, search(f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	all, surgery := voiceassist.SearchFilter{}, voiceassist.SearchFilter{Specialty: "surgery"}

	check("empty", all)
	id := r.upload(t, "leaflet.txt", "Ibuprofen eases pain for some hours.").Document.ID
	r.deliver(t)
	check("indexed", all, "leaflet")
	r.edit(t, id, voiceassist.DocumentEdit{Title: new("Handbook"), Specialty: new("surgery")})
	check("edited", all, "Handbook surgery")
	check("edited, the index not yet", surgery)
	r.deliver(t)
	check("refreshed", surgery, "Handbook surgery")
	r.edit(t, id, voiceassist.DocumentEdit{Specialty: new("")})
	check("edited again: the ledger has the last word", surgery)
	if _, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{id}); err != nil {
		t.Fatal(err)
	}
	r.deliver(t)
	check("indexed again", all, "Handbook")
	if _, err := r.Ledger.DeleteDocument(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	check("deleted", all)
	r.deliver(t)
	check("removed", all)
	if f := c.Figures(t.Context()).Namespaces[0]; f.Near.Hits < 8 {
		t.Errorf("the searches were not cached: %+v", f)
	}
}
