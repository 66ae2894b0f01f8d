package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// reportColumns are read by scanReport, in this order.
const reportColumns = `
	r.id, r.user_id, coalesce(r.citation_id, '00000000-0000-0000-0000-000000000000'), r.document_id, r.title, r.generation, r.page,
	r.char_start, r.char_end, r.quote, r.reason, r.comment, r.state, r.note, r.resolved_by, r.resolved_at, r.created_at, r.updated_at`

func scanReport(row pgx.CollectableRow) (r voiceassist.CitationReport, err error) {
	c := &r.Citation
	return r, row.Scan(&r.ID, &r.UserID, &c.ID, &c.DocumentID, &c.Title, &c.Generation, &c.Page,
		&c.CharStart, &c.CharEnd, &c.Quote, &r.Reason, &r.Comment, &r.State, &r.Note, &r.ResolvedBy, &r.ResolvedAt, &r.CreatedAt, &r.UpdatedAt)
}

func oneReport(rows pgx.Rows, err error, what string) (voiceassist.CitationReport, error) {
	if err != nil {
		return voiceassist.CitationReport{}, classify(err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanReport)
	return r, notFound(err, what)
}

// ReportCitation stores what a user says against a citation of one of their
// answers. There is one report of a user about a citation: a second one takes
// its place and opens it again.
func (db *DB) ReportCitation(ctx context.Context, userID, citation uuid.UUID, reason voiceassist.ReportReason, comment string) (voiceassist.CitationReport, error) {
	rows, err := db.pool.Query(ctx, `
		INSERT INTO citation_reports AS r
			(id, citation_id, user_id, document_id, title, generation, page, char_start, char_end, quote, reason, comment)
		SELECT $1, c.id, v.user_id, c.document_id, c.title, c.generation, c.page, c.char_start, c.char_end, c.quote, $4, $5
		FROM citations c
		JOIN messages m ON m.id = c.message_id
		JOIN conversations v ON v.id = m.conversation_id
		WHERE c.id = $2 AND v.user_id = $3
		ON CONFLICT (citation_id, user_id) DO UPDATE
		SET reason = excluded.reason, comment = excluded.comment, state = 'open', note = '', resolved_by = NULL, resolved_at = NULL,
			updated_at = now()
		RETURNING `+reportColumns, uuid.Must(uuid.NewV7()), citation, userID, reason, comment)
	return oneReport(rows, err, "citation")
}

// CitationReports returns a page of reports, newest first, and how many match.
func (db *DB) CitationReports(ctx context.Context, f voiceassist.ReportFilter) (page []voiceassist.CitationReport, total int, err error) {
	const matching = `
		FROM citation_reports r
		WHERE ($1 = '' OR r.state = $1)`
	if err := db.pool.QueryRow(ctx, `SELECT count(*)`+matching, f.State).Scan(&total); err != nil {
		return nil, 0, classify(err)
	}
	rows, err := db.pool.Query(ctx, `SELECT `+reportColumns+matching+`
		ORDER BY r.created_at DESC, r.id DESC
		OFFSET $2 LIMIT $3`, f.State, f.Offset, f.Limit)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, scanReport)
	return page, total, classify(err)
}

// SettleReport opens or resolves a report, with a note; a nil note leaves the
// one that there is.
func (db *DB) SettleReport(ctx context.Context, id uuid.UUID, state voiceassist.ReportState, note *string) (r voiceassist.CitationReport, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE citation_reports AS r
			SET state = $2, note = coalesce($3, note), updated_at = now(),
				resolved_by = CASE WHEN $2 = 'resolved' THEN $4::uuid END,
				resolved_at = CASE WHEN $2 = 'resolved' THEN now() END
			WHERE r.id = $1
			RETURNING `+reportColumns, id, state, note, voiceassist.ActorOf(ctx).UserID)
		if r, err = oneReport(rows, err, "report"); err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: "citation_report.changed", ResourceType: "citation_report", ResourceID: id.String(),
			Details: map[string]any{"state": state, "document_id": r.Citation.DocumentID.String()},
		})
	})
	return r, err
}
