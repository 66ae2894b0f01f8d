package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Extracted is what is stored of an extraction that is under way.
type Extracted struct {
	Pages []int                 // numbers of those that were read, in order
	Bytes int64                 // of their text
	Bad   []voiceassist.BadPage // those that could not be read, in order
}

// Extracted returns what attempts have stored of an extraction so far.
func (db *DB) Extracted(ctx context.Context, x Extraction) (e Extracted, err error) {
	var b pgx.Batch
	b.Queue(`
		SELECT coalesce(array_agg(number ORDER BY number), '{}'), coalesce(sum(octet_length(text)), 0)
		FROM pages
		WHERE sha256 = $1 AND engine = $2`, x.SHA256, x.Engine).QueryRow(func(row pgx.Row) error {
		return row.Scan(&e.Pages, &e.Bytes)
	})
	b.Queue(selectBadPages, x.SHA256, x.Engine).Query(func(rows pgx.Rows) error {
		e.Bad, err = pgx.CollectRows(rows, scanBadPage)
		return err
	})
	err = db.pool.SendBatch(ctx, &b).Close()
	return e, classify(err)
}

// BadPages returns the pages that could not be read, in order.
func (db *DB) BadPages(ctx context.Context, x Extraction) (bad []voiceassist.BadPage, err error) {
	bad, err = badPages(ctx, db.pool, x)
	return bad, classify(err)
}

func badPages(ctx context.Context, q querier, x Extraction) ([]voiceassist.BadPage, error) {
	rows, err := q.Query(ctx, selectBadPages, x.SHA256, x.Engine)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBadPage)
}

// selectBadPages reads the pages of an extraction that could not be read, in
// order, for scanBadPage.
const selectBadPages = `
	SELECT number, reason
	FROM bad_pages
	WHERE sha256 = $1 AND engine = $2
	ORDER BY number`

func scanBadPage(row pgx.CollectableRow) (p voiceassist.BadPage, err error) {
	err = row.Scan(&p.Number, &p.Reason)
	return p, err
}

// AddBadPage notes a page that cannot be read and returns all of the
// extraction, in order, those that other attempts have found included. A page
// that is noted already keeps its reason.
func (db *DB) AddBadPage(ctx context.Context, a Attempt, x Extraction, p voiceassist.BadPage) (bad []voiceassist.BadPage, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO bad_pages (sha256, engine, number, reason)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT DO NOTHING`, x.SHA256, x.Engine, p.Number, string(p.Reason)); err != nil {
			return err
		}
		bad, err = badPages(ctx, tx, x)
		return err
	})
	return bad, err
}

// queueAllRead ends a batch, and must end its transaction, with an error unless
// every page of the extraction is stored, or noted as bad.
func queueAllRead(b *pgx.Batch, x Extraction) {
	b.Queue(`
		SELECT count(*), coalesce(min(n), 0)
		FROM generate_series(1, $3::integer) AS n
		WHERE NOT EXISTS (SELECT 1 FROM pages p WHERE p.sha256 = $1 AND p.engine = $2 AND p.number = n)
			AND NOT EXISTS (SELECT 1 FROM bad_pages b WHERE b.sha256 = $1 AND b.engine = $2 AND b.number = n)`,
		x.SHA256, x.Engine, x.Info.Pages).QueryRow(func(row pgx.Row) error {
		var missing, first int
		if err := row.Scan(&missing, &first); err != nil {
			return err
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d pages were not read, the first is page %d", missing, x.Info.Pages, first)
		}
		return nil
	})
}
