package postgres

import (
	"context"

	voiceassist "github.com/voiceassist/backend"
)

// Activity returns what goes on at the moment. A session counts as used when
// its tokens are renewed, which clients do every few minutes.
func (db *DB) Activity(ctx context.Context) (voiceassist.Activity, error) {
	a := voiceassist.Activity{Pending: map[voiceassist.Queue]int{}, Running: map[voiceassist.Queue]int{}}
	err := db.pool.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE EXISTS (
			SELECT 1
			FROM sessions s
			WHERE s.user_id = u.id AND s.revoked_at IS NULL AND s.last_used_at > now() - interval '30 minutes'
		))
		FROM users u
		WHERE u.is_active`).Scan(&a.Users, &a.ActiveUsers)
	if err != nil {
		return a, classify(err)
	}
	backlogs, err := db.Backlogs(ctx)
	for q, b := range backlogs {
		a.Pending[q], a.Running[q] = b.Pending, b.Running
	}
	return a, err
}
