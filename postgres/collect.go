package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// UnknownBlobs returns those of the keys that no row refers to.
func (db *DB) UnknownBlobs(ctx context.Context, keys []string) ([]string, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT key
		FROM unnest($1::text[]) AS listed (key)
		WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.blob_key = key AND d.purged_at IS NULL)
			AND NOT EXISTS (SELECT 1 FROM files f WHERE f.blob_key = key)`, keys)
	if err != nil {
		return nil, classify(err)
	}
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return unknown, classify(err)
}

// CollectTexts removes what was read out of bytes that no document has which
// lives or may live again. It looks at up to limit digests after the given one,
// in their order, and returns the last of them, "" at the end, and how many rows
// it removed.
func (db *DB) CollectTexts(ctx context.Context, after string, limit int) (last string, n int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		last, n = "", 0
		digests, err := textDigests(ctx, tx, after, limit)
		if err != nil || len(digests) == 0 {
			return err
		}
		if len(digests) == limit {
			last = digests[limit-1]
		}
		n, err = forgetTexts(ctx, tx, digests)
		return err
	})
	return last, n, err
}

// textDigests returns the next digests of which anything is kept. It hops from
// one to the next, so that it does not read all pages.
func textDigests(ctx context.Context, tx pgx.Tx, after string, limit int) ([]string, error) {
	next := `least(
		(SELECT sha256 FROM extractions WHERE sha256 > hop.sha256 ORDER BY sha256 LIMIT 1),
		(SELECT sha256 FROM pages WHERE sha256 > hop.sha256 ORDER BY sha256 LIMIT 1),
		(SELECT sha256 FROM bad_pages WHERE sha256 > hop.sha256 ORDER BY sha256 LIMIT 1))`
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE hop (sha256, n) AS (
			SELECT $1::text, 0
			UNION ALL
			SELECT `+next+`, n + 1
			FROM hop
			WHERE sha256 IS NOT NULL AND n < $2
		)
		SELECT sha256
		FROM hop
		WHERE n > 0 AND sha256 IS NOT NULL
		ORDER BY n`, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// VectorKey names a stored vector.
type VectorKey struct {
	Profile string
	Digest  []byte // SHA-256 of the text
}

// CollectVectors removes vectors older than age that no passage has. It looks at
// up to limit of them after the given one, in the order of their keys, and
// returns the last, the zero key at the end, and how many it removed. Those of
// profiles in which some generation does not tell its passages' vectors, because
// it is older than that column, are all kept.
func (db *DB) CollectVectors(ctx context.Context, after VectorKey, age time.Duration, limit int) (last VectorKey, n int, err error) {
	if after.Digest == nil {
		after.Digest = []byte{}
	}
	rows, err := db.pool.Query(ctx, `
		WITH looked AS (
			SELECT profile, text_sha256
			FROM vectors
			WHERE (profile, text_sha256) > ($1, $2)
			ORDER BY profile, text_sha256
			LIMIT $4
		), told AS MATERIALIZED ( -- passages are stored with the rest of their generation: the first speaks for all
			SELECT profile
			FROM (SELECT DISTINCT profile FROM looked) AS p
			WHERE NOT EXISTS (
				SELECT 1
				FROM generations g
				JOIN passages first ON first.document_id = g.document_id AND first.generation = g.number AND first.ordinal = 0
				WHERE g.profile = p.profile AND first.vector_sha256 IS NULL
			)
		), removed AS (
			DELETE FROM vectors v
			USING looked l, told t
			WHERE v.profile = l.profile AND v.text_sha256 = l.text_sha256 AND t.profile = l.profile
				AND v.created_at < now() - $3::interval
				AND NOT EXISTS (
					SELECT 1
					FROM passages p
					JOIN generations g ON g.document_id = p.document_id AND g.number = p.generation
					WHERE p.vector_sha256 = v.text_sha256 AND g.profile = v.profile
				)
			RETURNING 1
		)
		SELECT profile, text_sha256, (SELECT count(*) FROM removed), count(*) OVER ()
		FROM looked
		ORDER BY profile DESC, text_sha256 DESC
		LIMIT 1`, after.Profile, after.Digest, age, limit)
	if err != nil {
		return last, 0, classify(err)
	}
	var looked int
	_, err = pgx.ForEachRow(rows, []any{&last.Profile, &last.Digest, &n, &looked}, func() error { return nil })
	if looked < limit {
		last = VectorKey{}
	}
	return last, n, classify(err)
}

// CollectPassages removes the passages of up to limit generations that were
// begun more than age ago and neither became the active one nor can any more,
// and returns how many passages that were. The generations stay: citations of
// earlier ones find their page by them.
func (db *DB) CollectPassages(ctx context.Context, age time.Duration, limit int) (n int, err error) {
	rows, err := db.pool.Query(ctx, `
		SELECT DISTINCT g.document_id
		FROM generations g
		JOIN documents d ON d.id = g.document_id
		WHERE g.number <> d.generation AND g.created_at < now() - $1::interval
			AND EXISTS (SELECT 1 FROM passages p WHERE p.document_id = g.document_id AND p.generation = g.number)
			AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.document_id = d.id AND j.kind = 'index' AND `+unfinished+`)
		LIMIT $2`, age, limit)
	if err != nil {
		return 0, classify(err)
	}
	documents, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, classify(err)
	}
	for _, id := range documents {
		removed, err := db.collectPassagesOf(ctx, id)
		n += removed
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// collectPassagesOf removes the passages of all but the active generation of a
// document, unless it is being indexed.
func (db *DB) collectPassagesOf(ctx context.Context, id uuid.UUID) (n int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		// Whoever begins to index it waits here.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM documents WHERE id = $1 FOR NO KEY UPDATE`, id); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			DELETE FROM passages p
			USING documents d
			WHERE d.id = $1 AND p.document_id = d.id AND p.generation <> d.generation
				AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.document_id = d.id AND j.kind = 'index' AND `+unfinished+`)`, id)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// DiscardOriginal notes that the original of a document is gone: the document
// has failed and can be healed by uploading the same file again. What is indexed
// of it stays searchable.
func (db *DB) DiscardOriginal(ctx context.Context, id uuid.UUID, blobKey string) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE documents
			SET state = 'failed', stage = '', error_code = $3, error_message = $4, updated_at = now()
			WHERE id = $1 AND blob_key = $2 AND deleted_at IS NULL`, id, blobKey, string(voiceassist.ReasonMissing), originalMissing)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := cancelJobs(ctx, tx, id, "the original is missing", voiceassist.JobIndex, voiceassist.JobExtract, voiceassist.JobEmbed); err != nil {
			return err
		}
		return addAudit(ctx, tx, aboutDocument("document.original_missing", id, nil))
	})
}

const originalMissing = "The original is missing from the file store. Upload the file again."
