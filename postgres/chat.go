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
// of somebody else is NotFound.
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
		if err := touchConversation(ctx, tx, q); err != nil {
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

// touchConversation locks the conversation, so that questions in it are stored
// one after the other.
func touchConversation(ctx context.Context, tx pgx.Tx, q voiceassist.Question) error {
	title := voiceassist.Preview(strings.Join(strings.Fields(q.Content), " "), titleLength)
	tag, err := tx.Exec(ctx, `
		UPDATE conversations
		SET title = CASE WHEN title = '' THEN $3 ELSE title END, updated_at = now()
		WHERE id = $1 AND user_id = $2`, q.ConversationID, q.UserID, title)
	if err == nil && tag.RowsAffected() == 0 {
		return voiceassist.Errorf(voiceassist.NotFound, "conversation not found")
	}
	return err
}

// exchange finds or stores the question, and finds or begins its answer.
func exchange(ctx context.Context, tx pgx.Tx, q voiceassist.Question) (voiceassist.Exchange, error) {
	question, err := findQuestion(ctx, tx, q)
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
	answer, err = insertAnswer(ctx, tx, question)
	return voiceassist.Exchange{Question: question, Answer: answer}, err
}

func findQuestion(ctx context.Context, tx pgx.Tx, q voiceassist.Question) (voiceassist.Message, error) {
	if q.ClientMessageID == "" {
		return voiceassist.Message{}, pgx.ErrNoRows
	}
	return oneMessage(tx.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		WHERE m.conversation_id = $1 AND m.branch_id = $2 AND m.client_message_id = $3`,
		q.ConversationID, q.BranchID, q.ClientMessageID))
}

func insertQuestion(ctx context.Context, tx pgx.Tx, q voiceassist.Question) (voiceassist.Message, error) {
	return oneMessage(tx.Query(ctx, `
		INSERT INTO messages AS m (id, conversation_id, branch_id, parent_id, client_message_id, role, content, status)
		SELECT $1, $2, $3, (
			SELECT last.id
			FROM messages last
			WHERE last.conversation_id = $2 AND last.branch_id = $3
			ORDER BY last.seq DESC
			LIMIT 1
		), nullif($4, ''), 'user', $5, 'complete'
		RETURNING `+messageColumns,
		uuid.Must(uuid.NewV7()), q.ConversationID, q.BranchID, q.ClientMessageID, q.Content))
}

func findAnswer(ctx context.Context, tx pgx.Tx, question uuid.UUID) (voiceassist.Message, error) {
	return oneMessage(tx.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		WHERE m.parent_id = $1 AND m.role = 'assistant'
		ORDER BY m.seq
		LIMIT 1`, question))
}

func insertAnswer(ctx context.Context, tx pgx.Tx, question voiceassist.Message) (voiceassist.Message, error) {
	return oneMessage(tx.Query(ctx, `
		INSERT INTO messages AS m (id, conversation_id, branch_id, parent_id, role, content, status)
		VALUES ($1, $2, $3, $4, 'assistant', '', 'streaming')
		RETURNING `+messageColumns,
		uuid.Must(uuid.NewV7()), question.ConversationID, question.BranchID, question.ID))
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

// History returns the last messages of a branch before the given one, at most
// limit, oldest first, without citations. Answers that have not ended are left
// out.
func (db *DB) History(ctx context.Context, before voiceassist.Message, limit int) ([]voiceassist.Message, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+messageColumns+`
		FROM (
			SELECT *
			FROM messages
			WHERE conversation_id = $1 AND branch_id = $2 AND status <> 'streaming'
				AND seq < (SELECT seq FROM messages WHERE id = $3)
			ORDER BY seq DESC
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
