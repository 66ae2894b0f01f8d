package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// messageColumns are read by scanMessage, in this order.
const messageColumns = `
	m.id, m.conversation_id, m.branch_id, m.parent_id, coalesce(m.client_message_id, ''), m.role, m.content, m.status,
	m.model, m.tokens, m.metadata, m.created_at`

func scanMessage(row pgx.CollectableRow) (voiceassist.Message, error) {
	var m voiceassist.Message
	err := row.Scan(&m.ID, &m.ConversationID, &m.BranchID, &m.ParentID, &m.ClientMessageID, &m.Role, &m.Content, &m.Status,
		&m.Model, &m.Tokens, &m.Metadata, &m.CreatedAt)
	return m, err
}

func oneMessage(rows pgx.Rows, err error) (voiceassist.Message, error) {
	if err != nil {
		return voiceassist.Message{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanMessage)
}

// Messages returns a page of what a branch of the user's conversation sees,
// oldest first, with citations, and how many messages that are. A negative
// offset counts from the end: -100 begins at the hundredth last.
func (db *DB) Messages(ctx context.Context, userID, conversationID uuid.UUID, branch string, offset, limit int) (page []voiceassist.Message, total int, err error) {
	var known bool
	err = db.pool.QueryRow(ctx, lineage+`
		SELECT `+branchKnown+`, (
			SELECT count(*)
			FROM messages m
			JOIN lineage l ON l.branch_id = m.branch_id AND m.seq <= l.until
			WHERE m.conversation_id = c.id
		)
		FROM conversations c
		WHERE c.id = $1 AND c.user_id = $3`, conversationID, branch, userID).Scan(&known, &total)
	if err != nil {
		return nil, 0, notFound(err, "conversation")
	}
	if !known {
		return nil, 0, errNoBranch
	}
	if offset < 0 {
		offset = max(0, total+offset)
	}
	rows, err := db.pool.Query(ctx, lineage+`
		SELECT `+messageColumns+`
		FROM messages m
		JOIN lineage l ON l.branch_id = m.branch_id AND m.seq <= l.until
		WHERE m.conversation_id = $1
		ORDER BY m.seq
		OFFSET $3 LIMIT $4`, conversationID, branch, offset, limit)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, scanMessage)
	if err != nil {
		return nil, 0, classify(err)
	}
	return page, total, db.attachCitations(ctx, page)
}

// UserMessage returns a message of one of the user's conversations, with its
// citations.
func (db *DB) UserMessage(ctx context.Context, userID, id uuid.UUID) (voiceassist.Message, error) {
	m, err := oneMessage(db.pool.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		JOIN conversations c ON c.id = m.conversation_id
		WHERE m.id = $1 AND c.user_id = $2`, id, userID))
	if err != nil {
		return voiceassist.Message{}, notFound(err, "message")
	}
	messages := []voiceassist.Message{m}
	err = db.attachCitations(ctx, messages)
	return messages[0], err
}
