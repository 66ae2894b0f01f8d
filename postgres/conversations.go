package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// previewLength is how much of its last message a conversation shows, in code
// points.
const previewLength = 120

// selectConversations reads conversations v for scanConversation, with the
// figures of their messages.
const selectConversations = `
	SELECT v.id, v.user_id, v.title, v.archived, v.created_at, v.updated_at, n.count, coalesce(last.content, '')
	FROM conversations v` + withMessages

// withMessages joins the figures of messages to conversations v.
const withMessages = `
	CROSS JOIN LATERAL (
		SELECT count(*)
		FROM messages m
		WHERE m.conversation_id = v.id
	) n
	LEFT JOIN LATERAL (
		SELECT left(m.content, 1000) AS content
		FROM messages m
		WHERE m.conversation_id = v.id AND m.content <> ''
		ORDER BY m.seq DESC
		LIMIT 1
	) last ON true`

func scanConversation(row pgx.CollectableRow) (voiceassist.Conversation, error) {
	return scanConversationWith(row)
}

// scanConversationWith also reads what stands behind the columns of a
// conversation.
func scanConversationWith(row pgx.CollectableRow, more ...any) (voiceassist.Conversation, error) {
	var c voiceassist.Conversation
	var last string
	err := row.Scan(append([]any{&c.ID, &c.UserID, &c.Title, &c.Archived, &c.CreatedAt, &c.UpdatedAt, &c.MessageCount, &last}, more...)...)
	c.LastMessagePreview = voiceassist.Preview(last, previewLength)
	return c, err
}

// Conversations returns a page of the user's conversations, the one last used
// first, and how many the filter lets through.
func (db *DB) Conversations(ctx context.Context, userID uuid.UUID, f voiceassist.ConversationFilter) (page []voiceassist.Conversation, total int, err error) {
	const matching = `
		WHERE v.user_id = $1
			AND ($2::boolean IS NULL OR v.archived = $2)
			AND strpos(lower(v.title), lower($3)) > 0`
	rows, err := db.pool.Query(ctx, `
		SELECT v.id, v.user_id, v.title, v.archived, v.created_at, v.updated_at, n.count, coalesce(last.content, ''), v.total
		FROM (
			SELECT v.*, count(*) OVER () AS total
			FROM conversations v`+matching+`
			ORDER BY v.updated_at DESC, v.id DESC
			OFFSET $4 LIMIT $5
		) v`+withMessages+`
		ORDER BY v.updated_at DESC, v.id DESC`, userID, f.Archived, f.Search, f.Offset, f.Limit)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (voiceassist.Conversation, error) {
		return scanConversationWith(row, &total)
	})
	if err == nil && len(page) == 0 && f.Offset > 0 { // beyond the end no row tells how many there are
		err = db.pool.QueryRow(ctx, `SELECT count(*) FROM conversations v`+matching, userID, f.Archived, f.Search).Scan(&total)
	}
	return page, total, classify(err)
}

// Conversation returns one of the user's conversations.
func (db *DB) Conversation(ctx context.Context, userID, id uuid.UUID) (voiceassist.Conversation, error) {
	rows, err := db.pool.Query(ctx, selectConversations+`
		WHERE v.id = $1 AND v.user_id = $2`, id, userID)
	if err != nil {
		return voiceassist.Conversation{}, classify(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanConversation)
	return c, notFound(err, "conversation")
}

// CreateConversation stores an empty conversation; title may be "".
func (db *DB) CreateConversation(ctx context.Context, userID uuid.UUID, title string) (voiceassist.Conversation, error) {
	c := voiceassist.Conversation{ID: uuid.Must(uuid.NewV7()), UserID: userID, Title: title}
	err := db.pool.QueryRow(ctx, `
		INSERT INTO conversations (id, user_id, title)
		VALUES ($1, $2, $3)
		RETURNING created_at, updated_at`, c.ID, c.UserID, c.Title).Scan(&c.CreatedAt, &c.UpdatedAt)
	return c, classify(err)
}

// UpdateConversation changes what is not nil of one of the user's
// conversations.
func (db *DB) UpdateConversation(ctx context.Context, userID, id uuid.UUID, title *string, archived *bool) (voiceassist.Conversation, error) {
	tag, err := db.pool.Exec(ctx, `
		UPDATE conversations
		SET title = coalesce($3, title), archived = coalesce($4, archived), updated_at = now()
		WHERE id = $1 AND user_id = $2`, id, userID, title, archived)
	if err != nil {
		return voiceassist.Conversation{}, classify(err)
	}
	if tag.RowsAffected() == 0 {
		return voiceassist.Conversation{}, notFound(pgx.ErrNoRows, "conversation")
	}
	return db.Conversation(ctx, userID, id)
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
