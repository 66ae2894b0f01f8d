package postgres

import (
	"context"

	voiceassist "github.com/voiceassist/backend"
)

// FirstAdmin returns the oldest active administrator, or NotFound.
func (db *DB) FirstAdmin(ctx context.Context) (voiceassist.User, error) {
	u, err := scanUser(db.pool.QueryRow(ctx, `
		SELECT `+userColumns+`
		FROM users u
		WHERE u.role = 'admin' AND u.is_active
		ORDER BY u.created_at, u.id
		LIMIT 1`))
	return u, notFound(err, "administrator")
}
