package pipeline

import "context"

// EmbedGate paces the requests for embeddings of all workers together.
type EmbedGate interface {
	// Enter asks to send so many texts, of so many tokens by CountTokens, in one
	// request. Possible ends:
	//  1. nil: go ahead, and call Left afterwards
	//  2. a *voiceassist.Paced: not now
	//  3. any other error, worth another attempt
	Enter(ctx context.Context, texts, tokens int) error
	// Left tells how the request ended; nil is well.
	Left(ctx context.Context, err error)
}
