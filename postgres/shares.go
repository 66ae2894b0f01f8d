package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// shareColumns are read by scanShare, in this order.
const shareColumns = `s.id, s.conversation_id, s.password_hash, s.allow_anonymous, s.created_at, s.expires_at, s.revoked_at`

func scanShare(row pgx.CollectableRow) (voiceassist.Share, error) {
	var s voiceassist.Share
	err := row.Scan(&s.ID, &s.ConversationID, &s.PasswordHash, &s.AllowAnonymous, &s.CreatedAt, &s.ExpiresAt, &s.RevokedAt)
	return s, err
}

// CreateShare stores a link to one of the user's conversations that lasts for
// life, under the digest of its token. It is Conflict when the conversation has
// as many as it may.
func (db *DB) CreateShare(ctx context.Context, userID uuid.UUID, s voiceassist.Share, digest [32]byte, life time.Duration) (voiceassist.Share, error) {
	err := db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockConversation(ctx, tx, userID, s.ConversationID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			INSERT INTO shares AS s (id, conversation_id, digest, password_hash, allow_anonymous, expires_at)
			SELECT $1, $2, $3, $4, $5, now() + $6::interval
			WHERE (SELECT count(*) FROM shares o WHERE o.conversation_id = $2 AND o.revoked_at IS NULL AND o.expires_at > now()) < $7
			RETURNING `+shareColumns, uuid.Must(uuid.NewV7()), s.ConversationID, digest[:], s.PasswordHash, s.AllowAnonymous, life, voiceassist.MaxShares)
		if err != nil {
			return err
		}
		s, err = pgx.CollectExactlyOneRow(rows, scanShare)
		if errors.Is(err, pgx.ErrNoRows) {
			return voiceassist.Errorf(voiceassist.Conflict, "A conversation has at most %d links", voiceassist.MaxShares)
		}
		if err != nil {
			return err
		}
		return addAudit(ctx, tx, shareEntry("share.created", s))
	})
	return s, err
}

func shareEntry(action string, s voiceassist.Share) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{
		Action: action, ResourceType: "share", ResourceID: s.ID.String(),
		Details: map[string]any{
			"conversation_id": s.ConversationID.String(), "expires_at": s.ExpiresAt.UTC().Format(time.RFC3339),
			"password": s.PasswordHash != "", "anonymous": s.AllowAnonymous,
		},
	}
}

// Shares returns the links to one of the user's conversations that work, the
// newest first.
func (db *DB) Shares(ctx context.Context, userID, conversationID uuid.UUID) ([]voiceassist.Share, error) {
	if _, err := db.Conversation(ctx, userID, conversationID); err != nil {
		return nil, err
	}
	rows, err := db.pool.Query(ctx, `
		SELECT `+shareColumns+`
		FROM shares s
		WHERE s.conversation_id = $1 AND s.revoked_at IS NULL AND s.expires_at > now()
		ORDER BY s.created_at DESC, s.id`, conversationID)
	if err != nil {
		return nil, classify(err)
	}
	shares, err := pgx.CollectRows(rows, scanShare)
	return shares, classify(err)
}

// RevokeShare ends a link to one of the user's conversations, which is named by
// its id or by the digest of its token. One that was revoked before is no
// error.
func (db *DB) RevokeShare(ctx context.Context, userID, conversationID, id uuid.UUID, digest [32]byte) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := lockConversation(ctx, tx, userID, conversationID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+shareColumns+`
			FROM shares s
			WHERE s.conversation_id = $1 AND (s.id = $2 OR s.digest = $3)`, conversationID, id, digest[:])
		if err != nil {
			return err
		}
		s, err := pgx.CollectExactlyOneRow(rows, scanShare)
		if err != nil {
			return notFound(err, "share")
		}
		if s.RevokedAt != nil {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE shares SET revoked_at = now() WHERE id = $1`, s.ID); err != nil {
			return err
		}
		return addAudit(ctx, tx, shareEntry("share.revoked", s))
	})
}

// OpenShare returns the link whose token has this digest, and the conversation
// that it leads to. A link that is unknown is NotFound; one that has expired, was
// revoked, or whose owner is no longer active, is Gone.
func (db *DB) OpenShare(ctx context.Context, digest [32]byte) (s voiceassist.Share, c voiceassist.Conversation, err error) {
	var living bool
	err = db.pool.QueryRow(ctx, `
		SELECT `+shareColumns+`, c.id, c.user_id, c.title, c.created_at, c.updated_at,
			s.revoked_at IS NULL AND s.expires_at > now() AND u.is_active
		FROM shares s
		JOIN conversations c ON c.id = s.conversation_id
		JOIN users u ON u.id = c.user_id
		WHERE s.digest = $1`, digest[:]).Scan(
		&s.ID, &s.ConversationID, &s.PasswordHash, &s.AllowAnonymous, &s.CreatedAt, &s.ExpiresAt, &s.RevokedAt,
		&c.ID, &c.UserID, &c.Title, &c.CreatedAt, &c.UpdatedAt, &living)
	if err != nil {
		return s, c, notFound(err, "share")
	}
	if !living {
		return s, c, voiceassist.Errorf(voiceassist.Gone, "This link has expired or was revoked")
	}
	return s, c, nil
}

// DeleteDeadShares forgets links that expired more than olderThan ago, and
// reports how many.
func (db *DB) DeleteDeadShares(ctx context.Context, olderThan time.Duration) (int, error) {
	tag, err := db.pool.Exec(ctx, `
		DELETE FROM shares
		WHERE expires_at < now() - $1::interval`, olderThan)
	return int(tag.RowsAffected()), classify(err)
}
