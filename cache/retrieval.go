package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// How long results of retrieval are kept, at most: they are never out of date.
const (
	retrievalNear = time.Minute
	retrievalFar  = 10 * time.Minute
)

// Index finds candidates; it is *qdrant.Index.
type Index interface {
	Search(ctx context.Context, q voiceassist.IndexQuery) ([]voiceassist.IndexMatch, error)
	IDF(ctx context.Context, stems []string) (map[string]float64, error)
}

// Corpus knows when what can be found has changed; it is *postgres.DB.
type Corpus interface {
	// CorpusVersion returns a number that is different after every change.
	CorpusVersion(ctx context.Context) (int64, error)
}

// Retrieval is an Index that remembers what searches found, until the corpus
// changes. What it returns are candidates, as those of any index: the ledger
// has the last word.
type Retrieval struct {
	Index
	corpus  Corpus
	profile string
	found   *Namespace[[]voiceassist.IndexMatch]
}

// matchBytes is the size of a match, about.
const matchBytes = 64

// NewRetrieval returns index, cached in the namespace "search". The profile
// names what the index's vectors are made of.
func NewRetrieval(c *Cache, index Index, corpus Corpus, profile string) *Retrieval {
	return &Retrieval{Index: index, corpus: corpus, profile: profile, found: NewNamespace(c, "search", Policy[[]voiceassist.IndexMatch]{
		Near: retrievalNear, MaxBytes: 32 << 20, Size: func(m []voiceassist.IndexMatch) int { return matchBytes * len(m) },
		Far: FarPolicy{TTL: retrievalFar, MaxBytes: 256 << 10}, Version: "1",
	})}
}

// Search returns what the index finds, or found since the corpus last changed.
func (r *Retrieval) Search(ctx context.Context, q voiceassist.IndexQuery) ([]voiceassist.IndexMatch, error) {
	version, err := r.corpus.CorpusVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the version of the corpus: %w", err)
	}
	key, err := r.key(version, q)
	if err != nil {
		return nil, err
	}
	return r.found.Get(ctx, key, func(ctx context.Context) ([]voiceassist.IndexMatch, error) { return r.Index.Search(ctx, q) })
}

// key names a query. The vector follows from the text and the profile, so that
// there is one is enough. Nothing of a question can be read in it.
func (r *Retrieval) key(version int64, q voiceassist.IndexQuery) (string, error) {
	hasVector := q.Dense != nil
	q.Text, q.Dense = oneSpaced(q.Text), nil
	asked, err := json.Marshal(struct {
		Profile string
		Vector  bool
		Query   voiceassist.IndexQuery
	}{r.profile, hasVector, q})
	return fmt.Sprintf("%d.%s", version, digest(string(asked))), err
}

// oneSpaced is text with single spaces between its words: how they are spaced
// changes nothing of what is found.
func oneSpaced(text string) string { return strings.Join(strings.Fields(text), " ") }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Embedder remembers the vectors of single texts, which are questions.
type Embedder struct {
	voiceassist.Embedder
	vectors *Namespace[[]float32]
}

// NewEmbedder returns e, cached in the namespace "embedding".
func NewEmbedder(c *Cache, e voiceassist.Embedder) *Embedder {
	return &Embedder{Embedder: e, vectors: NewNamespace(c, "embedding", Policy[[]float32]{
		Near: retrievalNear, MaxBytes: 32 << 20, Size: func(v []float32) int { return 4 * len(v) },
		Far: FarPolicy{TTL: time.Hour, MaxBytes: 256 << 10}, Version: "1",
	})}
}

// Embed returns the vectors of texts, as the embedder behind it does.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if len(texts) != 1 {
		return e.Embedder.Embed(ctx, texts)
	}
	v, err := e.vectors.Get(ctx, digest(e.Profile()+"\x00"+texts[0]), func(ctx context.Context) ([]float32, error) {
		vectors, err := e.Embedder.Embed(ctx, texts)
		if err != nil {
			return nil, err
		}
		return vectors[0], nil
	})
	if err != nil {
		return nil, err
	}
	return [][]float32{v}, nil
}
