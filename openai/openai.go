// Package openai talks to language and embedding models over OpenAI's HTTP
// API, which many other services speak as well.
//
// Every failure is one of three: *voiceassist.Paced when the service asks to
// come back later, *voiceassist.Failure when it refuses a text for good, and
// anything else, which may pass. Only the start of a chat is tried again here,
// because somebody waits for it; embeddings are retried by the job that needs
// them.
package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	openai "github.com/sashabaranov/go-openai"

	voiceassist "github.com/voiceassist/backend"
)

// Options say which service and which of its models.
type Options struct {
	BaseURL        string // default OpenAI's, https://api.openai.com/v1
	APIKey         string // may be empty for services on one's own machines
	ChatModel      string // "": Stream is not used
	EmbeddingModel string // "": Embed is not used
	EmbeddingDim   int    // of the embedding model's vectors
	// Timeout is how long a batch of embeddings, or the first word of a chat,
	// may take; 0 is 60 s.
	Timeout time.Duration
}

// Client is a service with its models. It is safe for concurrent use.
type Client struct {
	api       *openai.Client
	transport *http.Transport
	opts      Options
}

var _ voiceassist.Embedder = (*Client)(nil)

// Open returns a Client. It makes no request.
func Open(o Options) (*Client, error) {
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	config := openai.DefaultConfig(o.APIKey)
	config.BaseURL = cmp.Or(o.BaseURL, config.BaseURL)
	if u, err := url.Parse(config.BaseURL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("the base URL of the language model %q is not a URL", config.BaseURL)
	}
	if o.EmbeddingModel != "" && o.EmbeddingDim <= 0 {
		return nil, errors.New("an embedding model needs its dimension")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = o.Timeout
	transport.MaxIdleConnsPerHost = 16
	config.HTTPClient = doer{&http.Client{Transport: transport}}
	return &Client{api: openai.NewClientWithConfig(config), transport: transport, opts: o}, nil
}

// Check asks the service for the models it has, which costs nothing, and is
// Unavailable when it does not tell.
func (c *Client) Check(ctx context.Context) error {
	if _, err := c.api.ListModels(ctx); err != nil {
		message := "the model service does not answer"
		if e, ok := errors.AsType[*statusError](err); ok {
			message = fmt.Sprintf("the model service answers with %d %s", e.status, http.StatusText(e.status))
		}
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: message, Err: err}
	}
	return nil
}

// Close drops idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
