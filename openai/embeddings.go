package openai

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of one request for embeddings. OpenAI takes 2,048 texts and 300,000
// tokens; smaller batches lose less when one fails.
const (
	maxBatch       = 256
	maxBatchTokens = 100_000 // by voiceassist.CountTokens
)

// Profile names the embedding model and its dimension.
func (c *Client) Profile() string {
	return fmt.Sprintf("%s/%d", c.opts.EmbeddingModel, c.opts.EmbeddingDim)
}

// Dim is the length of every vector.
func (c *Client) Dim() int { return c.opts.EmbeddingDim }

// Embed returns one vector per text, in order, each of Euclidean length 1.
// Possible ends: all vectors; *voiceassist.Paced; *voiceassist.Failure when the
// service refuses a text; Unavailable while it is down, silent or refuses us; any
// other error.
func (c *Client) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, 0, len(texts))
	for len(texts) > 0 {
		n := batch(texts)
		some, err := c.embed(ctx, texts[:n])
		if err != nil {
			return nil, fmt.Errorf("embed %d texts: %w", n, err)
		}
		vectors, texts = append(vectors, some...), texts[n:]
	}
	return vectors, nil
}

// batch returns how many of the texts, at least one, go into the next request.
func batch(texts []string) int {
	tokens := 0
	for i, text := range texts[:min(len(texts), maxBatch)] {
		tokens += voiceassist.CountTokens(text)
		if tokens > maxBatchTokens && i > 0 {
			return i
		}
	}
	return min(len(texts), maxBatch)
}

func (c *Client) embed(ctx context.Context, texts []string) ([][]float32, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	request := openai.EmbeddingRequest{Input: texts, Model: openai.EmbeddingModel(c.opts.EmbeddingModel)}
	if strings.HasPrefix(c.opts.EmbeddingModel, "text-embedding-3") { // others know one dimension and refuse to be told
		request.Dimensions = c.opts.EmbeddingDim
	}
	reply, err := c.api.CreateEmbeddings(ctx, request)
	if err != nil {
		return nil, embedError(err)
	}
	if len(reply.Data) != len(texts) {
		return nil, fmt.Errorf("the service returned %d vectors for %d texts", len(reply.Data), len(texts))
	}
	vectors := make([][]float32, len(texts))
	for _, e := range reply.Data {
		if e.Index < 0 || e.Index >= len(texts) || vectors[e.Index] != nil {
			return nil, fmt.Errorf("the service returned a vector for text %d twice or out of range", e.Index)
		}
		if len(e.Embedding) != c.opts.EmbeddingDim {
			return nil, fmt.Errorf("the service returned a vector of %d numbers, want %d", len(e.Embedding), c.opts.EmbeddingDim)
		}
		if vectors[e.Index] = normalized(e.Embedding); vectors[e.Index] == nil {
			return nil, fmt.Errorf("the service returned a vector without direction for text %d", e.Index)
		}
	}
	return vectors, nil
}

// embedError gives a failure its meaning: about the texts, for good; about the
// way the service is set up, until somebody changes that; or about the service,
// while it is down. A plain 500 may be the text's doing and stays as it is.
func embedError(err error) error {
	_, unreached := errors.AsType[*url.Error](err)
	if unreached && !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the embedding service does not answer", Err: err}
	}
	refused, ok := errors.AsType[*statusError](err)
	if !ok {
		return err
	}
	if _, paced := errors.AsType[*voiceassist.Paced](err); paced {
		return err
	}
	switch refused.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return voiceassist.Fail(voiceassist.ReasonEmbedding, "the embedding service refused the text: %w", err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return voiceassist.Errorf(voiceassist.Unavailable, "the embedding service refused the API key: %w", err)
	case http.StatusNotFound:
		return voiceassist.Errorf(voiceassist.Unavailable, "the embedding service does not know the model: %w", err)
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the embedding service is down", Err: err}
	}
	return err
}

// normalized returns v at length 1, nil when it has no direction.
func normalized(v []float32) []float32 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	length := math.Sqrt(sum)
	if length == 0 || math.IsNaN(length) || math.IsInf(length, 0) {
		return nil
	}
	unit := make([]float32, len(v))
	for i, x := range v {
		unit[i] = float32(float64(x) / length)
	}
	return unit
}
