package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// contextColumns are read by scanContext, in this order.
const contextColumns = `c.id, c.user_id, c.conversation_id, c.facts, c.created_at, c.updated_at`

func scanContext(row pgx.CollectableRow) (voiceassist.ClinicalContext, error) {
	var c voiceassist.ClinicalContext
	err := row.Scan(&c.ID, &c.UserID, &c.ConversationID, &c.Facts, &c.CreatedAt, &c.UpdatedAt)
	return c, err
}

func oneContext(rows pgx.Rows, err error) (voiceassist.ClinicalContext, error) {
	if err != nil {
		return voiceassist.ClinicalContext{}, classify(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanContext)
	return c, notFound(err, "clinical context")
}

// SaveClinicalContext stores facts as the context of one of the user's
// conversations, in place of the one that it had, or as a new context of none.
// A conversation of somebody else is NotFound; too many contexts are a Conflict.
func (db *DB) SaveClinicalContext(ctx context.Context, userID uuid.UUID, conversation *uuid.UUID, facts voiceassist.ClinicalFacts) (c voiceassist.ClinicalContext, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := ownConversation(ctx, tx, userID, conversation); err != nil {
			return err
		}
		c, err = oneContext(tx.Query(ctx, `
			INSERT INTO clinical_contexts AS c (id, user_id, conversation_id, facts)
			SELECT $1, $2, $3, $4
			WHERE (SELECT count(*) FROM clinical_contexts WHERE user_id = $2) < $5
			ON CONFLICT (conversation_id) WHERE conversation_id IS NOT NULL
			DO UPDATE SET facts = excluded.facts, updated_at = now()
			RETURNING `+contextColumns, uuid.Must(uuid.NewV7()), userID, conversation, facts, voiceassist.MaxContexts))
		if errors.Is(err, voiceassist.NotFound) {
			return voiceassist.Errorf(voiceassist.Conflict, "You have %d clinical contexts: delete some first", voiceassist.MaxContexts)
		}
		if err != nil {
			return err
		}
		return addAudit(ctx, tx, aboutContext("clinical_context.saved", c.ID))
	})
	return c, err
}

// ownConversation locks a conversation of the user's, or is NotFound; nil is
// nobody's.
func ownConversation(ctx context.Context, tx pgx.Tx, userID uuid.UUID, id *uuid.UUID) error {
	if id == nil {
		return nil
	}
	var found bool
	err := tx.QueryRow(ctx, `
		SELECT true
		FROM conversations
		WHERE id = $1 AND user_id = $2
		FOR KEY SHARE`, id, userID).Scan(&found)
	return notFound(err, "conversation")
}

// aboutContext never says what the context says.
func aboutContext(action string, id uuid.UUID) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{Action: action, ResourceType: "clinical_context", ResourceID: id.String()}
}

// ClinicalContexts returns a page of the user's contexts, the one last changed
// first, and how many there are.
func (db *DB) ClinicalContexts(ctx context.Context, userID uuid.UUID, offset, limit int) (page []voiceassist.ClinicalContext, total int, err error) {
	if err := db.pool.QueryRow(ctx, `SELECT count(*) FROM clinical_contexts WHERE user_id = $1`, userID).Scan(&total); err != nil {
		return nil, 0, classify(err)
	}
	rows, err := db.pool.Query(ctx, `
		SELECT `+contextColumns+`
		FROM clinical_contexts c
		WHERE c.user_id = $1
		ORDER BY c.updated_at DESC, c.id DESC
		OFFSET $2 LIMIT $3`, userID, offset, limit)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, scanContext)
	return page, total, classify(err)
}

// ClinicalContext returns one of the user's contexts.
func (db *DB) ClinicalContext(ctx context.Context, userID, id uuid.UUID) (voiceassist.ClinicalContext, error) {
	return oneContext(db.pool.Query(ctx, `
		SELECT `+contextColumns+`
		FROM clinical_contexts c
		WHERE c.id = $1 AND c.user_id = $2`, id, userID))
}

// CurrentClinicalContext returns the context of one of the user's
// conversations, or, for nil, the last one of none. NotFound says that there is
// no such context, or no such conversation.
func (db *DB) CurrentClinicalContext(ctx context.Context, userID uuid.UUID, conversation *uuid.UUID) (voiceassist.ClinicalContext, error) {
	return oneContext(db.pool.Query(ctx, `
		SELECT `+contextColumns+`
		FROM clinical_contexts c
		WHERE c.user_id = $1 AND c.conversation_id IS NOT DISTINCT FROM $2
		ORDER BY c.updated_at DESC, c.id DESC
		LIMIT 1`, userID, conversation))
}

// UpdateClinicalContext replaces the facts of one of the user's contexts.
func (db *DB) UpdateClinicalContext(ctx context.Context, userID, id uuid.UUID, facts voiceassist.ClinicalFacts) (c voiceassist.ClinicalContext, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		c, err = oneContext(tx.Query(ctx, `
			UPDATE clinical_contexts AS c
			SET facts = $3, updated_at = now()
			WHERE c.id = $1 AND c.user_id = $2
			RETURNING `+contextColumns, id, userID, facts))
		if err != nil {
			return err
		}
		return addAudit(ctx, tx, aboutContext("clinical_context.saved", id))
	})
	return c, err
}

// DeleteClinicalContext removes one of the user's contexts.
func (db *DB) DeleteClinicalContext(ctx context.Context, userID, id uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM clinical_contexts WHERE id = $1 AND user_id = $2`, id, userID)
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		if err != nil {
			return notFound(err, "clinical context")
		}
		return addAudit(ctx, tx, aboutContext("clinical_context.deleted", id))
	})
}
