package postgres

import "context"

// What is removed, a batch at a time. Dead sessions stay for a while, for
// whoever asks what happened; their refresh tokens go with them.
var staleSignIns = []string{
	`DELETE FROM refresh_tokens WHERE digest IN (SELECT t.digest FROM refresh_tokens t WHERE t.expires_at < now() LIMIT $1)`,
	`DELETE FROM password_resets WHERE digest IN (SELECT r.digest FROM password_resets r WHERE r.expires_at < now() LIMIT $1)`,
	`DELETE FROM invitations WHERE email IN (SELECT i.email FROM invitations i WHERE i.expires_at < now() LIMIT $1)`,
	`DELETE FROM sign_in_failures WHERE subject IN (
		SELECT f.subject
		FROM sign_in_failures f
		WHERE f.last_at < now() - interval '2 days' AND coalesce(f.locked_until < now(), true)
		LIMIT $1
	)`,
	`DELETE FROM sessions WHERE id IN (
		SELECT s.id
		FROM sessions s
		WHERE s.expires_at < now() - interval '30 days' OR s.revoked_at < now() - interval '30 days'
		LIMIT $1
	)`,
}

// staleBatch is how many rows a statement removes at once, so that none holds
// locks for long.
const staleBatch = 1000

// RemoveStaleSignIns removes refresh tokens, reset links and invitations that
// have expired, failures that are forgotten, and sessions that have been dead
// for 30 days. It returns how many rows that were.
func (db *DB) RemoveStaleSignIns(ctx context.Context) (removed int, err error) {
	for _, statement := range staleSignIns {
		for n := int64(staleBatch); n == staleBatch; {
			tag, err := db.pool.Exec(ctx, statement, staleBatch)
			if err != nil {
				return removed, classify(err)
			}
			n = tag.RowsAffected()
			removed += int(n)
		}
	}
	return removed, nil
}
