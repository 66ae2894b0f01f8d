package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// maxAPIKeys is how many keys a user may have.
const maxAPIKeys = 50

// keyColumns are read into keyFields, in this order.
const keyColumns = `k.id, k.user_id, k.name, k.prefix, k.scopes, k.created_at, k.expires_at, k.last_used_at`

func keyFields(k *voiceassist.APIKey) []any {
	return []any{&k.ID, &k.UserID, &k.Name, &k.Prefix, &k.Scopes, &k.CreatedAt, &k.ExpiresAt, &k.LastUsedAt}
}

func scanKey(row pgx.CollectableRow) (voiceassist.APIKey, error) {
	var k voiceassist.APIKey
	err := row.Scan(keyFields(&k)...)
	return k, err
}

// AddAPIKey stores a key with the digest by which it is found. It is Conflict
// when the user has as many as they may.
func (db *DB) AddAPIKey(ctx context.Context, k voiceassist.APIKey, digest [32]byte) (voiceassist.APIKey, error) {
	err := db.tx(ctx, func(tx pgx.Tx) error {
		// Holding the user makes the count hold until the end.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE`, k.UserID); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE user_id = $1`, k.UserID).Scan(&n); err != nil {
			return err
		}
		if n >= maxAPIKeys {
			return voiceassist.Errorf(voiceassist.Conflict, "There are %d API keys already; delete one first", n)
		}
		if err := tx.QueryRow(ctx, `
			INSERT INTO api_keys (id, user_id, name, prefix, digest, scopes, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			RETURNING created_at`, k.ID, k.UserID, k.Name, k.Prefix, digest[:], k.Scopes, k.ExpiresAt).Scan(&k.CreatedAt); err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: "auth.api_key_created", ResourceType: "api_key", ResourceID: k.ID.String(), Details: map[string]any{"scopes": k.Scopes},
		})
	})
	return k, err
}

// APIKeys returns a page of a user's keys, the newest first, and how many they
// have.
func (db *DB) APIKeys(ctx context.Context, userID uuid.UUID, offset, limit int) (page []voiceassist.APIKey, total int, err error) {
	if err := db.pool.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE user_id = $1`, userID).Scan(&total); err != nil {
		return nil, 0, classify(err)
	}
	rows, err := db.pool.Query(ctx, `
		SELECT `+keyColumns+`
		FROM api_keys k
		WHERE k.user_id = $1
		ORDER BY k.created_at DESC, k.id
		OFFSET $2 LIMIT $3`, userID, offset, limit)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, scanKey)
	return page, total, classify(err)
}

// DeleteAPIKey ends one of a user's keys, or is NotFound.
func (db *DB) DeleteAPIKey(ctx context.Context, userID, id uuid.UUID) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM api_keys WHERE id = $1 AND user_id = $2`, id, userID)
		if err == nil && tag.RowsAffected() == 0 {
			err = notFound(pgx.ErrNoRows, "API key")
		}
		if err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{Action: "auth.api_key_deleted", ResourceType: "api_key", ResourceID: id.String()})
	})
}

// KeyUser returns a living key and its active user, or NotFound. The first use
// in a minute is noted.
func (db *DB) KeyUser(ctx context.Context, digest [32]byte) (voiceassist.User, voiceassist.APIKey, error) {
	var u voiceassist.User
	var k voiceassist.APIKey
	var stale bool
	err := db.pool.QueryRow(ctx, `
		SELECT coalesce(k.last_used_at < now() - interval '1 minute', true), `+keyColumns+`, `+userColumns+`
		FROM api_keys k
		JOIN users u ON u.id = k.user_id
		WHERE k.digest = $1 AND coalesce(k.expires_at > now(), true) AND u.is_active`, digest[:]).
		Scan(append(append([]any{&stale}, keyFields(&k)...), userFields(&u)...)...)
	if err == nil && stale {
		_, err = db.pool.Exec(ctx, `
			UPDATE api_keys
			SET last_used_at = now()
			WHERE id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)`, k.ID)
	}
	return u, k, notFound(err, "API key")
}
