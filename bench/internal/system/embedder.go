package system

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"
)

// Embedder is an embedding service that answers at once, in the form of
// OpenAI's, and keeps an account. Its vectors are made of the digests of the
// texts: they are of any use for counting only.
type Embedder struct {
	URL string // what OPENAI_BASE_URL takes
	dim int

	server *http.Server
	asked  chan struct{}

	mu       sync.Mutex
	texts    int
	largest  int
	distinct map[[32]byte]struct{}
}

// Embeddings is what an Embedder was asked for.
type Embeddings struct {
	Texts    int // in all
	Distinct int // of them
	Largest  int // batch, texts
}

// StartEmbedder starts a service whose vectors have dim numbers. It ends with
// Close.
func StartEmbedder(ctx context.Context, dim int) (*Embedder, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &Embedder{URL: "http://" + ln.Addr().String() + "/v1", dim: dim, asked: make(chan struct{}), distinct: make(map[[32]byte]struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/embeddings", e.embed)
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = e.server.Serve(ln) }() // until Close
	return e, nil
}

// Close ends the service.
func (e *Embedder) Close() error { return e.server.Close() }

// Asked tells whoever receives that a request is here; nobody has to.
func (e *Embedder) Asked() <-chan struct{} { return e.asked }

// Account returns what was asked for so far.
func (e *Embedder) Account() Embeddings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Embeddings{Texts: e.texts, Distinct: len(e.distinct), Largest: e.largest}
}

func (e *Embedder) embed(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Input []string `json:"input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case e.asked <- struct{}{}:
	default:
	}
	type embedding struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	data := make([]embedding, len(request.Input))
	for i, digest := range e.note(request.Input) {
		data[i] = embedding{"embedding", i, vector(digest, e.dim)}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": data}) // the client has left
}

// note adds texts to the account and returns their digests.
func (e *Embedder) note(texts []string) [][32]byte {
	digests := make([][32]byte, len(texts))
	for i, text := range texts {
		digests[i] = sha256.Sum256([]byte(text))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.texts += len(texts)
	e.largest = max(e.largest, len(texts))
	for _, digest := range digests {
		e.distinct[digest] = struct{}{}
	}
	return digests
}

// vector repeats the bytes of a digest as numbers between -1 and 1.
func vector(digest [32]byte, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = float32(int8(digest[i%len(digest)])) / 128
	}
	return v
}
