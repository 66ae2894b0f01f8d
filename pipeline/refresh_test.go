package pipeline

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/openaitest"
	"github.com/voiceassist/backend/qdrant"
)

// countingEmbedder is an embedding model that counts the texts it embeds.
type countingEmbedder struct{ texts atomic.Int64 }

func (e *countingEmbedder) Profile() string { return "counted/1" }
func (e *countingEmbedder) Dim() int        { return openaitest.Dim }

func (e *countingEmbedder) Embed(_ context.Context, texts []string) ([][]float32, error) {
	e.texts.Add(int64(len(texts)))
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		vectors[i] = openaitest.Vector(text)
	}
	return vectors, nil
}

// found returns how many passages a search finds.
func (r *rig) found(t *testing.T, q qdrant.Query) int {
	t.Helper()
	q.Limit = 100
	matches, err := r.index.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return len(matches)
}

func (r *rig) edit(t *testing.T, id uuid.UUID, e voiceassist.DocumentEdit) voiceassist.Document {
	t.Helper()
	d, err := r.Ledger.UpdateDocument(t.Context(), id, e)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deliverAll does what is due until nothing is.
func (r *rig) deliverAll(t *testing.T) {
	t.Helper()
	for n := 1; n > 0; {
		n = r.deliver(t)
	}
}

func (r *rig) corpusVersion(t *testing.T) int64 {
	t.Helper()
	v, err := r.Ledger.CorpusVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAnEditReachesTheIndexWithoutReadingOrEmbeddingAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	embedder := &countingEmbedder{}
	r.Embedder = embedder
	r.index = openIndex(t, qdrant.Options{Dim: openaitest.Dim})
	r.broken.Index = r.index
	id := r.upload(t, "leaflet.txt", strings.Repeat("Ibuprofen eases pain for some hours. ", 100)).Document.ID
	r.deliver(t)
	passages, reads, texts := r.found(t, qdrant.Query{Text: "ibuprofen"}), r.broken.reads, embedder.texts.Load()
	before := r.corpusVersion(t)

	for _, step := range []struct {
		title, specialty, old string
	}{{"Zanzibar", "rheumatology", "leaflet"}, {"Quokka", "surgery", "zanzibar"}} {
		d := r.edit(t, id, voiceassist.DocumentEdit{Title: &step.title, Specialty: &step.specialty})
		edited := r.corpusVersion(t)
		if edited <= before {
			t.Errorf("the version of the corpus went from %d to %d", before, edited)
		}
		if n := r.deliver(t); n != 1 {
			t.Fatalf("%d jobs ran, want 1", n)
		}
		if before = r.corpusVersion(t); before <= edited {
			t.Error("the version of the corpus did not change when the index had followed")
		}
		for _, c := range []struct {
			q    qdrant.Query
			want int
		}{
			{qdrant.Query{Text: step.title}, passages},
			{qdrant.Query{Text: step.old}, 0},
			{qdrant.Query{Text: "ibuprofen", Filter: voiceassist.SearchFilter{Specialty: step.specialty}}, passages},
			{qdrant.Query{Dense: openaitest.Vector("ibuprofen pain")}, passages},
		} {
			if got := r.found(t, c.q); got != c.want {
				t.Errorf("%s: search %q %v finds %d passages, want %d", step.title, c.q.Text, c.q.Filter, got, c.want)
			}
		}
		if now := r.document(t, id); now.Generation != d.Generation || now.State != voiceassist.DocumentIndexed || now.Progress != 100 || now.Version != d.Version {
			t.Errorf("after the refresh: %+v", now)
		}
	}
	if r.broken.reads != reads || embedder.texts.Load() != texts {
		t.Errorf("read %d times and embedded %d texts, want %d and %d as before", r.broken.reads, embedder.texts.Load(), reads, texts)
	}
	if active, total := r.points(t); active != passages || total != passages {
		t.Errorf("%d points, %d of them seen, want %d", total, active, passages)
	}
	if _, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{id}); err != nil {
		t.Fatal(err)
	}
	r.deliver(t)
	if embedder.texts.Load() == texts {
		t.Error("a new generation was not embedded under its new title")
	}
}

func TestAnEditDuringARefreshIsNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(t, "leaflet.txt", "Ibuprofen eases pain for some hours.").Document.ID
	r.deliver(t)
	r.edit(t, id, voiceassist.DocumentEdit{Title: new("First")})
	r.broken.set(nil, func(context.Context) error {
		r.broken.set(nil, nil)
		r.edit(t, id, voiceassist.DocumentEdit{Title: new("Quokka")})
		return nil
	})
	for rounds := 0; r.deliver(t) > 0; rounds++ {
		if rounds > 3 {
			t.Fatal("the refresh goes on for ever")
		}
	}
	if r.found(t, qdrant.Query{Text: "quokka"}) != 1 || r.found(t, qdrant.Query{Text: "first"}) != 0 {
		t.Error("the index has not the last title")
	}
}

func TestAnEditWhileADocumentIsIndexedFollowsItsPublication(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(t, "leaflet.txt", "Ibuprofen eases pain for some hours.").Document.ID
	r.broken.set(func(context.Context) error {
		r.edit(t, id, voiceassist.DocumentEdit{Title: new("Quokka"), Category: new("pain")})
		return nil
	}, nil)
	r.deliver(t)
	r.deliver(t)
	if r.found(t, qdrant.Query{Text: "quokka", Filter: voiceassist.SearchFilter{Category: "pain"}}) != 1 {
		t.Error("the index does not know what was edited while it was made")
	}
}

func TestARefreshThatComesTooLateLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(t, "leaflet.txt", "Ibuprofen eases pain for some hours.").Document.ID
	r.deliver(t)
	r.edit(t, id, voiceassist.DocumentEdit{Title: new("Quokka")})
	r.broken.set(nil, func(context.Context) error {
		r.broken.set(nil, nil)
		if _, err := r.Ledger.Reindex(t.Context(), []uuid.UUID{id}); err != nil {
			return err
		}
		r.deliver(t)
		return nil
	})
	r.deliverAll(t)
	d := r.document(t, id)
	if _, total := r.points(t); total != 1 || d.Generation != 2 {
		t.Errorf("%d points of generation %d, want 1 of the second", total, d.Generation)
	}
	if r.found(t, qdrant.Query{Text: "quokka"}) != 1 {
		t.Error("the index has not the last title")
	}

	r.edit(t, id, voiceassist.DocumentEdit{Title: new("Wombat")})
	r.broken.set(nil, func(ctx context.Context) error {
		r.broken.set(nil, nil)
		_, err := r.Ledger.DeleteDocument(ctx, id, 0)
		return err
	})
	r.deliverAll(t)
	if _, total := r.points(t); total != 0 {
		t.Errorf("%d points of a deleted document", total)
	}
}
