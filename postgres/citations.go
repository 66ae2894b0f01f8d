package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// citationColumns are read by scanCitation, in this order.
const citationColumns = `
	c.id, c.message_id, c.index, c.document_id, c.passage_id, c.generation, c.page, c.char_start, c.char_end, c.quote,
	c.section, c.title, c.source_type, c.authors, c.journal, c.year, c.doi, c.pubmed_id, c.url, c.score`

func scanCitation(row pgx.CollectableRow) (voiceassist.Citation, error) {
	var c voiceassist.Citation
	err := row.Scan(&c.ID, &c.MessageID, &c.Index, &c.DocumentID, &c.PassageID, &c.Generation, &c.Page, &c.CharStart, &c.CharEnd,
		&c.Quote, &c.Section, &c.Title, &c.SourceType, &c.Authors, &c.Journal, &c.Year, &c.DOI, &c.PubMedID, &c.URL, &c.Score)
	return c, err
}

// attachCitations gives each message its citations, by index, in one query, and
// its attachments in another.
func (db *DB) attachCitations(ctx context.Context, messages []voiceassist.Message) error {
	place := make(map[uuid.UUID]int, len(messages))
	ids := make([]uuid.UUID, len(messages))
	for i, m := range messages {
		place[m.ID], ids[i] = i, m.ID
	}
	rows, err := db.pool.Query(ctx, `
		SELECT `+citationColumns+`
		FROM citations c
		WHERE c.message_id = ANY ($1)
		ORDER BY c.message_id, c.index`, ids)
	if err != nil {
		return classify(err)
	}
	citations, err := pgx.CollectRows(rows, scanCitation)
	if err != nil {
		return classify(err)
	}
	for _, c := range citations {
		m := &messages[place[c.MessageID]]
		m.Citations = append(m.Citations, c)
	}
	return db.attachFiles(ctx, messages)
}

// insertCitations stores citations of a message and gives them their ids.
func insertCitations(ctx context.Context, tx pgx.Tx, message uuid.UUID, citations []voiceassist.Citation) error {
	columns := []string{
		"id", "message_id", "index", "document_id", "passage_id", "generation", "page", "char_start", "char_end", "quote",
		"section", "title", "source_type", "authors", "journal", "year", "doi", "pubmed_id", "url", "score",
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"citations"}, columns, pgx.CopyFromSlice(len(citations), func(i int) ([]any, error) {
		c := &citations[i]
		c.ID, c.MessageID = uuid.Must(uuid.NewV7()), message
		if c.Authors == nil {
			c.Authors = []string{}
		}
		return []any{
			c.ID, c.MessageID, c.Index, c.DocumentID, c.PassageID, c.Generation, c.Page, c.CharStart, c.CharEnd, c.Quote,
			c.Section, c.Title, c.SourceType, c.Authors, c.Journal, c.Year, c.DOI, c.PubMedID, c.URL, c.Score,
		}, nil
	}))
	return err
}

// Citation returns a citation of one of the user's answers, and the passage it
// quotes; the passage is nil when the library no longer holds it.
func (db *DB) Citation(ctx context.Context, userID, id uuid.UUID) (voiceassist.Citation, *voiceassist.Passage, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+citationColumns+`
		FROM citations c
		JOIN messages m ON m.id = c.message_id
		JOIN conversations v ON v.id = m.conversation_id
		WHERE c.id = $1 AND v.user_id = $2`, id, userID)
	if err != nil {
		return voiceassist.Citation{}, nil, classify(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCitation)
	if err != nil {
		return voiceassist.Citation{}, nil, notFound(err, "citation")
	}
	rows, err = db.pool.Query(ctx, `
		SELECT p.id, p.document_id, p.generation, p.ordinal, p.page, p.char_start, p.char_end, p.section, p.text, p.tokens
		FROM passages p
		JOIN documents d ON d.id = p.document_id AND d.deleted_at IS NULL
		WHERE p.id = $1`, c.PassageID)
	if err != nil {
		return c, nil, classify(err)
	}
	passages, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[voiceassist.Passage])
	if err != nil || len(passages) == 0 {
		return c, nil, classify(err)
	}
	return c, passages[0], nil
}
