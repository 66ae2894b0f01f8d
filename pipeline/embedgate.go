package pipeline

import "context"

// EmbedGate is asked before every request for embeddings, and told how it went.
type EmbedGate interface {
	Enter(ctx context.Context, texts, tokens int) error
	Left(ctx context.Context, err error)
}
