package postgres

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Audit adds an entry to the audit log, for what happens outside of any other
// transaction: refusals, and reading.
func (db *DB) Audit(ctx context.Context, e voiceassist.AuditEntry) error {
	return db.tx(ctx, func(tx pgx.Tx) error { return addAudit(ctx, tx, e) })
}

// addAudit adds an entry about what tx does; it commits with it. Who acts is
// known from ctx.
func addAudit(ctx context.Context, tx pgx.Tx, e voiceassist.AuditEntry) error {
	actor := voiceassist.ActorOf(ctx)
	if e.UserID != uuid.Nil {
		actor.UserID = e.UserID
	}
	actor.Email = cmp.Or(e.Email, actor.Email)
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	id := uuid.Must(uuid.NewV7())
	if _, err := tx.Exec(ctx, `
		INSERT INTO audit_entries (id, level, action, user_id, resource_type, resource_id, success, details, request_id, trace_id)
		VALUES ($1, $2, $3, nullif($4, '00000000-0000-0000-0000-000000000000'::uuid), $5, $6, $7, $8, $9, $10)`,
		id, cmp.Or(e.Level, voiceassist.AuditInfo), e.Action, actor.UserID, e.ResourceType, e.ResourceID, !e.Failed, e.Details,
		actor.RequestID, actor.TraceID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO audit_people (entry_id, email, ip)
		VALUES ($1, $2, $3)`, id, actor.Email, actor.IP)
	return err
}
