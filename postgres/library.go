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
	Bad    []voiceassist.BadPage // the pages of it that could not be read, in order
}

// BadIn returns how many bad pages there are from first to last.
func (x Extraction) BadIn(first, last int) (n int) {
	for _, p := range x.Bad {
		if first <= p.Number && p.Number <= last {
			n++
		}
	}
	return n
}

// Extraction returns what is stored of an extraction, and whether it is stored
// completely. Info.Pages is 0 before it is begun.
func (db *DB) Extraction(ctx context.Context, sha256, engine string) (x Extraction, complete bool, err error) {
	x.SHA256, x.Engine = sha256, engine
	err = db.pool.QueryRow(ctx, `
		SELECT page_count, title, author, complete
		FROM extractions
		WHERE sha256 = $1 AND engine = $2`, sha256, engine).Scan(&x.Info.Pages, &x.Info.Title, &x.Info.Author, &complete)
	if errors.Is(err, pgx.ErrNoRows) {
		return x, false, nil
	}
	if err != nil || !complete {
		return x, false, classify(err)
	}
	x.Bad, err = db.BadPages(ctx, x)
	return x, err == nil, err
}

// AddPages stores pages of an extraction that is under way. A page that is
// stored already is replaced.
func (db *DB) AddPages(ctx context.Context, a Attempt, x Extraction, pages []voiceassist.Page) error {
	numbers, texts := make([]int, len(pages)), make([]string, len(pages))
	for i, p := range pages {
		numbers[i], texts[i] = p.Number, p.Text
	}
	return db.fenced(ctx, a, func(b *pgx.Batch) {
		b.Queue(`
			INSERT INTO pages (sha256, engine, number, text)
			SELECT $1, $2, number, text
			FROM unnest($3::integer[], $4::text[]) AS p (number, text)
			ON CONFLICT (sha256, engine, number) DO UPDATE SET text = excluded.text`, x.SHA256, x.Engine, numbers, texts)
	})
}

// BeginExtraction notes what the file of an extraction says of itself, so that
// whoever goes on with it knows how many pages there are.
func (db *DB) BeginExtraction(ctx context.Context, a Attempt, x Extraction) error {
	return db.fenced(ctx, a, func(b *pgx.Batch) { queueExtraction(b, x, false) })
}

func queueExtraction(b *pgx.Batch, x Extraction, complete bool) {
	b.Queue(`
		INSERT INTO extractions AS e (sha256, engine, page_count, title, author, complete)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (sha256, engine) DO UPDATE
		SET page_count = excluded.page_count, title = excluded.title, author = excluded.author, complete = excluded.complete
		WHERE NOT e.complete`, x.SHA256, x.Engine, x.Info.Pages, x.Info.Title, x.Info.Author, complete)
}

// MissingPages returns the numbers of the pages of an extraction that are
// neither stored nor noted as bad, from First on up to Last, in order.
func (db *DB) MissingPages(ctx context.Context, x Extraction, s Span) ([]int, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT n
		FROM generate_series($3::integer, $4::integer) AS n
		WHERE NOT EXISTS (SELECT 1 FROM pages p WHERE p.sha256 = $1 AND p.engine = $2 AND p.number = n)
			AND NOT EXISTS (SELECT 1 FROM bad_pages b WHERE b.sha256 = $1 AND b.engine = $2 AND b.number = n)
		ORDER BY n`, x.SHA256, x.Engine, s.First, s.Last)
	if err != nil {
		return nil, classify(err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return missing, classify(err)
}

// FinishExtraction marks the extraction complete. It is an error unless each of
// its Info.Pages pages is stored or noted as bad. Pages beyond Info.Pages, which an earlier attempt may have left, are removed.
func (db *DB) FinishExtraction(ctx context.Context, a Attempt, x Extraction) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		return sendFenced(ctx, tx, a, func(b *pgx.Batch) {
			queueAllRead(b, x)
			b.Queue(`DELETE FROM pages WHERE sha256 = $1 AND engine = $2 AND number > $3`, x.SHA256, x.Engine, x.Info.Pages)
			queueExtraction(b, x, true)
		})
	})
}

// Pages returns the pages of an extraction under limit numbers from first on, in
// order. Bad pages are not among them.
func (db *DB) Pages(ctx context.Context, sha256, engine string, first, limit int) ([]voiceassist.Page, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT number, text
		FROM pages
		WHERE sha256 = $1 AND engine = $2 AND number >= $3 AND number < $3::integer + $4::integer
		ORDER BY number`, sha256, engine, first, limit)
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
	Title   string // under which the passages are embedded
}

// BeginGeneration opens a generation that no attempt has had before and returns
// its number, so that what a worker that lost its job still writes to the index
// can harm nobody. Passages that earlier attempts left are removed.
func (db *DB) BeginGeneration(ctx context.Context, a Attempt, r Recipe) (number int, err error) {
	err = db.fenced(ctx, a, func(b *pgx.Batch) {
		b.Queue(`
			INSERT INTO generations (document_id, number, engine, chunker, profile, title)
			SELECT id, 1 + coalesce((SELECT max(number) FROM generations WHERE document_id = $1), 0), $2, $3, $4, $5
			FROM documents
			WHERE id = $1
			RETURNING number`, a.DocumentID, r.Engine, r.Chunker, r.Profile, r.Title).QueryRow(func(row pgx.Row) error {
			return row.Scan(&number)
		})
		b.Queue(`
			DELETE FROM passages p
			USING documents d
			WHERE d.id = $1 AND p.document_id = d.id AND p.generation <> d.generation`, a.DocumentID)
	})
	return number, err
}

// Generation returns how a generation that is not the active one was made, and
// how many passages and tokens it has; none if it is not there.
func (db *DB) Generation(ctx context.Context, documentID uuid.UUID, number int) (r Recipe, passages, tokens int, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT g.engine, g.chunker, g.profile, coalesce(g.title, ''), count(p.id), coalesce(sum(p.tokens), 0)
		FROM generations g
		JOIN documents d ON d.id = g.document_id AND d.generation < g.number
		LEFT JOIN passages p ON p.document_id = g.document_id AND p.generation = g.number
		WHERE g.document_id = $1 AND g.number = $2
		GROUP BY g.document_id, g.number`, documentID, number).Scan(&r.Engine, &r.Chunker, &r.Profile, &r.Title, &passages, &tokens)
	if errors.Is(err, pgx.ErrNoRows) {
		return Recipe{}, 0, 0, nil
	}
	return r, passages, tokens, classify(err)
}

// AddPassages stores passages of a generation that is being built, each with
// the SHA-256 of the text that its vector stands for; digests is nil if they get
// none.
func (db *DB) AddPassages(ctx context.Context, a Attempt, passages []voiceassist.Passage, digests [][]byte) error {
	n := len(passages)
	ids, documents, generations := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]int, n)
	ordinals, pages, starts, ends := make([]int, n), make([]int, n), make([]int, n), make([]int, n)
	sections, texts, tokens := make([]string, n), make([]string, n), make([]int, n)
	for i, p := range passages {
		ids[i], documents[i], generations[i] = p.ID, p.DocumentID, p.Generation
		ordinals[i], pages[i], starts[i], ends[i] = p.Ordinal, p.Page, p.CharStart, p.CharEnd
		sections[i], texts[i], tokens[i] = p.Section, p.Text, p.Tokens
	}
	if digests == nil {
		digests = make([][]byte, n)
	}
	// For the few passages of most documents COPY, with what goes before it, would
	// take longer.
	return db.fenced(ctx, a, func(b *pgx.Batch) {
		b.Queue(`
		INSERT INTO passages (id, document_id, generation, ordinal, page, char_start, char_end, section, text, tokens, vector_sha256)
		SELECT *
		FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
			$8::text[], $9::text[], $10::integer[], $11::bytea[])`,
			ids, documents, generations, ordinals, pages, starts, ends, sections, texts, tokens, digests)
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
		was, err := activate(ctx, tx, a, p)
		if err != nil {
			return err
		}
		if was.version != p.Version && was.version != 0 {
			if _, err := addJob(ctx, tx, newJob{document: a.DocumentID, kind: voiceassist.JobRefresh}); err != nil {
				return err
			}
		}
		if was.generation > 0 { // else there are none
			if _, err := tx.Exec(ctx, `
				DELETE FROM passages
				WHERE document_id = $1 AND generation < $2`, a.DocumentID, p.Generation); err != nil {
				return err
			}
		}
		return corpusChanged(ctx, tx, a.DocumentID)
	})
}

// before is what Publish finds; zero of a deleted document.
type before struct{ generation, version int }

// activate makes a generation of a living document the active one and returns
// how the document was.
func activate(ctx context.Context, tx pgx.Tx, a Attempt, p Publication) (was before, err error) {
	err = sendFenced(ctx, tx, a, func(b *pgx.Batch) {
		b.Queue(`
			UPDATE documents d
			SET generation = $2, page_count = $3, passage_count = $4, token_count = $5,
				bad_pages = (
					SELECT coalesce(jsonb_agg(jsonb_build_object('page', b.number, 'reason', b.reason) ORDER BY b.number), '[]')
					FROM generations g
					JOIN bad_pages b ON b.sha256 = d.sha256 AND b.engine = g.engine
					WHERE g.document_id = d.id AND g.number = $2
				),
				title = CASE WHEN d.title = '' THEN $6 ELSE d.title END,
				author = CASE WHEN d.author = '' THEN $7 ELSE d.author END,
				version = d.version + CASE WHEN d.generation > 0 THEN 1 ELSE 0 END, updated_at = now()
			FROM documents was
			WHERE d.id = $1 AND d.deleted_at IS NULL AND was.id = d.id
			RETURNING was.generation, was.version`,
			a.DocumentID, p.Generation, p.Info.Pages, p.Passages, p.Tokens, p.Info.Title, p.Info.Author).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&was.generation, &was.version); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
	})
	return was, err
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
