package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
	"github.com/voiceassist/backend/redis"
)

// shelf is an index and a corpus that count what they are asked.
type shelf struct {
	version  int64
	searches int
	embedded int
	found    []voiceassist.IndexMatch
}

func (s *shelf) CorpusVersion(context.Context) (int64, error) { return s.version, nil }

func (s *shelf) Search(context.Context, voiceassist.IndexQuery) ([]voiceassist.IndexMatch, error) {
	s.searches++
	return s.found, nil
}

func (s *shelf) IDF(context.Context, []string) (map[string]float64, error) { return nil, nil }
func (s *shelf) Profile() string                                           { return "model/2" }
func (s *shelf) Dim() int                                                  { return 2 }

func (s *shelf) Embed(_ context.Context, texts []string) ([][]float32, error) {
	if texts[0] == "refused" {
		return nil, errors.New("refused")
	}
	s.embedded++
	return make([][]float32, len(texts)), nil
}

func TestASearchIsAskedOnceForEachVersionOfTheCorpus(t *testing.T) {
	t.Parallel()
	s := &shelf{found: []voiceassist.IndexMatch{{PassageID: uuid.New(), DocumentID: uuid.New(), Generation: 1, Score: 2.5}}}
	r := cache.NewRetrieval(newCache(t, cache.Options{}), s, s, "")
	ask := func(q voiceassist.IndexQuery, wantSearches int) {
		t.Helper()
		got, err := r.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.found, got); diff != "" || s.searches != wantSearches {
			t.Errorf("%+v: %d searches so far, want %d (-want +got):\n%s", q, s.searches, wantSearches, diff)
		}
	}
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 10}, 1)
	ask(voiceassist.IndexQuery{Text: " does  aspirin\nhelp ", Limit: 10}, 1)
	ask(voiceassist.IndexQuery{Text: "does WHO help", Limit: 10}, 2)
	ask(voiceassist.IndexQuery{Text: "does who help", Limit: 10}, 3) // capitals tell words apart
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 11}, 4)
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 10, Offset: 10}, 5)
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 10, Filter: voiceassist.SearchFilter{Specialty: "oncology"}}, 6)
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 10, Dense: []float32{1}}, 7)
	s.version++
	s.found = nil
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 10}, 8)
	ask(voiceassist.IndexQuery{Text: "does aspirin help", Limit: 10}, 8)
}

func TestRedisHoldsNothingThatAQuestionCanBeReadFrom(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client, err := redis.Open(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s := &shelf{}
	c := newCache(t, cache.Options{Far: client.NewCache(slog.New(slog.DiscardHandler))})
	if _, err := cache.NewRetrieval(c, s, s, "").Search(t.Context(), voiceassist.IndexQuery{Text: "secret disease", Limit: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.NewEmbedder(c, s).Embed(t.Context(), []string{"secret disease"}); err != nil {
		t.Fatal(err)
	}
	if dump := server.Dump(); len(server.Keys()) != 2 || strings.Contains(dump, "secret") {
		t.Errorf("Redis holds:\n%s", dump)
	}
}

func TestQuestionsAreEmbeddedOnceAndPassagesAsTheyCome(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	e := cache.NewEmbedder(newCache(t, cache.Options{}), s)
	for _, step := range []struct {
		texts []string
		want  int
	}{{[]string{"a"}, 1}, {[]string{"a"}, 1}, {[]string{"b"}, 2}, {[]string{"a", "b"}, 3}} {
		vectors, err := e.Embed(t.Context(), step.texts)
		if err != nil || len(vectors) != len(step.texts) || s.embedded != step.want {
			t.Errorf("Embed(%v) = %d vectors, %v after %d calls; want %d", step.texts, len(vectors), err, s.embedded, step.want)
		}
	}
	if _, err := e.Embed(t.Context(), []string{"refused"}); err == nil {
		t.Error("an error became a vector")
	}
}
