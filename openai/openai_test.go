package openai_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/openai"
	"github.com/voiceassist/backend/openaitest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func open(t *testing.T, s *openaitest.Server) *openai.Client {
	t.Helper()
	c, err := openai.Open(openai.Options{
		BaseURL: s.URL, APIKey: "secret", ChatModel: "test-chat",
		EmbeddingModel: "test-embedding", EmbeddingDim: openaitest.Dim, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var hello = voiceassist.ChatRequest{
	Messages:  []voiceassist.ChatMessage{{Role: voiceassist.SpeakerUser, Content: "Hello?"}},
	MaxTokens: 10,
}

// read collects a stream: its text, and the error that ended it.
func read(ctx context.Context, c *openai.Client) (string, error) {
	var text strings.Builder
	for piece, err := range c.Stream(ctx, hello) {
		if err != nil {
			return text.String(), err
		}
		text.WriteString(piece)
	}
	return text.String(), nil
}

func TestStreamYieldsTheReply(t *testing.T) {
	t.Parallel()
	s := openaitest.New(t, func(openaitest.Chat) openaitest.Reply { return openaitest.Say("Good morning to you.") })
	text, err := read(t.Context(), open(t, s))
	if text != "Good morning to you." || err != nil {
		t.Errorf("Stream = %q, %v", text, err)
	}
	if chat := s.Chats()[0]; chat.Model != "test-chat" || chat.Last() != "Hello?" {
		t.Errorf("the service was asked %+v", chat)
	}
}

func TestStreamTellsABrokenReplyFromAnEnd(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]openaitest.Reply{
		"broken off": {Pieces: []string{"Good ", "morning"}, BreakOff: true},
		"cut short":  {Pieces: []string{"Good ", "morning"}, Finish: "length"},
		"censored":   {Pieces: []string{"Good ", "morning"}, Finish: "content_filter"},
	} {
		s := openaitest.New(t, func(openaitest.Chat) openaitest.Reply { return reply })
		text, err := read(t.Context(), open(t, s))
		if text != "Good morning" || err == nil {
			t.Errorf("%s: Stream = %q, %v; want the text and an error", name, text, err)
		}
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openaitest.New(t, func(openaitest.Chat) openaitest.Reply {
		return openaitest.Reply{Pieces: []string{"Well"}, Stall: true}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range open(t, s).Stream(ctx, hello) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the stream ended with %v, want context.Canceled", last)
	}
}

func TestStreamTriesAgainWhenTheServiceStumbles(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := openaitest.New(t, func(openaitest.Chat) openaitest.Reply {
		if calls.Add(1) < 3 {
			return openaitest.Reply{Refuse: http.StatusBadGateway}
		}
		return openaitest.Say("There.")
	})
	if text, err := read(t.Context(), open(t, s)); text != "There." || err != nil {
		t.Errorf("Stream = %q, %v", text, err)
	}
}

func TestStreamPassesOnThatTheServiceIsBusy(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]time.Duration{
		http.StatusTooManyRequests:    7 * time.Second,
		http.StatusServiceUnavailable: 7 * time.Second,
	} {
		s := openaitest.New(t, func(openaitest.Chat) openaitest.Reply {
			return openaitest.Reply{Refuse: status, RetryAfter: "7"}
		})
		_, err := read(t.Context(), open(t, s))
		paced, ok := errors.AsType[*voiceassist.Paced](err)
		if !ok || paced.After != want {
			t.Errorf("%d: Stream ended with %v, want paced for %s", status, err, want)
		}
		if n := len(s.Chats()); n != 1 {
			t.Errorf("%d: a busy service was asked %d times", status, n)
		}
	}
}

func TestStreamDoesNotRepeatWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := openaitest.New(t, func(openaitest.Chat) openaitest.Reply {
		return openaitest.Reply{Refuse: http.StatusUnauthorized}
	})
	if _, err := read(t.Context(), open(t, s)); err == nil || len(s.Chats()) != 1 {
		t.Errorf("Stream ended with %v after %d requests, want an error after one", err, len(s.Chats()))
	}
}

func TestEmbedKeepsOrderAndLength(t *testing.T) {
	t.Parallel()
	s := openaitest.New(t, nil)
	var texts []string
	for i := range 600 {
		texts = append(texts, fmt.Sprintf("passage number %d about aspirin", i))
	}
	vectors, err := open(t, s).Embed(t.Context(), texts)
	if err != nil || len(vectors) != len(texts) {
		t.Fatalf("Embed = %d vectors, %v", len(vectors), err)
	}
	for i, v := range vectors {
		want := openaitest.Vector(texts[i])
		dot := 0.0
		for k := range v {
			dot += float64(v[k]) * float64(want[k])
		}
		if math.Abs(dot-1) > 1e-5 {
			t.Fatalf("vector %d is not that of text %d", i, i)
		}
	}
	for _, batch := range s.Embedded() {
		if len(batch) > 256 {
			t.Errorf("a request had %d texts", len(batch))
		}
	}
}

func TestEmbedTypesItsFailures(t *testing.T) {
	t.Parallel()
	s := openaitest.New(t, nil)
	c := open(t, s)

	s.RefuseEmbeddings(http.StatusTooManyRequests, "3")
	_, err := c.Embed(t.Context(), []string{"a"})
	if paced, ok := errors.AsType[*voiceassist.Paced](err); !ok || paced.After != 3*time.Second {
		t.Errorf("429: %v, want paced for 3s", err)
	}
	s.RefuseEmbeddings(http.StatusBadRequest, "")
	_, err = c.Embed(t.Context(), []string{"a"})
	if failure, ok := errors.AsType[*voiceassist.Failure](err); !ok || failure.Reason != voiceassist.ReasonEmbedding {
		t.Errorf("400: %v, want a failure of the text", err)
	}
	s.RefuseEmbeddings(http.StatusUnauthorized, "")
	_, err = c.Embed(t.Context(), []string{"a"})
	if !errors.Is(err, voiceassist.Unavailable) || !strings.Contains(err.Error(), "API key") {
		t.Errorf("401: %v, want unavailable, naming the key", err)
	}
	for _, status := range []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		s.RefuseEmbeddings(status, "")
		_, err = c.Embed(t.Context(), []string{"a"})
		if !errors.Is(err, voiceassist.Unavailable) {
			t.Errorf("%d: %v, want unavailable", status, err)
		}
	}
	s.RefuseEmbeddings(http.StatusInternalServerError, "")
	_, err = c.Embed(t.Context(), []string{"a"})
	if voiceassist.CodeOf(err) == voiceassist.Unavailable {
		t.Errorf("500: %v, want an attempt that counts", err)
	}
	if _, failed := errors.AsType[*voiceassist.Failure](err); err == nil || failed {
		t.Errorf("500: %v, want an error worth a retry", err)
	}
}

func TestAnEmbeddingServiceThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server hears of a client that leaves once it has read everything
		<-r.Context().Done()
	}))
	defer silent.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, url := range map[string]string{"silent": silent.URL, "gone": gone.URL} {
		c, err := openai.Open(openai.Options{BaseURL: url, EmbeddingModel: "m", EmbeddingDim: 3, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Embed(t.Context(), []string{"a"})
		if e, ok := errors.AsType[*voiceassist.Error](err); !ok || e.Code != voiceassist.Unavailable || strings.Contains(e.Message, url) {
			t.Errorf("%s: %v, want unavailable, without the address", name, err)
		}
		c.Close()
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, o := range []openai.Options{{BaseURL: "not a url"}, {EmbeddingModel: "m"}} {
		if _, err := openai.Open(o); err == nil {
			t.Errorf("Open(%+v) succeeded", o)
		}
	}
}

func TestCheckAsksForTheModels(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/models" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"data":[{"id":"a"}]}`))
	}))
	defer server.Close()
	c, err := openai.Open(openai.Options{BaseURL: server.URL, ChatModel: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
	status = http.StatusUnauthorized
	if err := c.Check(t.Context()); voiceassist.CodeOf(err) != voiceassist.Unavailable || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("refused: Check = %v", err)
	}
	server.Close()
	if err := c.Check(t.Context()); voiceassist.CodeOf(err) != voiceassist.Unavailable {
		t.Errorf("nobody there: Check = %v", err)
	}
}
