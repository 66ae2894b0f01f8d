package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// DocumentTimeline returns what the jobs of a document have done, parts
// included: events from offset on, at most limit, oldest first, and what each
// stage took in all. NotFound for what never was a document.
func (db *DB) DocumentTimeline(ctx context.Context, id uuid.UUID, offset, limit int) (t voiceassist.Timeline, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		var one int
		if err := tx.QueryRow(ctx, `SELECT 1 FROM documents WHERE id = $1`, id).Scan(&one); err != nil {
			return notFound(err, "document")
		}
		if t.Stages, err = stageTotals(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `
			SELECT count(*)
			FROM job_events e
			JOIN jobs j ON j.id = e.job_id
			WHERE j.document_id = $1`, id).Scan(&t.Total); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+eventColumns+`, coalesce(parent.id, j.id), coalesce(parent.kind, j.kind)
			FROM job_events e
			JOIN jobs j ON j.id = e.job_id
			LEFT JOIN jobs parent ON parent.id = j.parent_id
			WHERE j.document_id = $1
			ORDER BY e.id
			LIMIT $2 OFFSET $3`, id, limit, offset)
		if err != nil {
			return err
		}
		t.Events, err = pgx.CollectRows(rows, scanTimelineEvent)
		return err
	})
	return t, err
}

func scanTimelineEvent(row pgx.CollectableRow) (e voiceassist.TimelineEvent, err error) {
	e.JobEvent, err = scanEvent(row, &e.JobID, &e.Kind)
	return e, err
}

func stageTotals(ctx context.Context, tx pgx.Tx, document uuid.UUID) ([]voiceassist.StageTotal, error) {
	rows, err := tx.Query(ctx, `
		SELECT e.stage, count(*), sum(e.took_us)::bigint
		FROM job_events e
		JOIN jobs j ON j.id = e.job_id
		WHERE j.document_id = $1 AND e.stage <> ''
		GROUP BY e.stage
		ORDER BY min(e.id)`, document)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s voiceassist.StageTotal, err error) {
		var us int64
		err = row.Scan(&s.Stage, &s.Runs, &us)
		s.Took = time.Duration(us) * time.Microsecond
		return s, err
	})
}
