package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// AddMessage stores a message as its client wrote it. The same ClientMessageID
// in the same branch is the same message: it is returned as it stands, marked
// Duplicate. NotFound are a conversation of somebody else, a branch that it
// does not have, and a parent that the branch does not see; without a parent it
// follows the branch's last message.
func (db *DB) AddMessage(ctx context.Context, n voiceassist.NewMessage) (m voiceassist.Message, err error) {
	if n.BranchID == "" {
		n.BranchID = voiceassist.MainBranch
	}
	said := ""
	if n.Role == voiceassist.SpeakerUser {
		said = n.Content
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := touchConversation(ctx, tx, n.UserID, n.ConversationID, said); err != nil {
			return err
		}
		if err := checkBranch(ctx, tx, n.ConversationID, n.BranchID); err != nil {
			return err
		}
		m, err = findByClientID(ctx, tx, n.ConversationID, n.BranchID, n.ClientMessageID)
		m.Duplicate = err == nil
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		parent, err := parentOf(ctx, tx, n)
		if err != nil {
			return err
		}
		m, err = insertMessage(ctx, tx, voiceassist.Message{
			ConversationID: n.ConversationID, BranchID: n.BranchID, ParentID: parent, ClientMessageID: n.ClientMessageID,
			Role: n.Role, Content: n.Content, Status: voiceassist.MessageComplete, Metadata: n.Metadata,
		})
		return err
	})
	if err != nil || !m.Duplicate {
		return m, err
	}
	messages := []voiceassist.Message{m}
	err = db.attachCitations(ctx, messages)
	return messages[0], err
}

// parentOf returns what a new message follows.
func parentOf(ctx context.Context, tx pgx.Tx, n voiceassist.NewMessage) (*uuid.UUID, error) {
	if n.ParentID == nil {
		return lastSeen(ctx, tx, n.ConversationID, n.BranchID)
	}
	var seen uuid.UUID
	err := tx.QueryRow(ctx, lineage+`
		SELECT m.id
		FROM messages m
		JOIN lineage l ON l.branch_id = m.branch_id AND m.seq <= l.until
		WHERE m.conversation_id = $1 AND m.id = $3`, n.ConversationID, n.BranchID, *n.ParentID).Scan(&seen)
	return &seen, notFound(err, "parent message")
}

// UpdateMessage replaces what the user said. It is Conflict for other
// speakers' messages: the citations of an answer prove what it says.
func (db *DB) UpdateMessage(ctx context.Context, userID, conversationID, id uuid.UUID, content string) (m voiceassist.Message, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockConversation(ctx, tx, userID, conversationID); err != nil {
			return err
		}
		if m, err = messageIn(ctx, tx, conversationID, id); err != nil {
			return err
		}
		if m.Role != voiceassist.SpeakerUser {
			return voiceassist.Errorf(voiceassist.Conflict, "Only messages of the user can be changed")
		}
		m, err = oneMessage(tx.Query(ctx, `
			UPDATE messages AS m
			SET content = $2
			WHERE m.id = $1
			RETURNING `+messageColumns, id, content))
		return err
	})
	return m, err
}

// DeleteMessage removes a message. What followed it follows the message before
// it, and branches that were forked after it keep what they see but for it. It
// is Conflict while the message, or an answer to it, is being written.
func (db *DB) DeleteMessage(ctx context.Context, userID, conversationID, id uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockConversation(ctx, tx, userID, conversationID); err != nil {
			return err
		}
		m, err := messageIn(ctx, tx, conversationID, id)
		if err != nil {
			return err
		}
		var writing bool
		if err := tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT 1 FROM messages WHERE (id = $1 OR parent_id = $1) AND status = 'streaming')`, id).Scan(&writing); err != nil {
			return err
		}
		if writing {
			return voiceassist.Errorf(voiceassist.Conflict, "The answer is being written, cancel it first")
		}
		var batch pgx.Batch
		batch.Queue(`UPDATE messages SET parent_id = $2 WHERE parent_id = $1`, id, m.ParentID)
		batch.Queue(`UPDATE branches SET parent_message_id = $2 WHERE parent_message_id = $1`, id, m.ParentID)
		batch.Queue(`DELETE FROM messages WHERE id = $1`, id)
		batch.Queue(`UPDATE conversations SET message_count = message_count - 1, updated_at = now() WHERE id = $1`, conversationID)
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// BeginRegeneration begins another answer to a question of the user's
// conversation: in a new branch after the question, or beside the answer that
// there is. It is NotFound when the message is not there, and Conflict when it
// is neither a question nor an answer to one, or is still being written.
func (db *DB) BeginRegeneration(ctx context.Context, r voiceassist.Regeneration) (x voiceassist.Exchange, err error) {
	x.Style = r.Style
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockConversation(ctx, tx, r.UserID, r.ConversationID); err != nil {
			return err
		}
		m, err := messageIn(ctx, tx, r.ConversationID, r.MessageID)
		if err != nil {
			return err
		}
		if x.Question, err = questionOf(ctx, tx, m); err != nil {
			return err
		}
		branch := m.BranchID
		if r.NewBranch {
			if branch, err = fork(ctx, tx, x.Question); err != nil {
				return err
			}
		}
		x.Answer, err = insertAnswer(ctx, tx, x.Question, branch)
		return err
	})
	return x, err
}

// questionOf returns the question that a message answers, or is.
func questionOf(ctx context.Context, tx pgx.Tx, m voiceassist.Message) (voiceassist.Message, error) {
	if m.Status == voiceassist.MessageStreaming {
		return m, voiceassist.Errorf(voiceassist.Conflict, "The answer is still being written")
	}
	if m.Role == voiceassist.SpeakerAssistant && m.ParentID != nil {
		parent, err := messageIn(ctx, tx, m.ConversationID, *m.ParentID)
		if err != nil {
			return m, err
		}
		m = parent
	}
	if m.Role != voiceassist.SpeakerUser {
		return m, voiceassist.Errorf(voiceassist.Conflict, "The message is not the answer to a question")
	}
	return m, nil
}
