package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// retentionSetting is the name of the setting that holds a Retention.
const retentionSetting = "retention"

// Retention returns for how long things are kept, and when that was set; nil if
// it never was.
func (db *DB) Retention(ctx context.Context) (r voiceassist.Retention, set *time.Time, err error) {
	var at time.Time
	err = db.pool.QueryRow(ctx, `
		SELECT value, updated_at
		FROM settings
		WHERE name = $1`, retentionSetting).Scan(&r, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, nil, nil
	}
	return r, &at, classify(err)
}

// SetRetention says for how long things are kept.
func (db *DB) SetRetention(ctx context.Context, r voiceassist.Retention) (set time.Time, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `
			INSERT INTO settings (name, value)
			VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()
			RETURNING updated_at`, retentionSetting, r).Scan(&set); err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: "settings.retention_changed", ResourceType: "settings", ResourceID: retentionSetting,
			Details: map[string]any{"conversations_days": r.Conversations, "files_days": r.Files, "audit_days": r.Audit},
		})
	})
	return set, err
}

// expireBatch is how many rows one transaction of an expiry is about, so that
// none holds locks for long.
const expireBatch = 200

// ExpireConversations deletes the conversations in which nothing has happened
// since before, with everything in them, and returns how many.
func (db *DB) ExpireConversations(ctx context.Context, before time.Time) (int, error) {
	return db.inBatches(ctx, `
		DELETE FROM conversations
		WHERE updated_at < $1 AND id IN (
			SELECT id
			FROM conversations v
			WHERE v.updated_at < $1
				AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = v.id AND m.created_at >= $1)
			ORDER BY v.updated_at
			LIMIT $2
		)`, before)
}

// ExpireFiles hides the files that were uploaded before, attached or not, and
// returns how many. Their bytes and rows are still to be removed.
func (db *DB) ExpireFiles(ctx context.Context, before time.Time) (int, error) {
	return db.inBatches(ctx, `
		UPDATE files
		SET deleted_at = now()
		WHERE deleted_at IS NULL AND id IN (
			SELECT id
			FROM files
			WHERE created_at < $1 AND deleted_at IS NULL
			ORDER BY created_at
			LIMIT $2
		)`, before)
}

// inBatches runs a statement until it finds less than a batch.
func (db *DB) inBatches(ctx context.Context, sql string, before time.Time) (total int, err error) {
	for {
		tag, err := db.pool.Exec(ctx, sql, before, expireBatch)
		if err != nil {
			return total, classify(err)
		}
		total += int(tag.RowsAffected())
		if tag.RowsAffected() < expireBatch {
			return total, nil
		}
	}
}
