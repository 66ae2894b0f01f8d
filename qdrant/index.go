// Package qdrant keeps passages in Qdrant and searches them there.
//
// A point is a passage: a sparse vector "bm25" of its words, in a dense
// deployment a vector "dense" of its meaning, and a payload that says which
// document and generation it belongs to and whether searches may see it.
// Points are written inactive, activated together (Activate) and looked up by
// Search; the text itself stays in the ledger.
//
// A collection holds the vectors of one tokenisation and one embedding
// profile, and CollectionName says which, so changing either fills a new
// collection instead of mixing vectors that cannot be compared.
//
// Qdrant 1.16 or newer is needed, for the RRF constant. On one machine with
// nothing installed, embedded/qdrantserver answers in its place.
package qdrant

import (
	"context"
	"strings"
	"unicode"

	pb "github.com/qdrant/go-client/qdrant"

	"github.com/voiceassist/backend/bm25"
)

// DefaultCollection is the collection of a deployment without embeddings.
const DefaultCollection = "voiceassist_" + bm25.Profile

// CollectionName returns the collection for vectors of an embedding profile,
// "" meaning none: "voiceassist_bm25-1", "voiceassist_bm25-1_small_1536".
func CollectionName(embeddingProfile string) string {
	name := "voiceassist_" + bm25.Profile
	if embeddingProfile == "" {
		return name
	}
	return name + "_" + strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, embeddingProfile)
}

// Options are what an Index may be told.
type Options struct {
	APIKey     string
	Collection string       // default DefaultCollection
	Dim        int          // length of the dense vectors; 0: lexical only
	Encoder    bm25.Encoder // weights of the sparse vectors
}

// Index is a collection of passages. It is safe for concurrent use.
//
// Every method may end in an Unavailable error, when Qdrant cannot be reached
// or is too busy, or in the error of its context.
type Index struct {
	client *pb.Client
	opts   Options
}

// Open returns the index at a URL like http://host:6334; https uses TLS, the
// port is Qdrant's gRPC port, 6334 if none is given. It connects when first
// used and again whenever the connection is lost.
func Open(url string, opts Options) (*Index, error) {
	if opts.Collection == "" {
		opts.Collection = DefaultCollection
	}
	config, err := clientConfig(url, opts.APIKey)
	if err != nil {
		return nil, err
	}
	client, err := pb.NewClient(config)
	if err != nil {
		return nil, classify(context.Background(), "open", err)
	}
	return &Index{client: client, opts: opts}, nil
}

// Close gives the connection back.
func (x *Index) Close() error { return x.client.Close() }

// Collection is the name of the collection in Qdrant.
func (x *Index) Collection() string { return x.opts.Collection }

// Health asks the server for its version.
func (x *Index) Health(ctx context.Context) (version string, err error) {
	reply, err := x.client.HealthCheck(ctx)
	if err != nil {
		return "", classify(ctx, "health", err)
	}
	return reply.GetVersion(), nil
}
