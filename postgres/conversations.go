package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// previewLength is how much of its last message a conversation shows, in code
// points.
const previewLength = 120

// conversationColumns are what selectConversations reads of conversations v.
const conversationColumns = `v.id, v.user_id, v.title, v.archived, v.folder_id, v.message_count, v.created_at, v.updated_at`

// selectConversations reads the conversations that a query selects for
// scanConversation, with the beginning of their last message. That is only
// looked for once the query has made its choice. more are columns besides.
func selectConversations(query string, more ...string) string {
	return `
	SELECT ` + strings.Join(append([]string{conversationColumns, `coalesce(last.content, '')`}, more...), ", ") + `
	FROM (` + query + `) v
	LEFT JOIN LATERAL (
		SELECT left(m.content, 1000) AS content
		FROM messages m
		WHERE m.conversation_id = v.id AND m.content <> ''
		ORDER BY m.seq DESC
		LIMIT 1
	) last ON true
	ORDER BY v.updated_at DESC, v.id DESC`
}

func scanConversation(row pgx.CollectableRow) (voiceassist.Conversation, error) {
	return scanConversationAnd(row)
}

// scanConversationAnd scans more columns than those of the conversation.
func scanConversationAnd(row pgx.CollectableRow, more ...any) (voiceassist.Conversation, error) {
	var c voiceassist.Conversation
	var last string
	err := row.Scan(append([]any{&c.ID, &c.UserID, &c.Title, &c.Archived, &c.FolderID, &c.MessageCount, &c.CreatedAt, &c.UpdatedAt, &last}, more...)...)
	c.LastMessagePreview = voiceassist.Preview(last, previewLength)
	return c, err
}

// Conversations returns a page of the user's conversations, the one last used
// first, and how many the filter lets through.
func (db *DB) Conversations(ctx context.Context, userID uuid.UUID, f voiceassist.ConversationFilter) (page []voiceassist.Conversation, total int, err error) {
	matching, args := conversationsMatching(userID, f)
	limit, pageArgs := pageClause(f.Limit, f.Offset, args)
	rows, err := db.pool.Query(ctx, selectConversations(`
		SELECT `+conversationColumns+`
		FROM conversations v `+matching+`
		ORDER BY v.updated_at DESC, v.id DESC`+limit, `(SELECT count(*) FROM conversations v`+matching+`)`), pageArgs...)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.AppendRows(make([]voiceassist.Conversation, 0, f.Limit), rows, func(row pgx.CollectableRow) (voiceassist.Conversation, error) {
		return scanConversationAnd(row, &total)
	})
	if err == nil && len(page) == 0 && f.Offset > 0 { // beyond the end no row tells how many there are
		err = db.pool.QueryRow(ctx, `SELECT count(*) FROM conversations v`+matching, args...).Scan(&total)
	}
	return page, total, classify(err)
}

// conversationsMatching is the WHERE clause of a filter with its arguments.
func conversationsMatching(userID uuid.UUID, f voiceassist.ConversationFilter) (where string, args []any) {
	where, args = `
		WHERE v.user_id = $1`, []any{userID}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(condition, len(args))
	}
	if f.Archived != nil {
		add(` AND v.archived = $%d`, *f.Archived)
	}
	if f.FolderID != nil && *f.FolderID == uuid.Nil {
		where += ` AND v.folder_id IS NULL`
	} else if f.FolderID != nil {
		add(` AND v.folder_id = $%d`, *f.FolderID)
	}
	if f.Search != "" {
		add(` AND strpos(lower(v.title), lower($%d)) > 0`, f.Search)
	}
	return where, args
}

// Conversation returns one of the user's conversations.
func (db *DB) Conversation(ctx context.Context, userID, id uuid.UUID) (voiceassist.Conversation, error) {
	rows, err := db.pool.Query(ctx, selectConversations(`
		SELECT `+conversationColumns+`
		FROM conversations v
		WHERE v.id = $1 AND v.user_id = $2`), id, userID)
	if err != nil {
		return voiceassist.Conversation{}, classify(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanConversation)
	return c, notFound(err, "conversation")
}

// CreateConversation stores an empty conversation; title may be "", and
// folderID nil. A folder of somebody else is NotFound.
func (db *DB) CreateConversation(ctx context.Context, userID uuid.UUID, title string, folderID *uuid.UUID) (voiceassist.Conversation, error) {
	c := voiceassist.Conversation{ID: uuid.Must(uuid.NewV7()), UserID: userID, Title: title, FolderID: folderID}
	err := db.tx(ctx, func(tx pgx.Tx) error {
		if err := holdFolder(ctx, tx, userID, folderID); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO conversations (id, user_id, title, folder_id)
			VALUES ($1, $2, $3, $4)
			RETURNING created_at, updated_at`, c.ID, c.UserID, c.Title, c.FolderID).Scan(&c.CreatedAt, &c.UpdatedAt)
	})
	return c, err
}

// holdFolder keeps the user's folder from being deleted while the transaction
// puts something into it. nil and the zero id are no folder.
func holdFolder(ctx context.Context, tx pgx.Tx, userID uuid.UUID, id *uuid.UUID) error {
	if id == nil || *id == uuid.Nil {
		return nil
	}
	var held uuid.UUID
	err := tx.QueryRow(ctx, `SELECT id FROM folders WHERE id = $1 AND user_id = $2 FOR KEY SHARE`, *id, userID).Scan(&held)
	return notFound(err, "folder")
}

// UpdateConversation changes one of the user's conversations. A folder of
// somebody else is NotFound.
func (db *DB) UpdateConversation(ctx context.Context, userID, id uuid.UUID, change voiceassist.ConversationChange) (voiceassist.Conversation, error) {
	err := db.tx(ctx, func(tx pgx.Tx) error {
		if err := holdFolder(ctx, tx, userID, change.FolderID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE conversations
			SET title = coalesce($3, title), archived = coalesce($4, archived), updated_at = now(),
				folder_id = CASE WHEN $5::uuid IS NULL THEN folder_id ELSE nullif($5, '00000000-0000-0000-0000-000000000000'::uuid) END
			WHERE id = $1 AND user_id = $2`, id, userID, change.Title, change.Archived, change.FolderID)
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		return notFound(err, "conversation")
	})
	if err != nil {
		return voiceassist.Conversation{}, err
	}
	return db.Conversation(ctx, userID, id)
}

// DeleteConversations removes all of the user's conversations and reports how
// many there were.
func (db *DB) DeleteConversations(ctx context.Context, userID uuid.UUID) (int, error) {
	tag, err := db.pool.Exec(ctx, `DELETE FROM conversations WHERE user_id = $1`, userID)
	return int(tag.RowsAffected()), classify(err)
}

// DeleteConversation removes one of the user's conversations with everything
// in it.
func (db *DB) DeleteConversation(ctx context.Context, userID, id uuid.UUID) error {
	tag, err := db.pool.Exec(ctx, `DELETE FROM conversations WHERE id = $1 AND user_id = $2`, id, userID)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return notFound(err, "conversation")
}

// EndedSessions returns those of the sessions that no longer stand: revoked,
// expired, removed, or of a user who is not active.
func (db *DB) EndedSessions(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT asked.id
		FROM unnest($1::uuid[]) AS asked (id)
		WHERE NOT EXISTS (
			SELECT 1
			FROM sessions s
			JOIN users u ON u.id = s.user_id AND u.is_active
			WHERE s.id = asked.id AND s.revoked_at IS NULL AND s.expires_at > now()
		)`, ids)
	if err != nil {
		return nil, classify(err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return ended, classify(err)
}
