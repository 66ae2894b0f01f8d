package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// chatLedger is a ledger with a user, and a connection for what the ledger has
// no method for.
func chatLedger(t *testing.T) (db *postgres.DB, exec func(sql string, args ...any), user uuid.UUID) {
	t.Helper()
	db, conn := postgrestest.OpenWithConn(t)
	exec = func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	user = uuid.New()
	exec(`INSERT INTO users (id, email, password_hash) VALUES ($1, $2, '-')`, user, user.String()+"@example.com")
	return db, exec, user
}

func begin(t *testing.T, db *postgres.DB, q voiceassist.Question) voiceassist.Exchange {
	t.Helper()
	x, err := db.BeginAnswer(t.Context(), q)
	if err != nil {
		t.Fatalf("BeginAnswer: %v", err)
	}
	return x
}

func finish(t *testing.T, db *postgres.DB, x voiceassist.Exchange, content string, citations ...voiceassist.Citation) voiceassist.Message {
	t.Helper()
	m := x.Answer
	m.Content, m.Status, m.Model, m.Tokens, m.Citations = content, voiceassist.MessageComplete, "m", 3, citations
	stored, err := db.FinishAnswer(t.Context(), m)
	if err != nil {
		t.Fatalf("FinishAnswer: %v", err)
	}
	return stored
}

var someCitation = voiceassist.Citation{
	Index: 1, DocumentID: uuid.New(), PassageID: uuid.New(), Generation: 1, Page: 2, CharStart: 3, CharEnd: 8, Quote: "naïve",
	Authors: []string{"A", "B"}, Title: "T", Year: 2020, Score: 0.5,
}

func TestExchangeIsStoredAndReadBack(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	x := begin(t, db, voiceassist.Question{UserID: user, Content: "  Why\nso " + strings.Repeat("long? ", 30), ClientMessageID: "c"})
	stored := finish(t, db, x, "Because [1].", someCitation)
	if x.Question.Duplicate || x.Answer.Status != voiceassist.MessageStreaming || *x.Answer.ParentID != x.Question.ID {
		t.Errorf("the exchange is %+v", x)
	}
	page, total, err := db.Messages(t.Context(), user, x.Question.ConversationID, voiceassist.MainBranch, 0, 10)
	if err != nil || total != 2 {
		t.Fatalf("Messages = %d, %v", total, err)
	}
	if diff := cmp.Diff([]voiceassist.Message{x.Question, stored}, page, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what was stored and what is read: %s", diff)
	}
	list, total, err := db.Conversations(t.Context(), user, voiceassist.ConversationFilter{Limit: 10})
	if err != nil || total != 1 || list[0].MessageCount != 2 || list[0].LastMessagePreview != "Because [1]." ||
		!strings.HasPrefix(list[0].Title, "Why so long?") || len([]rune(list[0].Title)) != 81 {
		t.Errorf("Conversations = %+v, %d, %v", list, total, err)
	}
	c, passage, err := db.Citation(t.Context(), user, stored.Citations[0].ID)
	if err != nil || passage != nil || c.Quote != "naïve" {
		t.Errorf("Citation = %+v, %v, %v", c, passage, err)
	}
}

func TestLastPageOfMessagesIsReadFromTheEnd(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	q := voiceassist.Question{UserID: user, Content: "1"}
	for _, content := range []string{"1", "2", "3"} {
		q.Content = content
		x := begin(t, db, q)
		q.ConversationID = x.Question.ConversationID
		finish(t, db, x, "re "+content)
	}
	page, total, err := db.Messages(t.Context(), user, q.ConversationID, voiceassist.MainBranch, -3, 3)
	if err != nil || total != 6 || len(page) != 3 || page[0].Content != "re 2" || page[2].Content != "re 3" {
		t.Errorf("the last three of %d are %+v, %v", total, page, err)
	}
	history, err := db.History(t.Context(), page[1], 2)
	if err != nil || len(history) != 2 || history[0].Content != "2" || history[1].Content != "re 2" {
		t.Errorf("History = %+v, %v", history, err)
	}
}

func TestSameClientMessageIsStoredOnce(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	q := voiceassist.Question{UserID: user, Content: "Why?", ClientMessageID: "c"}
	var wg sync.WaitGroup
	exchanges := make([]voiceassist.Exchange, 8)
	for i := range exchanges {
		wg.Go(func() {
			x, err := db.BeginAnswer(t.Context(), q)
			if err != nil {
				t.Error(err)
			}
			exchanges[i] = x
		})
	}
	wg.Wait()
	fresh := 0
	for _, x := range exchanges {
		if x.Question.ID != exchanges[0].Question.ID || x.Answer.ID != exchanges[0].Answer.ID {
			t.Errorf("two exchanges: %+v and %+v", x, exchanges[0])
		}
		if !x.Question.Duplicate {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of them are new, want 1", fresh)
	}
	q.ConversationID, q.Content = exchanges[0].Question.ConversationID, "Something else?"
	if x := begin(t, db, q); !x.Question.Duplicate || x.Question.Content != "Why?" {
		t.Errorf("the second question is %+v", x.Question)
	}
}

func TestAnswerEndsOnce(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	x := begin(t, db, voiceassist.Question{UserID: user, Content: "Why?"})
	finish(t, db, x, "Because.")
	m := x.Answer
	m.Content, m.Status = "Or not.", voiceassist.MessageFailed
	if _, err := db.FinishAnswer(t.Context(), m); !errors.Is(err, voiceassist.Conflict) {
		t.Errorf("the second end is %v, want a conflict", err)
	}
	if stored, err := db.Answer(t.Context(), m.ID); err != nil || stored.Content != "Because." {
		t.Errorf("stored is %+v, %v", stored, err)
	}
}

func TestConversationsBelongToTheirUser(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	x := begin(t, db, voiceassist.Question{UserID: user, Content: "Why?"})
	stored := finish(t, db, x, "Because [1].", someCitation)
	id, stranger := x.Question.ConversationID, uuid.New()
	exec(`INSERT INTO users (id, email, password_hash) VALUES ($1, 'stranger@example.com', '-')`, stranger)
	title := "Mine now"
	for name, f := range map[string]func() error{
		"Conversation": func() error { _, err := db.Conversation(t.Context(), stranger, id); return err },
		"Messages":     func() error { _, _, err := db.Messages(t.Context(), stranger, id, "main", 0, 1); return err },
		"UserMessage":  func() error { _, err := db.UserMessage(t.Context(), stranger, stored.ID); return err },
		"Citation":     func() error { _, _, err := db.Citation(t.Context(), stranger, stored.Citations[0].ID); return err },
		"UpdateConversation": func() error {
			_, err := db.UpdateConversation(t.Context(), stranger, id, voiceassist.ConversationChange{Title: &title})
			return err
		},
		"DeleteConversation": func() error { return db.DeleteConversation(t.Context(), stranger, id) },
		"BeginAnswer": func() error {
			_, err := db.BeginAnswer(t.Context(), voiceassist.Question{UserID: stranger, ConversationID: id, Content: "Hm?"})
			return err
		},
	} {
		if err := f(); !errors.Is(err, voiceassist.NotFound) {
			t.Errorf("%s by a stranger ends with %v", name, err)
		}
	}
}

func TestConversationIsChangedAndDeleted(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	c, err := db.CreateConversation(t.Context(), user, "A title", nil)
	if err != nil {
		t.Fatal(err)
	}
	x := begin(t, db, voiceassist.Question{UserID: user, ConversationID: c.ID, Content: "Why?"})
	archived := true
	changed, err := db.UpdateConversation(t.Context(), user, c.ID, voiceassist.ConversationChange{Archived: &archived})
	if err != nil || changed.Title != "A title" || !changed.Archived || changed.MessageCount != 2 {
		t.Errorf("UpdateConversation = %+v, %v", changed, err)
	}
	for want, f := range map[int]voiceassist.ConversationFilter{
		1: {Limit: 10, Archived: &archived, Search: "A TIT"}, 0: {Limit: 10, Archived: new(bool)},
	} {
		if _, total, err := db.Conversations(t.Context(), user, f); err != nil || total != want {
			t.Errorf("Conversations(%+v) has %d, %v; want %d", f, total, err, want)
		}
	}
	if err := db.DeleteConversation(t.Context(), user, c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Answer(t.Context(), x.Answer.ID); !errors.Is(err, voiceassist.NotFound) {
		t.Errorf("the deleted conversation's answer is %v", err)
	}
}

func TestEndedSessionsAreTold(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	living, revoked, expired, unknown := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	for id, until := range map[uuid.UUID]time.Duration{living: time.Hour, revoked: time.Hour, expired: -time.Hour} {
		exec(`INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + $3::interval)`, id, user, until)
	}
	exec(`UPDATE sessions SET revoked_at = now(), revoke_reason = 'test' WHERE id = $1`, revoked)
	all := []uuid.UUID{living, revoked, expired, unknown}
	ended, err := db.EndedSessions(t.Context(), all)
	if diff := cmp.Diff(all[1:], ended); diff != "" || err != nil {
		t.Errorf("EndedSessions: %v %s", err, diff)
	}
	exec(`UPDATE users SET is_active = false`)
	if ended, err := db.EndedSessions(t.Context(), all); len(ended) != 4 || err != nil {
		t.Errorf("of an inactive user %d of 4 ended, %v", len(ended), err)
	}
}
