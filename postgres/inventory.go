package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// inventoryPage is how many rows one query of an inventory reads. Each is a
// statement of its own, so that a long inventory holds up neither writers nor
// vacuum; what changes meanwhile is seen or not.
const inventoryPage = 5000

// IndexedPassage is a passage that the index should hold.
type IndexedPassage struct {
	ID         uuid.UUID
	DocumentID uuid.UUID
	Generation int
}

// ActivePassages lists the passages of the active generations of living
// documents, or of one document unless that is uuid.Nil, in the order of their
// ids. An error ends the sequence.
func (db *DB) ActivePassages(ctx context.Context, documentID uuid.UUID) iter.Seq2[IndexedPassage, error] {
	// The page is taken before it is joined: every row moves the place on.
	const query = `
		SELECT p.id, p.document_id, p.generation, d.id IS NOT NULL
		FROM (
			SELECT id, document_id, generation
			FROM passages
			WHERE id > $1 %s
			ORDER BY id
			LIMIT $2
		) AS p
		LEFT JOIN documents d ON d.id = p.document_id AND d.generation = p.generation AND d.deleted_at IS NULL
		ORDER BY p.id`
	sql, args := fmt.Sprintf(query, ""), []any{uuid.Nil, inventoryPage}
	if documentID != uuid.Nil {
		sql, args = fmt.Sprintf(query, "AND document_id = $3"), append(args, documentID)
	}
	return func(yield func(IndexedPassage, error) bool) {
		for {
			page, err := db.passagePage(ctx, sql, args)
			if err != nil {
				yield(IndexedPassage{}, err)
				return
			}
			for _, row := range page {
				if row.active && !yield(row.IndexedPassage, nil) {
					return
				}
			}
			if len(page) < inventoryPage {
				return
			}
			args[0] = page[len(page)-1].ID
		}
	}
}

type passageRow struct {
	IndexedPassage
	active bool
}

func (db *DB) passagePage(ctx context.Context, sql string, args []any) ([]passageRow, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, classify(err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p passageRow, err error) {
		err = row.Scan(&p.ID, &p.DocumentID, &p.Generation, &p.active)
		return p, err
	})
	return page, classify(err)
}

// Standing is what the ledger says of a document, living or not. The zero
// value is of one that it does not know.
type Standing struct {
	Living     bool
	Generation int
	Profile    string // of the active generation
	BlobKey    string
	Busy       bool // some job may be changing its points
}

// Standing returns how a document stands.
func (db *DB) Standing(ctx context.Context, id uuid.UUID) (s Standing, err error) {
	rows, err := db.pool.Query(ctx, `
		SELECT d.deleted_at IS NULL, d.generation, coalesce(g.profile, ''), d.blob_key,
			EXISTS (SELECT 1 FROM jobs j WHERE j.document_id = d.id AND j.kind <> 'purge' AND `+unfinished+`)
		FROM documents d
		LEFT JOIN generations g ON g.document_id = d.id AND g.number = d.generation
		WHERE d.id = $1`, id)
	if err != nil {
		return s, classify(err)
	}
	_, err = pgx.ForEachRow(rows, []any{&s.Living, &s.Generation, &s.Profile, &s.BlobKey, &s.Busy}, func() error { return nil })
	return s, classify(err)
}

// SurplusPoints returns those of the ids of points that are no passage's of the
// active or a later generation of a living document.
func (db *DB) SurplusPoints(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT id
		FROM unnest($1::uuid[]) AS point (id)
		WHERE NOT EXISTS (
			SELECT 1
			FROM passages p
			JOIN documents d ON d.id = p.document_id AND d.deleted_at IS NULL AND p.generation >= d.generation
			WHERE p.id = point.id
		)`, ids)
	if err != nil {
		return nil, classify(err)
	}
	surplus, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return surplus, classify(err)
}

// Original is a blob that a document is made of.
type Original struct {
	BlobKey    string
	DocumentID uuid.UUID
	Size       int64
	SHA256     string
	Wanted     bool // false: the document is deleted, or its original is known to be missing
}

// Originals lists the blobs of all documents that were not purged, in the order
// of the bytes of their keys. An error ends the sequence.
func (db *DB) Originals(ctx context.Context) iter.Seq2[Original, error] {
	return func(yield func(Original, error) bool) {
		for after := ""; ; {
			page, err := db.originalPage(ctx, after)
			if err != nil {
				yield(Original{}, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
				after = o.BlobKey
			}
			if len(page) < inventoryPage {
				return
			}
		}
	}
}

func (db *DB) originalPage(ctx context.Context, after string) ([]Original, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT blob_key, id, size, sha256, deleted_at IS NULL AND NOT (state = 'failed' AND error_code = $3)
		FROM documents
		WHERE purged_at IS NULL AND blob_key COLLATE "C" > $1
		ORDER BY blob_key COLLATE "C"
		LIMIT $2`, after, inventoryPage, string(voiceassist.ReasonMissing))
	if err != nil {
		return nil, classify(err)
	}
	page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Original])
	return page, classify(err)
}

// TextFault says what is wrong with the stored text of a document's active
// generation.
type TextFault struct {
	DocumentID uuid.UUID
	Miscounted bool // it has another number of passages than the document says
	Misplaced  int  // passages that are not what their place on their page says
	Vectorless int  // passages whose vector is not stored
}

// TextFaults looks at the texts of up to limit living documents after the given
// one, in the order of their ids, at one passage of every so many of each, and
// returns the faults, how many documents it looked at, and the last of them.
func (db *DB) TextFaults(ctx context.Context, after uuid.UUID, limit, every int) (faults []TextFault, looked int, last uuid.UUID, err error) {
	return db.textFaults(ctx, `id > $1`, after, limit, every)
}

// TextFaultsOf is TextFaults for one document.
func (db *DB) TextFaultsOf(ctx context.Context, id uuid.UUID, every int) ([]TextFault, error) {
	faults, _, _, err := db.textFaults(ctx, `id = $1`, id, 1, every)
	return faults, err
}

func (db *DB) textFaults(ctx context.Context, condition string, arg uuid.UUID, limit, every int) (faults []TextFault, looked int, last uuid.UUID, err error) {
	rows, err := db.pool.Query(ctx, `
		WITH picked AS (
			SELECT id, sha256, generation, passage_count
			FROM documents
			WHERE deleted_at IS NULL AND generation > 0 AND `+condition+`
			ORDER BY id
			LIMIT $2
		)
		SELECT s.id,
			s.passage_count <> (SELECT count(*) FROM passages p WHERE p.document_id = s.id AND p.generation = s.generation),
			(
				SELECT count(*)
				FROM passages p
				LEFT JOIN pages page ON page.sha256 = s.sha256 AND page.engine = g.engine AND page.number = p.page
				WHERE p.document_id = s.id AND p.generation = s.generation AND p.ordinal % $3 = 0
					AND substr(page.text, p.char_start + 1, p.char_end - p.char_start) IS DISTINCT FROM p.text
			),
			(
				SELECT count(*)
				FROM passages p
				WHERE p.document_id = s.id AND p.generation = s.generation AND p.ordinal % $3 = 0
					AND g.profile <> '' AND p.vector_sha256 IS NOT NULL
					AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.profile = g.profile AND v.text_sha256 = p.vector_sha256)
			)
		FROM picked s
		LEFT JOIN generations g ON g.document_id = s.id AND g.number = s.generation
		ORDER BY s.id`, arg, limit, every)
	if err != nil {
		return nil, 0, last, classify(err)
	}
	var f TextFault
	_, err = pgx.ForEachRow(rows, []any{&f.DocumentID, &f.Miscounted, &f.Misplaced, &f.Vectorless}, func() error {
		looked++
		last = f.DocumentID
		if f.Miscounted || f.Misplaced > 0 || f.Vectorless > 0 {
			faults = append(faults, f)
		}
		return nil
	})
	return faults, looked, last, classify(err)
}

// Anomaly is a row of the ledger that contradicts another.
type Anomaly struct {
	Kind       voiceassist.DifferenceKind
	ID         uuid.UUID // of the job, or of the document for WithoutJob and StateWrong
	DocumentID uuid.UUID
	Detail     string
}

// anomalies are the contradictions within the ledger, of which no moment of
// ordinary work has any, but for leases that lapsed $1 ago.
const anomalies = `
	SELECT 'without_job' AS kind, d.id, d.id AS document_id, 'it is ' || d.state || ' and nothing will index it' AS detail
	FROM documents d
	WHERE d.state IN ('uploaded', 'processing') AND d.deleted_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.document_id = d.id AND j.kind = 'index' AND ` + unfinished + `)
	UNION ALL
	SELECT 'without_job', d.id, d.id, 'it is deleted and nothing will purge it'
	FROM documents d
	WHERE d.deleted_at IS NOT NULL AND d.purged_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.document_id = d.id AND j.kind = 'purge' AND ` + unfinished + `)
	UNION ALL
	SELECT 'job_stray', j.id, j.document_id, 'a job ' || j.kind || ' of a document that is deleted'
	FROM jobs j
	JOIN documents d ON d.id = j.document_id
	WHERE j.state IN ('pending', 'running', 'waiting') AND j.kind NOT IN ('delete', 'purge') AND d.deleted_at IS NOT NULL
	UNION ALL
	SELECT 'job_stray', j.id, j.document_id, 'a job ' || j.kind || ' of a document that is not deleted'
	FROM jobs j
	JOIN documents d ON d.id = j.document_id
	WHERE j.state IN ('pending', 'running') AND j.kind IN ('delete', 'purge') AND d.deleted_at IS NULL
	UNION ALL
	SELECT 'job_stray', j.id, j.document_id, 'a part of a job that is ' || whole.state
	FROM jobs j
	JOIN jobs whole ON whole.id = j.parent_id
	WHERE j.state IN ('pending', 'running') AND whole.state NOT IN ('pending', 'running', 'waiting')
	UNION ALL
	SELECT 'job_stuck', j.id, j.document_id, 'it waits for parts that have all ended'
	FROM jobs j
	WHERE j.state = 'waiting'
		AND NOT EXISTS (SELECT 1 FROM jobs part WHERE part.parent_id = j.id AND part.state IN ('pending', 'running', 'waiting'))
	UNION ALL
	SELECT 'job_stuck', j.id, j.document_id, 'its worker has been silent since its lease ended'
	FROM jobs j
	WHERE j.state = 'running' AND j.lease_until < now() - $1::interval
	UNION ALL
	SELECT 'state_wrong', d.id, d.id, 'it is indexed and has no generation'
	FROM documents d
	WHERE d.state = 'indexed' AND d.generation = 0 AND d.deleted_at IS NULL`

// Anomalies returns up to limit contradictions within the ledger. A worker that
// has been silent for less than late after the end of its lease is none.
func (db *DB) Anomalies(ctx context.Context, late time.Duration, limit int) ([]Anomaly, error) {
	rows, err := db.pool.Query(ctx, anomalies+`
		LIMIT $2`, late, limit)
	if err != nil {
		return nil, classify(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Anomaly])
	return found, classify(err)
}

// UnknownJobs returns those of the ids of jobs that are not in the ledger.
func (db *DB) UnknownJobs(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT id
		FROM unnest($1::uuid[]) AS named (id)
		WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = named.id)`, ids)
	if err != nil {
		return nil, classify(err)
	}
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return unknown, classify(err)
}

// LedgerSize is how many rows an inventory goes through.
type LedgerSize struct{ Documents, Jobs int }

// LedgerSize counts living and deleted documents, and unfinished jobs.
func (db *DB) LedgerSize(ctx context.Context) (s LedgerSize, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM documents WHERE purged_at IS NULL),
			(SELECT count(*) FROM jobs WHERE state IN ('pending', 'running', 'waiting'))`).Scan(&s.Documents, &s.Jobs)
	return s, classify(err)
}
