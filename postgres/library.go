package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// Extraction is what an engine read out of the bytes with a given SHA-256.
type Extraction struct {
	SHA256 string
	Engine string
	Info   voiceassist.FileInfo
}

// Extraction returns what is stored of an extraction, and whether it is stored
// completely.
func (db *DB) Extraction(ctx context.Context, sha256, engine string) (x Extraction, complete bool, err error) {
	x.SHA256, x.Engine = sha256, engine
	err = db.pool.QueryRow(ctx, `
		SELECT page_count, title, author
		FROM extractions
		WHERE sha256 = $1 AND engine = $2`, sha256, engine).Scan(&x.Info.Pages, &x.Info.Title, &x.Info.Author)
	if errors.Is(err, pgx.ErrNoRows) {
		return x, false, nil
	}
	return x, err == nil, classify(err)
}

// AddPages stores pages of an extraction that is under way. A page that is
// stored already is replaced.
func (db *DB) AddPages(ctx context.Context, a Attempt, x Extraction, pages []voiceassist.Page) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		return addPages(ctx, tx, x, pages)
	})
}

func addPages(ctx context.Context, tx pgx.Tx, x Extraction, pages []voiceassist.Page) error {
	numbers, texts := make([]int, len(pages)), make([]string, len(pages))
	for i, p := range pages {
		numbers[i], texts[i] = p.Number, p.Text
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO pages (sha256, engine, number, text)
		SELECT $1, $2, number, text
		FROM unnest($3::integer[], $4::text[]) AS p (number, text)
		ON CONFLICT (sha256, engine, number) DO UPDATE SET text = excluded.text`, x.SHA256, x.Engine, numbers, texts)
	return err
}

// FinishExtraction stores the last pages and marks the extraction complete.
// Pages beyond Info.Pages, which an earlier attempt may have left, are removed.
func (db *DB) FinishExtraction(ctx context.Context, a Attempt, x Extraction, last []voiceassist.Page) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if err := addPages(ctx, tx, x, last); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			DELETE FROM pages WHERE sha256 = $1 AND engine = $2 AND number > $3`, x.SHA256, x.Engine, x.Info.Pages); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO extractions (sha256, engine, page_count, title, author)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT DO NOTHING`, x.SHA256, x.Engine, x.Info.Pages, x.Info.Title, x.Info.Author)
		return err
	})
}

// Pages returns up to limit pages of an extraction, from number first on.
func (db *DB) Pages(ctx context.Context, sha256, engine string, first, limit int) ([]voiceassist.Page, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT number, text
		FROM pages
		WHERE sha256 = $1 AND engine = $2 AND number >= $3
		ORDER BY number
		LIMIT $4`, sha256, engine, first, limit)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p voiceassist.Page, err error) {
		err = row.Scan(&p.Number, &p.Text)
		return p, err
	})
}

// PageText returns the text of one page of a generation of a living document;
// generation 0 is the active one. NotFound if any of them is not there.
func (db *DB) PageText(ctx context.Context, documentID uuid.UUID, generation, page int) (voiceassist.Page, error) {
	p := voiceassist.Page{Number: page}
	err := db.pool.QueryRow(ctx, `
		SELECT p.text
		FROM documents d
		JOIN generations g ON g.document_id = d.id AND g.number = CASE WHEN $2 = 0 THEN d.generation ELSE $2 END
		JOIN pages p ON p.sha256 = d.sha256 AND p.engine = g.engine AND p.number = $3
		WHERE d.id = $1 AND d.deleted_at IS NULL`, documentID, generation, page).Scan(&p.Text)
	if err != nil {
		return p, notFound(err, "page")
	}
	return p, nil
}

// Recipe is how the passages of a generation are made.
type Recipe struct {
	Engine  string
	Chunker string
	Profile string // of the dense vectors; "" is lexical only
}

// BeginGeneration opens a generation that no attempt has had before and returns
// its number, so that what a worker that lost its job still writes to the index
// can harm nobody. Passages that earlier attempts left are removed.
func (db *DB) BeginGeneration(ctx context.Context, a Attempt, r Recipe) (number int, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `
			INSERT INTO generations (document_id, number, engine, chunker, profile)
			SELECT id, 1 + coalesce((SELECT max(number) FROM generations WHERE document_id = $1), 0), $2, $3, $4
			FROM documents
			WHERE id = $1
			RETURNING number`, a.DocumentID, r.Engine, r.Chunker, r.Profile).Scan(&number); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM passages p
			USING documents d
			WHERE d.id = $1 AND p.document_id = d.id AND p.generation <> d.generation`, a.DocumentID)
		return err
	})
	return number, err
}

// AddPassages stores passages of a generation that is being built.
func (db *DB) AddPassages(ctx context.Context, a Attempt, passages []voiceassist.Passage) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"passages"},
			[]string{"id", "document_id", "generation", "ordinal", "page", "char_start", "char_end", "section", "text", "tokens"},
			pgx.CopyFromSlice(len(passages), func(i int) ([]any, error) {
				p := passages[i]
				return []any{p.ID, p.DocumentID, p.Generation, p.Ordinal, p.Page, p.CharStart, p.CharEnd, p.Section, p.Text, p.Tokens}, nil
			}))
		return err
	})
}

const passageColumns = `p.id, p.document_id, p.generation, p.ordinal, p.page, p.char_start, p.char_end, p.section, p.text, p.tokens`

func passageFields(p *voiceassist.Passage) []any {
	return []any{&p.ID, &p.DocumentID, &p.Generation, &p.Ordinal, &p.Page, &p.CharStart, &p.CharEnd, &p.Section, &p.Text, &p.Tokens}
}

func scanPassage(row pgx.CollectableRow) (voiceassist.Passage, error) {
	var p voiceassist.Passage
	err := row.Scan(passageFields(&p)...)
	return p, err
}

// GenerationPassages returns up to limit passages of a generation, from the
// given ordinal on, in order.
func (db *DB) GenerationPassages(ctx context.Context, documentID uuid.UUID, generation, first, limit int) ([]voiceassist.Passage, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+passageColumns+`
		FROM passages p
		WHERE p.document_id = $1 AND p.generation = $2 AND p.ordinal >= $3
		ORDER BY p.ordinal
		LIMIT $4`, documentID, generation, first, limit)
	if err != nil {
		return nil, classify(err)
	}
	return pgx.CollectRows(rows, scanPassage)
}

// Passages returns a page of the active generation's passages of a living
// document, in order, and how many there are.
func (db *DB) Passages(ctx context.Context, documentID uuid.UUID, offset, limit int) ([]voiceassist.Passage, int, error) {
	d, err := db.Document(ctx, documentID)
	if err != nil || d.Generation == 0 {
		return nil, 0, err
	}
	passages, err := db.GenerationPassages(ctx, documentID, d.Generation, offset, limit)
	return passages, d.PassageCount, err
}

// Publication is what becomes of a document when a generation takes over.
type Publication struct {
	Generation int
	Version    int // of the document that the generation was made for
	Info       voiceassist.FileInfo
	Passages   int
	Tokens     int
}

// Publish makes a generation the active one and removes the passages of the
// ones before it. A document without a title or an author takes the file's
// own; failing that the title is the file's name. If the document was edited
// while the generation was made, its points are refreshed by a job.
func (db *DB) Publish(ctx context.Context, a Attempt, p Publication) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		var edited bool
		if err := tx.QueryRow(ctx, `
			UPDATE documents d
			SET generation = $2, page_count = $3, passage_count = $4, token_count = $5,
				title = CASE WHEN d.title = '' THEN $6 ELSE d.title END,
				author = CASE WHEN d.author = '' THEN $7 ELSE d.author END,
				version = d.version + CASE WHEN d.generation > 0 THEN 1 ELSE 0 END, updated_at = now()
			FROM documents was
			WHERE d.id = $1 AND d.deleted_at IS NULL AND was.id = d.id
			RETURNING was.version <> $8`,
			a.DocumentID, p.Generation, p.Info.Pages, p.Passages, p.Tokens, p.Info.Title, p.Info.Author, p.Version).Scan(&edited); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec(ctx, `
			WITH generation AS (
				UPDATE generations
				SET title = $3
				WHERE document_id = $1 AND number = $2
			)
			DELETE FROM passages
			WHERE document_id = $1 AND generation < $2`, a.DocumentID, p.Generation, p.Info.Title); err != nil {
			return err
		}
		if edited {
			if _, err := addJob(ctx, tx, newJob{document: a.DocumentID, kind: voiceassist.JobRefresh}); err != nil {
				return err
			}
		}
		return corpusChanged(ctx, tx, a.DocumentID)
	})
}

// Indexed calls each with every living document's active generation and its
// number of passages, in no order: what the index should hold.
func (db *DB) Indexed(ctx context.Context, each func(documentID uuid.UUID, generation, passages int) error) error {
	rows, err := db.pool.Query(ctx, `
		SELECT id, generation, passage_count
		FROM documents
		WHERE deleted_at IS NULL AND generation > 0`)
	if err != nil {
		return classify(err)
	}
	var id uuid.UUID
	var generation, passages int
	_, err = pgx.ForEachRow(rows, []any{&id, &generation, &passages}, func() error {
		return each(id, generation, passages)
	})
	return classify(err)
}

// Vectors returns the stored vectors of a profile, by the SHA-256 of their
// text, of those asked for that are there. Components are half floats, little
// endian.
func (db *DB) Vectors(ctx context.Context, profile string, digests [][]byte) (map[[32]byte][]byte, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT text_sha256, vector
		FROM vectors
		WHERE profile = $1 AND text_sha256 = ANY($2)`, profile, digests)
	if err != nil {
		return nil, classify(err)
	}
	found := make(map[[32]byte][]byte, len(digests))
	var digest, vector []byte
	_, err = pgx.ForEachRow(rows, []any{&digest, &vector}, func() error {
		found[[32]byte(digest)] = vector
		vector = nil
		return nil
	})
	return found, classify(err)
}

// AddVectors stores vectors; one that is there already stays as it is.
func (db *DB) AddVectors(ctx context.Context, profile string, digests, vectors [][]byte) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO vectors (profile, text_sha256, vector)
		SELECT $1, digest, vector
		FROM unnest($2::bytea[], $3::bytea[]) AS v (digest, vector)
		ON CONFLICT DO NOTHING`, profile, digests, vectors)
	return classify(err)
}
