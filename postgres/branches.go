package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// maxBranches is how many branches a conversation may have besides main.
const maxBranches = 200

// lineage begins a query about branch $2 of conversation $1: whose messages the
// branch sees, up to which seq. Those of ancestors come before its own, so seq
// is the order of all.
const lineage = `
	WITH RECURSIVE lineage (branch_id, until) AS (
		SELECT $2::text, 9223372036854775807
		UNION ALL
		SELECT b.parent_branch_id, b.fork_seq
		FROM lineage l
		JOIN branches b ON b.conversation_id = $1 AND b.id = l.branch_id
	)`

// branchKnown is whether branch $2 of conversation $1 exists.
const branchKnown = `($2 = 'main' OR EXISTS (SELECT 1 FROM branches b WHERE b.conversation_id = $1 AND b.id = $2))`

var errNoBranch = voiceassist.Errorf(voiceassist.NotFound, "branch not found")

// checkBranch is NotFound unless the conversation has the branch.
func checkBranch(ctx context.Context, tx pgx.Tx, conversationID uuid.UUID, branch string) error {
	var known bool
	if err := tx.QueryRow(ctx, `SELECT `+branchKnown, conversationID, branch).Scan(&known); err != nil {
		return err
	}
	if !known {
		return errNoBranch
	}
	return nil
}

// Branches returns the branches of the user's conversation: main, then the
// others, oldest first.
func (db *DB) Branches(ctx context.Context, userID, conversationID uuid.UUID) ([]voiceassist.Branch, error) {
	return db.branches(ctx, userID, conversationID, "")
}

// branches returns all branches of a conversation, or the one with this id.
func (db *DB) branches(ctx context.Context, userID, conversationID uuid.UUID, only string) ([]voiceassist.Branch, error) {
	rows, err := db.pool.Query(ctx, `
		WITH RECURSIVE known (id, parent_message_id, created_at) AS (
			SELECT 'main', NULL::uuid, c.created_at
			FROM conversations c
			WHERE c.id = $1 AND c.user_id = $2
			UNION ALL
			SELECT b.id, b.parent_message_id, b.created_at
			FROM conversations c
			JOIN branches b ON b.conversation_id = c.id
			WHERE c.id = $1 AND c.user_id = $2
		), lineage (id, branch_id, until) AS (
			SELECT k.id, k.id, 9223372036854775807
			FROM known k
			WHERE $3 IN ('', k.id)
			UNION ALL
			SELECT l.id, b.parent_branch_id, b.fork_seq
			FROM lineage l
			JOIN branches b ON b.conversation_id = $1 AND b.id = l.branch_id
		), figures AS (
			SELECT l.id, count(m.id) AS messages, max(m.created_at) FILTER (WHERE m.branch_id = l.id) AS last
			FROM lineage l
			LEFT JOIN messages m ON m.conversation_id = $1 AND m.branch_id = l.branch_id AND m.seq <= l.until
			GROUP BY l.id
		)
		SELECT k.id, $1::uuid, k.parent_message_id, f.messages, k.created_at, coalesce(f.last, k.created_at)
		FROM known k
		JOIN figures f ON f.id = k.id
		ORDER BY k.id <> 'main', k.created_at, k.id`, conversationID, userID, only)
	if err != nil {
		return nil, classify(err)
	}
	branches, err := pgx.CollectRows(rows, pgx.RowToStructByPos[voiceassist.Branch])
	if err == nil && len(branches) == 0 {
		err = voiceassist.Errorf(voiceassist.NotFound, "conversation not found")
	}
	return branches, classify(err)
}

// CreateBranch adds a branch after a message of the user's conversation, with
// its first message if there is one. It is NotFound when either is not there,
// and Conflict when the conversation has as many branches as it may.
func (db *DB) CreateBranch(ctx context.Context, n voiceassist.NewBranch) (voiceassist.Branch, error) {
	var id string
	err := db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockConversation(ctx, tx, n.UserID, n.ConversationID); err != nil {
			return err
		}
		parent, err := messageIn(ctx, tx, n.ConversationID, n.ParentMessageID)
		if err != nil {
			return err
		}
		if id, err = fork(ctx, tx, parent); err != nil || n.InitialMessage == "" {
			return err
		}
		_, err = insertMessage(ctx, tx, voiceassist.Message{
			ConversationID: n.ConversationID, BranchID: id, ParentID: &parent.ID,
			Role: voiceassist.SpeakerUser, Content: n.InitialMessage, Status: voiceassist.MessageComplete,
		})
		return err
	})
	if err != nil {
		return voiceassist.Branch{}, err
	}
	branches, err := db.branches(ctx, n.UserID, n.ConversationID, id)
	if err != nil {
		return voiceassist.Branch{}, err
	}
	return branches[0], nil
}

// fork adds a branch after a message of a conversation that tx has locked, and
// returns its id.
func fork(ctx context.Context, tx pgx.Tx, parent voiceassist.Message) (string, error) {
	id := uuid.Must(uuid.NewV7()).String()
	tag, err := tx.Exec(ctx, `
		INSERT INTO branches (conversation_id, id, parent_branch_id, parent_message_id, fork_seq)
		SELECT m.conversation_id, $2, m.branch_id, m.id, m.seq
		FROM messages m
		WHERE m.id = $1 AND (SELECT count(*) FROM branches b WHERE b.conversation_id = m.conversation_id) < $3`,
		parent.ID, id, maxBranches)
	if err == nil && tag.RowsAffected() == 0 {
		err = voiceassist.Errorf(voiceassist.Conflict, "A conversation has at most %d branches", maxBranches)
	}
	return id, err
}

// lockConversation locks the user's conversation, so that what is stored in it
// is stored one after the other.
func lockConversation(ctx context.Context, tx pgx.Tx, userID, id uuid.UUID) error {
	err := tx.QueryRow(ctx, `
		SELECT id
		FROM conversations
		WHERE id = $1 AND user_id = $2
		FOR UPDATE`, id, userID).Scan(&id)
	return notFound(err, "conversation")
}

// messageIn returns a message of a conversation, without citations.
func messageIn(ctx context.Context, tx pgx.Tx, conversationID, id uuid.UUID) (voiceassist.Message, error) {
	m, err := oneMessage(tx.Query(ctx, `
		SELECT `+messageColumns+`
		FROM messages m
		WHERE m.id = $1 AND m.conversation_id = $2`, id, conversationID))
	return m, notFound(err, "message")
}
