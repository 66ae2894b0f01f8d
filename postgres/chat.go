package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// titleLength is how much of its first question names a conversation, in code
// points.
const titleLength = 80

// firstQuestionSpace is the UUIDv5 namespace of conversations that begin with
// a question.
var firstQuestionSpace = uuid.MustParse("3c0f3a0e-57d4-5b7c-8a2e-0f1f6a3d9c52")

// BeginAnswer stores a question and an empty answer to it that is streaming.
// A question without a conversation begins one; a conversation without a title
// is named after the question. The same ClientMessageID in the same branch is
// the same question: its exchange is returned as it stands, marked Duplicate,
// and that goes for a first question sent twice, too. A conversation or a file
// of somebody else is NotFound, and so is a branch that the conversation does
// not have.
func (db *DB) BeginAnswer(ctx context.Context, q voiceassist.Question) (x voiceassist.Exchange, err error) {
	if q.BranchID == "" {
		q.BranchID = voiceassist.MainBranch
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if q.ConversationID == uuid.Nil {
			q.ConversationID = firstConversationID(q)
			if err := insertConversation(ctx, tx, q.UserID, q.ConversationID); err != nil {
				return err
			}
		}
		if err := touchConversation(ctx, tx, q.UserID, q.ConversationID, q.Content); err != nil {
			return err
		}
		if err := checkBranch(ctx, tx, q.ConversationID, q.BranchID); err != nil {
			return err
		}
		x, err = exchange(ctx, tx, q)
		return err
	})
	return x, err
}

// firstConversationID returns the id of the conversation that q begins: always
// the same for what a client sends again, else a new one.
func firstConversationID(q voiceassist.Question) uuid.UUID {
	if q.ClientMessageID == "" {
		return uuid.Must(uuid.NewV7())
	}
	key := strings.Join([]string{q.UserID.String(), q.ClientMessageID, q.Content}, "\x00")
	return uuid.NewSHA1(firstQuestionSpace, []byte(key))
}

func insertConversation(ctx context.Context, tx pgx.Tx, userID, id uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO conversations (id, user_id)
		VALUES ($1, $2)
		ON CONFLICT (id) DO NOTHING`, id, userID)
	return err
}

// touchConversation locks the user's conversation, so that what is stored in
// it is stored one after the other, and names it after what the user says in it
// first.
func touchConversation(ctx context.Context, tx pgx.Tx, userID, id uuid.UUID, said string) error {
	title := voiceassist.Preview(strings.Join(strings.Fields(said), " "), titleLength)
	tag, err := tx.Exec(ctx, `
		UPDATE conversations
		SET title = CASE WHEN title = '' THEN $3 ELSE title END, updated_at = now()
		WHERE id = $1 AND user_id = $2`, id, userID, title)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return notFound(err, "conversation")
}

// exchange finds or stores the question, and finds or begins its answer.
func exchange(ctx context.Context, tx pgx.Tx, q voiceassist.Question) (voiceassist.Exchange, error) {
	question, err := findByClientID(ctx, tx, q.ConversationID, q.BranchID, q.ClientMessageID)
	if errors.Is(err, pgx.ErrNoRows) {
		if question, err = insertQuestion(ctx, tx, q); err == nil {
			err = attachQuestion(ctx, tx, q, question.ID)
		}
	}
	if err != nil {
		return voiceassist.Exchange{}, err
	}
	answer, err := findAnswer(ctx, tx, question.ID)
	if err == nil {
		question.Duplicate = true
		return voiceassist.Exchange{Question: question, Answer: answer}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return voiceassist.Exchange{}, err
	}
	answer, err = insertAnswer(ctx, tx, question, question.BranchID)
	return voiceassist.Exchange{Question: question, Answer: answer}, err
}

// findByClientID returns the message of a branch that a client has given this
// name, or pgx.ErrNoRows; "" names nothing.
func findByClientID(ctx context.Context, tx pgx.Tx, conversationID uuid.UUID, branch, clientMessageID string) (voiceassist.Message, error) {
	if clientMessageID == "" {
		return voiceassist.Message{}, pgx.ErrNoRows
	}
	return oneMessage(tx.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		WHERE m.conversation_id = $1 AND m.branch_id = $2 AND m.client_message_id = $3`, conversationID, branch, clientMessageID))
}

func insertQuestion(ctx context.Context, tx pgx.Tx, q voiceassist.Question) (voiceassist.Message, error) {
	parent, err := lastSeen(ctx, tx, q.ConversationID, q.BranchID)
	if err != nil {
		return voiceassist.Message{}, err
	}
	return insertMessage(ctx, tx, voiceassist.Message{
		ConversationID: q.ConversationID, BranchID: q.BranchID, ParentID: parent, ClientMessageID: q.ClientMessageID,
		Role: voiceassist.SpeakerUser, Content: q.Content, Status: voiceassist.MessageComplete,
	})
}

// lastSeen returns the id of the last message that a branch sees, nil if it
// sees none.
func lastSeen(ctx context.Context, tx pgx.Tx, conversationID uuid.UUID, branch string) (id *uuid.UUID, err error) {
	err = tx.QueryRow(ctx, lineage+`
		SELECT m.id
		FROM messages m
		JOIN lineage l ON l.branch_id = m.branch_id AND m.seq <= l.until
		WHERE m.conversation_id = $1
		ORDER BY m.seq DESC
		LIMIT 1`, conversationID, branch).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // documented: nothing was said yet
	}
	return id, err
}

// insertMessage stores a message with an id of its own, and counts it.
func insertMessage(ctx context.Context, tx pgx.Tx, m voiceassist.Message) (voiceassist.Message, error) {
	if m.Metadata == nil {
		m.Metadata = map[string]any{}
	}
	return oneMessage(tx.Query(ctx, `
		WITH counted AS (
			UPDATE conversations
			SET message_count = message_count + 1, updated_at = now()
			WHERE id = $2
		)
		INSERT INTO messages AS m (id, conversation_id, branch_id, parent_id, client_message_id, role, content, status, metadata)
		VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9)
		RETURNING `+messageColumns,
		uuid.Must(uuid.NewV7()), m.ConversationID, m.BranchID, m.ParentID, m.ClientMessageID, m.Role, m.Content, m.Status, m.Metadata))
}

func findAnswer(ctx context.Context, tx pgx.Tx, question uuid.UUID) (voiceassist.Message, error) {
	return oneMessage(tx.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		WHERE m.parent_id = $1 AND m.role = 'assistant'
		ORDER BY m.seq
		LIMIT 1`, question))
}

func insertAnswer(ctx context.Context, tx pgx.Tx, question voiceassist.Message, branch string) (voiceassist.Message, error) {
	return insertMessage(ctx, tx, voiceassist.Message{
		ConversationID: question.ConversationID, BranchID: branch, ParentID: &question.ID,
		Role: voiceassist.SpeakerAssistant, Status: voiceassist.MessageStreaming,
	})
}

// FinishAnswer stores the end of a streaming answer: content, status, model,
// tokens and citations of m. It returns the message as stored, or Conflict
// when the answer had ended already.
func (db *DB) FinishAnswer(ctx context.Context, m voiceassist.Message) (stored voiceassist.Message, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		stored, err = oneMessage(tx.Query(ctx, `
			UPDATE messages AS m
			SET content = $2, status = $3, model = $4, tokens = $5
			WHERE m.id = $1 AND m.status = 'streaming'
			RETURNING `+messageColumns, m.ID, m.Content, m.Status, m.Model, m.Tokens))
		if errors.Is(err, pgx.ErrNoRows) {
			return voiceassist.Errorf(voiceassist.Conflict, "the answer has ended already")
		}
		if err != nil {
			return err
		}
		stored.Citations = m.Citations
		return insertCitations(ctx, tx, m.ID, stored.Citations)
	})
	return stored, err
}

// AbandonedExplanation is what an answer says whose process ended before it.
const AbandonedExplanation = "This answer was interrupted by a restart of the server. Please ask again."

// FailAbandonedAnswers ends the answers that began more than olderThan ago and
// still stream: their process is gone. olderThan must exceed the time that a
// living answer may take. It returns how many there were.
func (db *DB) FailAbandonedAnswers(ctx context.Context, olderThan time.Duration) (int, error) {
	tag, err := db.pool.Exec(ctx, `
		UPDATE messages
		SET status = 'failed', content = $2
		WHERE status = 'streaming' AND created_at < now() - $1::interval`, olderThan, AbandonedExplanation)
	return int(tag.RowsAffected()), classify(err)
}

// Answer returns a message with its citations.
func (db *DB) Answer(ctx context.Context, id uuid.UUID) (voiceassist.Message, error) {
	m, err := oneMessage(db.pool.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		WHERE m.id = $1`, id))
	if err != nil {
		return voiceassist.Message{}, notFound(err, "message")
	}
	messages := []voiceassist.Message{m}
	err = db.attachCitations(ctx, messages)
	return messages[0], err
}

// History returns the last messages that a branch sees before the given one,
// at most limit, oldest first, without citations. Answers that have not ended
// are left out, and what a client stored as the system's: that is for readers
// and instructs nobody.
func (db *DB) History(ctx context.Context, before voiceassist.Message, limit int) ([]voiceassist.Message, error) {
	rows, err := db.pool.Query(ctx, lineage+`
		SELECT `+messageColumns+`
		FROM (
			SELECT m.*
			FROM messages m
			JOIN lineage l ON l.branch_id = m.branch_id AND m.seq <= l.until
			WHERE m.conversation_id = $1 AND m.status <> 'streaming' AND m.role <> 'system'
				AND m.seq < (SELECT seq FROM messages WHERE id = $3)
			ORDER BY m.seq DESC
			LIMIT $4
		) m
		ORDER BY m.seq`, before.ConversationID, before.BranchID, before.ID, limit)
	if err != nil {
		return nil, classify(err)
	}
	messages, err := pgx.CollectRows(rows, scanMessage)
	return messages, classify(err)
}

// HydratePassages returns the passages with these ids and their documents, in
// the order of ids. Left out are those that the ledger does not show: of a
// deleted document, or of another generation than the active one.
func (db *DB) HydratePassages(ctx context.Context, ids []uuid.UUID) ([]voiceassist.Hit, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT p.id, p.document_id, p.generation, p.ordinal, p.page, p.char_start, p.char_end, p.section, p.text, p.tokens,
			`+documentColumns+`
		FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place)
		JOIN passages p ON p.id = wanted.id
		JOIN documents d ON d.id = p.document_id AND d.generation = p.generation AND d.deleted_at IS NULL
		ORDER BY wanted.place`, ids)
	if err != nil {
		return nil, classify(err)
	}
	hits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (voiceassist.Hit, error) {
		var h voiceassist.Hit
		p := &h.Passage
		fields := []any{
			&p.ID, &p.DocumentID, &p.Generation, &p.Ordinal, &p.Page, &p.CharStart, &p.CharEnd, &p.Section, &p.Text, &p.Tokens,
		}
		err := row.Scan(append(fields, documentFields(&h.Document)...)...)
		return h, err
	})
	return hits, classify(err)
}
