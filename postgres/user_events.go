package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// UserEvents returns a page of what the audit log has of these actions on a
// user, newest first, and how many there are. It is NotFound for a user that
// there is not.
func (db *DB) UserEvents(ctx context.Context, id uuid.UUID, actions []string, offset, limit int) (page []voiceassist.UserEvent, total int, err error) {
	const matching = `
		FROM audit_entries e
		LEFT JOIN users a ON a.id = e.user_id
		WHERE e.resource_type = 'user' AND e.resource_id = $1 AND e.action = ANY($2) AND e.success`
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) `+matching+`)
		FROM users
		WHERE id = $3`, id.String(), actions, id).Scan(&total)
	if err != nil {
		return nil, 0, notFound(err, "user")
	}
	rows, err := db.pool.Query(ctx, `
		SELECT e.id, e.at, e.action, coalesce(a.email, e.user_id::text, 'system'), coalesce(e.details->>'from_role', ''),
			coalesce(e.details->>'to_role', ''), coalesce(e.details->>'reason', ''), e.trace_id`+matching+`
		ORDER BY e.at DESC, e.id DESC
		OFFSET $3 LIMIT $4`, id.String(), actions, offset, limit)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e voiceassist.UserEvent, err error) {
		err = row.Scan(&e.ID, &e.At, &e.Action, &e.Actor, &e.From, &e.To, &e.Reason, &e.TraceID)
		return e, err
	})
	return page, total, classify(err)
}
