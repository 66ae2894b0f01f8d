package cmd

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/openaitest"
)

// withModels configures an `up` that writes and embeds with the service.
func withModels(t *testing.T, ai *openaitest.Server) Config {
	t.Helper()
	cfg := upConfig(t, dataDir(t))
	cfg.OpenAIBaseURL, cfg.OpenAIKey = ai.URL, "a-test-key"
	cfg.ChatModel, cfg.EmbeddingModel, cfg.EmbeddingDim = "scripted", "hashed", openaitest.Dim
	return cfg
}

// said is an event of an answer in either dialect of the web's sockets.
type said struct {
	Type           string  `json:"type"`
	Content        string  `json:"content"`
	Citations      []cited `json:"citations"`
	Status         string  `json:"status"`
	Code           string  `json:"code"`
	ConversationID string  `json:"conversation_id"`
	Final          bool    `json:"final"`
}

// converse asks on the socket at path with a frame of this type and returns
// the events up to the final one.
func (c *client) converse(ctx context.Context, path, kind, question string) (events []said, err error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.base, "http")+path, &websocket.DialOptions{
		Subprotocols: []string{"bearer", c.access},
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseNow() }()
	if err := wsjson.Write(ctx, conn, map[string]string{"type": kind, "content": question}); err != nil {
		return nil, err
	}
	for {
		var e said
		if err := wsjson.Read(ctx, conn, &e); err != nil {
			return events, err
		}
		events = append(events, e)
		if e.Final {
			return events, nil
		}
	}
}

// streamed joins the text of the chunks.
func streamed(events []said) string {
	var b strings.Builder
	for _, e := range events {
		if e.Type == "chunk" {
			b.WriteString(e.Content)
		}
	}
	return b.String()
}

// stored returns the last message of the conversation of the events.
func (c *client) stored(ctx context.Context, t *testing.T, events []said) (m said) {
	t.Helper()
	var reply struct{ Data struct{ Items []said } }
	id := events[len(events)-1].ConversationID
	if err := c.get(ctx, "/api/conversations/"+id+"/messages", &reply); err != nil || len(reply.Data.Items) == 0 {
		t.Errorf("the messages of %q are %+v, %v", id, reply, err)
		return m
	}
	return reply.Data.Items[len(reply.Data.Items)-1]
}

// index uploads a leaflet and waits until it is searchable.
func (c *client) index(ctx context.Context, t *testing.T, n int) uploaded {
	t.Helper()
	up, err := c.upload(ctx, "remedy.txt", leaflet(n), map[string]string{"title": "Remedies"})
	if err != nil {
		t.Error(err)
		return up
	}
	if err := c.awaitIdle(ctx, func(int) {}); err != nil {
		t.Error(err)
	}
	return up
}

func TestAWrittenAnswerIsStreamedAndProved(t *testing.T) {
	t.Parallel()
	ai := openaitest.New(t, func(openaitest.Chat) openaitest.Reply {
		return openaitest.Say("Remedy number77 relieves ailment number77 within 78 days [1]. It costs nothing [9].")
	})
	inProcess(t, withModels(t, ai), func(ctx context.Context, s *system, c *client) {
		up := c.index(ctx, t, 77)
		checkDense(ctx, t, s, ai, up)
		for path, kind := range map[string]string{"/ws": "message_send", "/api/realtime/ws": "message"} {
			events, err := c.converse(ctx, path, kind, "Which remedy relieves ailment number77?")
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			m := c.stored(ctx, t, events)
			if text := streamed(events); text != m.Content || m.Status != "complete" || events[len(events)-1].Status != "complete" {
				t.Errorf("%s: streamed %q, stored %+v", path, text, m)
			}
			if !strings.Contains(m.Content, "within 78 days [1].") || strings.Contains(m.Content, "[9]") || len(m.Citations) != 1 {
				t.Errorf("%s: the answer is %+v", path, m)
			}
			checkProof(ctx, t, c, answer{Content: m.Content, Citations: m.Citations})
		}
		if last := ai.Chats()[0].Last(); !strings.Contains(last, "Remedy number77 relieves") {
			t.Errorf("the model was asked %q", last)
		}
	})
}

// checkDense fails unless the index finds the document by its vector alone.
func checkDense(ctx context.Context, t *testing.T, s *system, ai *openaitest.Server, up uploaded) {
	t.Helper()
	sent := slices.Concat(ai.Embedded()...)
	if len(sent) == 0 {
		t.Error("nothing was embedded")
		return
	}
	matches, err := s.index.Search(ctx, voiceassist.IndexQuery{Dense: openaitest.Vector(sent[0]), Limit: 1})
	if err != nil || len(matches) != 1 || matches[0].DocumentID.String() != up.ID || matches[0].Score < 0.99 {
		t.Errorf("by its own vector the document is found as %+v, %v", matches, err)
	}
}

func TestAWrittenAnswerThatBreaksOffKeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	ai := openaitest.New(t, func(openaitest.Chat) openaitest.Reply {
		return openaitest.Reply{Pieces: []string{"Remedy number77 ", "relieves it "}, BreakOff: true}
	})
	inProcess(t, withModels(t, ai), func(ctx context.Context, _ *system, c *client) {
		c.index(ctx, t, 77)
		events, err := c.converse(ctx, "/ws", "message_send", "Which remedy relieves ailment number77?")
		if err != nil || len(events) < 3 {
			t.Errorf("the events are %+v, %v", events, err)
			return
		}
		told, end := events[len(events)-2], events[len(events)-1]
		if told.Type != "error" || told.Code != "BACKEND_ERROR" || end.Type != "message_done" || end.Status != "failed" {
			t.Errorf("the answer ends with %+v, %+v", told, end)
		}
		m := c.stored(ctx, t, events)
		if m.Status != "failed" || !strings.HasPrefix(m.Content, "Remedy number77 relieves it") || m.Content != streamed(events) {
			t.Errorf("streamed %q, stored %+v", streamed(events), m)
		}
	})
}

func TestABusyEmbeddingServiceBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	ai := openaitest.New(t, nil)
	ai.RefuseEmbeddings(429, "1")
	inProcess(t, withModels(t, ai), func(ctx context.Context, s *system, c *client) {
		up, err := c.upload(ctx, "remedy.txt", leaflet(77), nil)
		if err != nil {
			t.Error(err)
			return
		}
		job := awaitJob(ctx, t, s, up, func(j voiceassist.Job) bool { return j.GivenBack > 0 })
		if job.State != voiceassist.JobPending {
			t.Errorf("the job that was told to wait is %+v", job)
		}
		ai.RefuseEmbeddings(0, "")
		job = awaitJob(ctx, t, s, up, func(j voiceassist.Job) bool { return j.State.Done() })
		if job.State != voiceassist.JobCompleted || job.Attempts != job.GivenBack+1 {
			t.Errorf("the job is %s after %d attempts, %d of them given back", job.State, job.Attempts, job.GivenBack)
		}
		if hits, err := c.search(ctx, "ailment number77", 5); err != nil || len(hits) != 1 || hits[0].DocumentID != up.ID {
			t.Errorf("search finds %+v, %v", hits, err)
		}
	})
}

// awaitJob looks at the job of an upload until it is as wanted.
func awaitJob(ctx context.Context, t *testing.T, s *system, up uploaded, wanted func(voiceassist.Job) bool) voiceassist.Job {
	t.Helper()
	for {
		job, err := s.ledger.Job(ctx, uuid.MustParse(up.JobID))
		if err != nil {
			t.Error(err)
			return job
		}
		if wanted(job) {
			return job
		}
		sleep(ctx, 50*time.Millisecond)
	}
}
