// Package openaitest is a model service for tests only: it speaks the part of
// OpenAI's HTTP API that package openai uses, says what a test tells it to say
// and remembers what it was asked.
//
// Its embeddings are made of hashed words, so texts that share words lie close
// to one another, always at the same place.
package openaitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Dim is the length of the vectors.
const Dim = 64

// Message is one turn of a chat.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Chat is a request to continue a chat.
type Chat struct {
	Model       string    `json:"model"`
	Messages    []Message `json:"messages"`
	MaxTokens   int       `json:"max_tokens"`
	Temperature float64   `json:"temperature"`
}

// Last returns the content of the last message, the question.
func (c Chat) Last() string {
	if len(c.Messages) == 0 {
		return ""
	}
	return c.Messages[len(c.Messages)-1].Content
}

// Reply is what the service does with one request.
type Reply struct {
	Pieces []string      // streamed one after the other
	Every  time.Duration // pause before each piece

	// After the pieces, at most one of:
	Stall    bool   // say nothing more until the client leaves
	BreakOff bool   // drop the connection
	Finish   string // the reason given for the end; "" is "stop"

	// Refuse, if not 0, is the status of a reply without pieces.
	Refuse     int
	RetryAfter string // the header with it
}

// Say is a reply of one text, streamed word by word.
func Say(text string) Reply {
	return Reply{Pieces: strings.SplitAfter(text, " ")}
}

// Server is the service. Its URL is what package openai takes as BaseURL.
type Server struct {
	URL string

	mu         sync.Mutex
	answer     func(Chat) Reply
	chats      []Chat
	embedded   [][]string
	refuse     int // status of the next embeddings
	retryAfter string
	stop       chan struct{}
}

// New starts a service that answers each chat as answer says, nil saying that
// there will be none. It ends with the test.
func New(t testing.TB, answer func(Chat) Reply) *Server {
	t.Helper()
	s := &Server{answer: answer, stop: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("POST /v1/embeddings", s.embeddings)
	server := httptest.NewServer(mux)
	s.URL = server.URL + "/v1"
	t.Cleanup(func() {
		close(s.stop)
		server.Close()
	})
	return s
}

// Chats returns the chats asked for so far.
func (s *Server) Chats() []Chat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.chats)
}

// Embedded returns the texts of each request for embeddings so far.
func (s *Server) Embedded() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.embedded)
}

// RefuseEmbeddings makes requests for embeddings end with the status, 0 ending
// that.
func (s *Server) RefuseEmbeddings(status int, retryAfter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.retryAfter = status, retryAfter
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	var chat Chat
	if err := json.NewDecoder(r.Body).Decode(&chat); err != nil {
		refuse(w, http.StatusBadRequest, "")
		return
	}
	s.mu.Lock()
	s.chats = append(s.chats, chat)
	s.mu.Unlock()
	reply := s.answer(chat)
	if reply.Refuse != 0 {
		refuse(w, reply.Refuse, reply.RetryAfter)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	s.stream(w, r, reply)
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, reply Reply) {
	for _, piece := range reply.Pieces {
		select {
		case <-time.After(reply.Every):
		case <-r.Context().Done():
			return
		}
		send(w, map[string]any{"delta": map[string]any{"content": piece}})
	}
	switch {
	case reply.Stall:
		send(w, map[string]any{"delta": map[string]any{}})
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		return
	case reply.BreakOff:
		panic(http.ErrAbortHandler)
	}
	reason := reply.Finish
	if reason == "" {
		reason = "stop"
	}
	send(w, map[string]any{"delta": map[string]any{}, "finish_reason": reason})
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func send(w http.ResponseWriter, choice map[string]any) {
	body, err := json.Marshal(map[string]any{"object": "chat.completion.chunk", "choices": []any{choice}})
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, "data: %s\n\n", body)
	w.(http.Flusher).Flush()
}

func refuse(w http.ResponseWriter, status int, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":%q,"type":"test"}}`, http.StatusText(status))
}
