package rag_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/openaitest"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
	"github.com/voiceassist/backend/qdrant"
	"github.com/voiceassist/backend/rag"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// library is a ledger and an index with documents in them.
type library struct {
	t     *testing.T
	db    *postgres.DB
	sql   *pgx.Conn
	index *qdrant.Index
	dense bool // passages have the vectors of package openaitest
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	db, sql := postgrestest.OpenWithConn(t)
	return &library{t: t, db: db, sql: sql, index: openIndex(t, 0)}
}

// openIndex returns an empty index; dim is the length of its dense vectors, 0
// meaning none.
func openIndex(t *testing.T, dim int) *qdrant.Index {
	t.Helper()
	server, err := qdrantserver.New(qdrantserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = server.Close(ctx)
	})
	index, err := qdrant.Open(server.URL(), qdrant.Options{Dim: dim})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	if err := index.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return index
}

func (l *library) exec(sql string, args ...any) {
	l.t.Helper()
	if _, err := l.sql.Exec(l.t.Context(), sql, args...); err != nil {
		l.t.Fatal(err)
	}
}

// user adds an account.
func (l *library) user() uuid.UUID {
	l.t.Helper()
	id := uuid.New()
	l.exec(`INSERT INTO users (id, email, password_hash) VALUES ($1, $2, '-')`, id, id.String()+"@example.com")
	return id
}

// add indexes a document of pages, one passage for a few paragraphs.
func (l *library) add(title string, pages ...string) uuid.UUID {
	l.t.Helper()
	id := uuid.New()
	sum := sha256.Sum256([]byte(id.String()))
	digest := hex.EncodeToString(sum[:])
	l.exec(`
		INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state, generation, metadata)
		VALUES ($1, $2, 1, 'paper.txt', 'text/plain', $2, $3, 'indexed', 1, '{"year": 2021, "authors": ["A. Author"]}')`,
		id, digest, title)
	l.exec(`INSERT INTO generations (document_id, number, engine, chunker) VALUES ($1, 1, 'test/1', 'test/1')`, id)
	var points []voiceassist.Point
	chunker := pipeline.NewChunker(id, 1)
	for i, page := range pages {
		l.exec(`INSERT INTO pages (sha256, engine, number, text) VALUES ($1, 'test/1', $2, $3)`, digest, i+1, page)
		for _, p := range chunker.Chunk(voiceassist.Page{Number: i + 1, Text: page}) {
			l.exec(`
				INSERT INTO passages (id, document_id, generation, ordinal, page, char_start, char_end, section, text, tokens)
				VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9)`,
				p.ID, id, p.Ordinal, p.Page, p.CharStart, p.CharEnd, p.Section, p.Text, p.Tokens)
			point := voiceassist.Point{ID: p.ID, DocumentID: id, Generation: 1, Text: title + "\n" + p.Text}
			if l.dense {
				point.Dense = openaitest.Vector(p.Text)
			}
			points = append(points, point)
		}
	}
	if err := l.index.Upsert(l.t.Context(), points, true); err != nil {
		l.t.Fatal(err)
	}
	return id
}

// checkQuotes fails the test unless every citation of the answer reads as the
// stored page does, and stands in the text.
func (l *library) checkQuotes(answer voiceassist.Message) {
	l.t.Helper()
	for i, c := range answer.Citations {
		page, err := l.db.PageText(l.t.Context(), c.DocumentID, c.Generation, c.Page)
		if err != nil {
			l.t.Fatal(err)
		}
		if got := string([]rune(page.Text)[c.CharStart:c.CharEnd]); got != c.Quote {
			l.t.Errorf("citation %d quotes %q, the page says %q", c.Index, c.Quote, got)
		}
		if c.Index != i+1 || !strings.Contains(answer.Content, fmt.Sprintf("[%d]", c.Index)) {
			l.t.Errorf("citation %d has index %d, the answer is %q", i+1, c.Index, answer.Content)
		}
	}
}

// ask asks and returns the final message, after checking that the deltas make
// up its content and that it came exactly once.
func ask(t *testing.T, s *rag.Service, user uuid.UUID, question string) voiceassist.Message {
	t.Helper()
	final, err := collect(t, s.Ask(t.Context(), voiceassist.Question{UserID: user, Content: question}))
	if err != nil {
		t.Fatalf("Ask(%q): %v", question, err)
	}
	return final
}

func collect(t *testing.T, events func(func(voiceassist.AnswerEvent, error) bool)) (voiceassist.Message, error) {
	t.Helper()
	var final voiceassist.Message
	var last error
	var text strings.Builder
	seq, ended := 0, false
	for event, err := range events {
		if ended {
			t.Fatal("an event after the final one")
		}
		if err != nil && !event.Final {
			return final, err // the question was not taken
		}
		seq++
		if event.Seq != seq {
			t.Errorf("event %d has seq %d", seq, event.Seq)
		}
		text.WriteString(event.Delta)
		final, last, ended = event.Message, err, event.Final
	}
	if !ended {
		t.Fatal("no final event")
	}
	if seq > 1 && text.String() != final.Content {
		t.Errorf("the deltas say %q, the message %q", text.String(), final.Content)
	}
	return final, last
}
