package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"iter"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Audit adds an entry to the audit log, for what happens outside of any other
// transaction: refusals, and reading.
func (db *DB) Audit(ctx context.Context, e voiceassist.AuditEntry) error {
	return db.tx(ctx, func(tx pgx.Tx) error { return addAudit(ctx, tx, e) })
}

// insertAudit adds an entry and its person, who is left out for the program.
const insertAudit = `
	WITH entry AS (
		INSERT INTO audit_entries
			(id, level, action, user_id, resource_type, resource_id, success, details, request_id, trace_id, person)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		RETURNING id
	)
	INSERT INTO audit_people (entry_id, email, ip, salt)
	SELECT id, $12, $13, $14
	FROM entry
	WHERE $14::bytea IS NOT NULL`

// addAudit adds an entry about what tx does; it commits with it. Who acts is
// known from ctx.
func addAudit(ctx context.Context, tx pgx.Tx, e voiceassist.AuditEntry) error {
	_, err := tx.Exec(ctx, insertAudit, auditArgs(voiceassist.ActorOf(ctx), e)...)
	return err
}

// addAudits is addAudit for many entries, in one round trip.
func addAudits(ctx context.Context, tx pgx.Tx, entries []voiceassist.AuditEntry) error {
	actor, batch := voiceassist.ActorOf(ctx), &pgx.Batch{}
	for _, e := range entries {
		batch.Queue(insertAudit, auditArgs(actor, e)...)
	}
	return tx.SendBatch(ctx, batch).Close()
}

func auditArgs(actor voiceassist.Actor, e voiceassist.AuditEntry) []any {
	if e.UserID != uuid.Nil {
		actor.UserID = e.UserID
	}
	var user *uuid.UUID
	if actor.UserID != uuid.Nil {
		user = &actor.UserID
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	email, ip := auditText(cmp.Or(e.Email, actor.Email)), auditText(actor.IP)
	var salt, digest []byte
	if email != "" || ip != "" {
		salt = make([]byte, 16)
		rand.Read(salt)
		digest = personDigest(email, ip, salt)
	}
	return []any{
		uuid.Must(uuid.NewV7()), cmp.Or(e.Level, voiceassist.AuditInfo), e.Action, user, e.ResourceType, auditText(e.ResourceID),
		!e.Failed, e.Details, actor.RequestID, actor.TraceID, digest, email, ip, salt,
	}
}

// auditText returns what a client has sent as text that can be stored: what was
// tried is audited whatever it was tried with.
func auditText(s string) string {
	return voiceassist.Preview(strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", ""), 320)
}

// eraseAudit takes what is personal out of the entries about what a user did, or
// somebody who was not signed in did to their account or with their address. The
// chain holds as before.
func eraseAudit(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		UPDATE audit_people p
		SET email = '', ip = '', salt = NULL
		WHERE p.salt IS NOT NULL AND p.entry_id IN (
			SELECT e.id
			FROM audit_entries e
			WHERE e.user_id = $1
			UNION ALL
			SELECT e.id
			FROM audit_entries e
			WHERE e.resource_type = 'user' AND e.resource_id = $2 AND e.user_id IS NULL
			UNION ALL
			SELECT q.entry_id
			FROM audit_people q
			JOIN users u ON u.email = q.email
			WHERE u.id = $1 AND q.email <> ''
		)`, userID, userID.String())
	return err
}

// selectAudit reads entries for scanAudit.
const selectAudit = `
	SELECT e.id, e.at, e.level, e.action, coalesce(e.user_id, '00000000-0000-0000-0000-000000000000'), e.resource_type,
		e.resource_id, NOT e.success, e.details, e.request_id, e.trace_id, coalesce(e.seq, 0), e.hash,
		coalesce(p.email, ''), coalesce(p.ip, '')
	FROM audit_entries e
	LEFT JOIN audit_people p ON p.entry_id = e.id`

func scanAudit(row pgx.CollectableRow) (voiceassist.AuditRecord, error) {
	var r voiceassist.AuditRecord
	err := row.Scan(&r.ID, &r.At, &r.Level, &r.Action, &r.UserID, &r.ResourceType,
		&r.ResourceID, &r.Failed, &r.Details, &r.RequestID, &r.TraceID, &r.Seq, &r.Hash, &r.Email, &r.IP)
	return r, err
}

// auditFilter is the WHERE clause that auditFilterArgs fills.
const auditFilter = `
	WHERE ($1 = '' OR e.action = $1)
		AND ($2 = '' OR e.action LIKE $2)
		AND ($3::uuid IS NULL OR e.user_id = $3)
		AND ($4 = '' OR e.level = $4)
		AND ($5::timestamptz IS NULL OR e.at >= $5)
		AND ($6::timestamptz IS NULL OR e.at < $6)
		AND ($7 = '' OR e.resource_type = $7)
		AND ($8 = '' OR e.resource_id = $8)
		AND ($9::boolean IS NULL OR e.success = $9)`

func auditFilterArgs(f voiceassist.AuditFilter) []any {
	prefix := ""
	if f.ActionPrefix != "" {
		prefix = likeEscaper.Replace(f.ActionPrefix) + "%"
	}
	return []any{
		f.Action, prefix, nilIfZero(f.UserID), f.Level, nilIfZero(f.From), nilIfZero(f.To),
		f.ResourceType, f.ResourceID, f.Success,
	}
}

// nilIfZero makes NULL of what was left out.
func nilIfZero[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// AuditLogs returns a page of the entries that f selects, newest first, and how
// many there are in all.
func (db *DB) AuditLogs(ctx context.Context, f voiceassist.AuditFilter) (logs []voiceassist.AuditRecord, total int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		logs, total, err = auditLogs(ctx, tx, f)
		return err
	})
	return logs, total, err
}

func auditLogs(ctx context.Context, tx pgx.Tx, f voiceassist.AuditFilter) (logs []voiceassist.AuditRecord, total int, err error) {
	args := auditFilterArgs(f)
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM audit_entries e`+auditFilter, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := tx.Query(ctx, selectAudit+auditFilter+`
		ORDER BY e.at DESC, e.id DESC
		LIMIT $10 OFFSET $11`, append(args, f.Limit, f.Offset)...)
	if err != nil {
		return nil, 0, err
	}
	logs, err = pgx.CollectRows(rows, scanAudit)
	return logs, total, err
}

// EachAudit returns every entry that f selects, oldest first, as they stood at
// one moment. An error ends the sequence. While it runs it holds a connection
// and one row.
func (db *DB) EachAudit(ctx context.Context, f voiceassist.AuditFilter) iter.Seq2[voiceassist.AuditRecord, error] {
	return func(yield func(voiceassist.AuditRecord, error) bool) {
		rows, err := db.pool.Query(ctx, selectAudit+auditFilter+`
			ORDER BY e.at, e.id`, auditFilterArgs(f)...)
		if err != nil {
			yield(voiceassist.AuditRecord{}, classify(err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanAudit(rows)
			if !yield(r, classify(err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(voiceassist.AuditRecord{}, classify(err))
		}
	}
}

// documentJobs is how many jobs of a document its history tells, the last ones.
const documentJobs = 20

// DocumentHistory returns what happened to a document: a page of its audit
// entries, newest first, how many there are, and its last jobs with their
// timelines. It is NotFound for what never was a document; a deleted one has
// its history still.
func (db *DB) DocumentHistory(ctx context.Context, id uuid.UUID, offset, limit int) (logs []voiceassist.AuditRecord, total int, jobs []voiceassist.Job, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		logs, total, err = auditLogs(ctx, tx, voiceassist.AuditFilter{
			ResourceType: "document", ResourceID: id.String(), Offset: offset, Limit: limit,
		})
		if err != nil {
			return err
		}
		jobs, err = jobsOfDocument(ctx, tx, id)
		if err != nil || total > 0 || len(jobs) > 0 {
			return err
		}
		var one int
		return notFound(tx.QueryRow(ctx, `SELECT 1 FROM documents WHERE id = $1`, id).Scan(&one), "document")
	})
	return logs, total, jobs, err
}

func jobsOfDocument(ctx context.Context, tx pgx.Tx, id uuid.UUID) ([]voiceassist.Job, error) {
	rows, err := tx.Query(ctx, `
		SELECT j.id
		FROM jobs j
		WHERE j.document_id = $1 AND j.parent_id IS NULL
		ORDER BY j.created_at DESC, j.id DESC
		LIMIT $2`, id, documentJobs)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, err
	}
	jobs := make([]voiceassist.Job, len(ids))
	for i, id := range ids {
		if jobs[i], err = job(ctx, tx, id); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}
