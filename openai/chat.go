package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"regexp"
	"time"

	openai "github.com/sashabaranov/go-openai"

	voiceassist "github.com/voiceassist/backend"
)

// Name is the chat model's.
func (c *Client) Name() string { return c.opts.ChatModel }

// Stream yields the model's reply in pieces. An error is the last thing it
// yields: *voiceassist.Paced when the service is busy, the context's when it
// ended, any other when the reply could not begin, broke off or was cut short.
func (c *Client) Stream(ctx context.Context, r voiceassist.ChatRequest) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		stream, err := c.begin(ctx, c.request(r))
		if err != nil {
			yield("", fmt.Errorf("begin a chat: %w", err))
			return
		}
		defer stream.Close()
		if err := relay(stream, yield); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			yield("", fmt.Errorf("read a chat: %w", err))
		}
	}
}

// relay yields the text of a stream until its end or until nobody listens.
func relay(stream *openai.ChatCompletionStream, yield func(string, error) bool) error {
	var finished openai.FinishReason
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return ended(finished)
		}
		if err != nil {
			return err
		}
		if len(chunk.Choices) == 0 { // usage, or a keep-alive
			continue
		}
		choice := chunk.Choices[0]
		if choice.FinishReason != "" {
			finished = choice.FinishReason
		}
		if choice.Delta.Content != "" && !yield(choice.Delta.Content, nil) {
			return nil
		}
	}
}

// ended returns what was wrong with the end of a stream. A connection that
// closes early looks like an end, too; only the model's reason tells them
// apart.
func ended(reason openai.FinishReason) error {
	switch reason {
	case "":
		return io.ErrUnexpectedEOF
	case openai.FinishReasonLength, openai.FinishReasonContentFilter:
		return fmt.Errorf("the reply was cut short: %s", reason)
	}
	return nil
}

// Bounds of the attempts to begin a chat.
const (
	maxAttempts = 3
	firstPause  = 200 * time.Millisecond // doubles, give or take a half
	longestWait = time.Second            // for a service that names its time; longer is passed on
)

func (c *Client) begin(ctx context.Context, r openai.ChatCompletionRequest) (*openai.ChatCompletionStream, error) {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		stream, err := c.api.CreateChatCompletionStream(ctx, r)
		if err == nil {
			return stream, nil
		}
		wait := pause/2 + rand.N(pause)
		if paced, ok := errors.AsType[*voiceassist.Paced](err); ok {
			wait = max(wait, paced.After)
		}
		if attempt == maxAttempts || permanent(err) || wait > longestWait || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		pause *= 2
	}
}

// reasoning names the models that take no temperature and count their thoughts
// into the limit of a reply.
var reasoning = regexp.MustCompile(`^(o\d|gpt-5)`)

// reasoningTokens is the room such a model gets for its thoughts.
const reasoningTokens = 8000

func (c *Client) request(r voiceassist.ChatRequest) openai.ChatCompletionRequest {
	request := openai.ChatCompletionRequest{Model: c.opts.ChatModel}
	if reasoning.MatchString(c.opts.ChatModel) {
		request.MaxCompletionTokens = r.MaxTokens + reasoningTokens
	} else {
		request.MaxTokens = r.MaxTokens //nolint:staticcheck // deprecated by OpenAI, the only name that other services know
		request.Temperature = 0.1
		if r.Temperature != nil {
			// A plain 0 would be left out of the request, and be the service's own default.
			request.Temperature = max(float32(*r.Temperature), math.SmallestNonzeroFloat32)
		}
	}
	for _, m := range r.Messages {
		request.Messages = append(request.Messages, openai.ChatCompletionMessage{Role: string(m.Role), Content: m.Content})
	}
	return request
}
