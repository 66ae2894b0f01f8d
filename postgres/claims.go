package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ClaimTexts gives the attempt, of the texts with the given digests whose vector
// is not stored, those that nobody else is embedding. Others is how many
// somebody else is. Who waits for them must hold no claims meanwhile, so that
// nobody waits in a circle. Each claim ends with AddVectors, DropClaims or the
// attempt.
func (db *DB) ClaimTexts(ctx context.Context, a Attempt, profile string, digests [][]byte) (claimed [][]byte, others int, err error) {
	var b pgx.Batch
	// In the order of the digests, because two that claim the same texts at once
	// wait for one another.
	b.Queue(`
		WITH missing AS (
			SELECT DISTINCT digest
			FROM unnest($4::bytea[]) AS wanted (digest)
			WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE profile = $3 AND text_sha256 = digest)
			ORDER BY digest
		), claimed AS (
			INSERT INTO embedding_claims (profile, text_sha256, job_id, attempt)
			SELECT $3, digest, $1, $2
			FROM missing
			ON CONFLICT DO NOTHING
			RETURNING text_sha256
		)
		SELECT count(*) FILTER (WHERE digest NOT IN (SELECT text_sha256 FROM claimed))
		FROM missing`, a.JobID, a.Number, profile, digests).QueryRow(func(row pgx.Row) error { return row.Scan(&others) })
	// What somebody stored just before it was claimed is seen only now.
	b.Queue(`
		DELETE FROM embedding_claims c
		USING vectors v
		WHERE c.job_id = $1 AND c.attempt = $2 AND c.profile = $3 AND c.text_sha256 = ANY($4)
			AND v.profile = c.profile AND v.text_sha256 = c.text_sha256`, a.JobID, a.Number, profile, digests)
	b.Queue(`
		SELECT text_sha256
		FROM embedding_claims
		WHERE job_id = $1 AND attempt = $2 AND profile = $3 AND text_sha256 = ANY($4)`, a.JobID, a.Number, profile, digests).
		Query(func(rows pgx.Rows) error {
			claimed, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
			return err
		})
	err = db.pool.SendBatch(ctx, &b).Close()
	return claimed, others, classify(err)
}

// AddVectors stores the vectors of texts that the attempt has claimed and drops
// the claims, in one step. A vector that is there already stays as it is.
func (db *DB) AddVectors(ctx context.Context, a Attempt, profile string, digests, vectors [][]byte) error {
	var b pgx.Batch
	queueDropClaims(&b, a, profile, digests)
	b.Queue(`
		INSERT INTO vectors (profile, text_sha256, vector)
		SELECT $1, digest, vector
		FROM unnest($2::bytea[], $3::bytea[]) AS v (digest, vector)
		ORDER BY digest
		ON CONFLICT DO NOTHING`, profile, digests, vectors)
	return classify(db.pool.SendBatch(ctx, &b).Close())
}

// DropClaims gives up claims of the attempt without a vector.
func (db *DB) DropClaims(ctx context.Context, a Attempt, profile string, digests [][]byte) error {
	var b pgx.Batch
	queueDropClaims(&b, a, profile, digests)
	return classify(db.pool.SendBatch(ctx, &b).Close())
}

func queueDropClaims(b *pgx.Batch, a Attempt, profile string, digests [][]byte) {
	b.Queue(`
		DELETE FROM embedding_claims
		WHERE job_id = $1 AND attempt = $2 AND profile = $3 AND text_sha256 = ANY($4)`, a.JobID, a.Number, profile, digests)
}

// DropLapsedClaims removes the claims of attempts that do not run any more or
// have let their lease run out. A claim needs no renewal: it lasts as long as the
// lease of its attempt.
func (db *DB) DropLapsedClaims(ctx context.Context) error {
	// Whoever sees a claim here sees that its attempt was started, so none is
	// taken for lapsed before its time.
	_, err := db.pool.Exec(ctx, `
		WITH lapsed AS (
			SELECT c.profile, c.text_sha256
			FROM embedding_claims c
			WHERE NOT EXISTS (
				SELECT 1
				FROM jobs j
				WHERE j.id = c.job_id AND j.attempts = c.attempt AND j.state = 'running' AND j.lease_until > now()
			)
			FOR UPDATE SKIP LOCKED
		)
		DELETE FROM embedding_claims c
		USING lapsed
		WHERE c.profile = lapsed.profile AND c.text_sha256 = lapsed.text_sha256`)
	return classify(err)
}

// Unembedded returns the ordinals of a generation's passages whose vectors are
// not stored, in order.
func (db *DB) Unembedded(ctx context.Context, documentID uuid.UUID, generation int, profile string) ([]int, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT p.ordinal
		FROM passages p
		WHERE p.document_id = $1 AND p.generation = $2
			AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.profile = $3 AND v.text_sha256 = p.vector_sha256)
		ORDER BY p.ordinal`, documentID, generation, profile)
	if err != nil {
		return nil, classify(err)
	}
	ordinals, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return ordinals, classify(err)
}
