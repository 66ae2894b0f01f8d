package postgres

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// batchFileColumns of batch_fates f are read by scanBatchFile.
const batchFileColumns = `
	f.id, f.name, f.size, f.sha256, f.fate, f.reason, f.message, f.document_id,
	(SELECT j.id FROM jobs j WHERE j.document_id = f.document_id AND j.kind = 'index' ORDER BY j.created_at DESC, j.id DESC LIMIT 1),
	f.added_at, f.received_at, f.finished_at`

func scanBatchFile(row pgx.CollectableRow) (voiceassist.BatchFile, error) {
	var f voiceassist.BatchFile
	err := row.Scan(&f.ID, &f.Name, &f.Size, &f.SHA256, &f.Fate, &f.Reason, &f.Message, &f.DocumentID, &f.JobID,
		&f.AddedAt, &f.ReceivedAt, &f.FinishedAt)
	return f, err
}

// BatchFiles returns the files of a batch that f selects, a page of them, and
// how many there are in all; NotFound if there is no such batch.
func (db *DB) BatchFiles(ctx context.Context, id uuid.UUID, f voiceassist.BatchFileFilter) (files []voiceassist.BatchFile, total int, err error) {
	const where = ` f.batch_id = $1 AND ($2 = '' OR f.fate = $2) AND ($3 = '' OR f.name ILIKE $3) `
	search := ""
	if f.Search != "" {
		search = "%" + likeEscaper.Replace(f.Search) + "%"
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := batchExists(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM batch_fates f WHERE`+where, id, string(f.Fate), search).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT `+batchFileColumns+`
			FROM batch_fates f
			WHERE`+where+`
			ORDER BY f.id
			LIMIT $4 OFFSET $5`, id, string(f.Fate), search, f.Limit, f.Offset)
		if err != nil {
			return err
		}
		files, err = pgx.CollectRows(rows, scanBatchFile)
		return err
	})
	return files, total, err
}

func batchExists(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	var one int
	return notFound(tx.QueryRow(ctx, `SELECT 1 FROM batches WHERE id = $1`, id).Scan(&one), "batch")
}

// EachBatchFile returns every file of a batch in the order of the manifest, as
// they stood at one moment. An error ends the sequence. While it runs it holds
// a connection and one row.
func (db *DB) EachBatchFile(ctx context.Context, id uuid.UUID) iter.Seq2[voiceassist.BatchFile, error] {
	return func(yield func(voiceassist.BatchFile, error) bool) {
		rows, err := db.pool.Query(ctx, `
			SELECT `+batchFileColumns+`
			FROM batch_fates f
			WHERE f.batch_id = $1
			ORDER BY f.id`, id)
		if err != nil {
			yield(voiceassist.BatchFile{}, classify(err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			f, err := scanBatchFile(rows)
			if !yield(f, classify(err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(voiceassist.BatchFile{}, classify(err))
		}
	}
}

// SkipBatchFile notes that a file of a batch was refused unread, and why. Only a
// file that is awaited, or was skipped before, changes; a batch without a
// manifest gets to know the file by that.
func (db *DB) SkipBatchFile(ctx context.Context, id uuid.UUID, name string, reason voiceassist.Reason, message string) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		b, err := lockBatch(ctx, tx, id, together)
		if err != nil {
			return err
		}
		if err := b.TakesFiles(); err != nil {
			return err
		}
		if !b.Manifest {
			_, err := tx.Exec(ctx, `
				INSERT INTO batch_files (batch_id, name, state, reason, message, received_at)
				VALUES ($1, $2, 'skipped', $3, $4, now())
				ON CONFLICT (batch_id, name, sha256) DO UPDATE SET reason = $3, message = $4`, id, name, string(reason), message)
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE batch_files
			SET state = 'skipped', reason = $3, message = $4, received_at = now()
			WHERE batch_id = $1 AND name = $2 AND state IN ('awaited', 'skipped')`, id, name, string(reason), message)
		return err
	})
}

// batchEntry is a row of batch_files while a file is taken in for it.
type batchEntry struct {
	id       int64
	name     string
	state    string
	document *uuid.UUID
}

// otherFile is what an upload is that its batch announces with other bytes.
type otherFile struct {
	entry int64
	name  string
}

func (o *otherFile) Error() string { return "the manifest has other bytes under this name" }

// refusal is what the uploader is told.
func (o *otherFile) refusal() error {
	return voiceassist.FieldError("file", "these are not the bytes that the manifest announces under the name %q: their SHA-256 differs", o.name)
}

// noteOtherFile notes in the account why a file is still awaited.
func (db *DB) noteOtherFile(ctx context.Context, o *otherFile) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE batch_files
		SET reason = $2, message = 'An upload under this name was refused: its SHA-256 is not the one of the manifest.'
		WHERE id = $1 AND state = 'awaited'`, o.entry, string(voiceassist.ReasonOther))
	return classify(err)
}

// addBatchDocument is addDocument for a file of a batch: the row of the file
// changes with the library.
func addBatchDocument(ctx context.Context, tx pgx.Tx, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Accepted, string, error) {
	b, err := lockBatch(ctx, tx, *m.BatchID, together)
	if err != nil {
		return voiceassist.Accepted{}, "", err
	}
	if err := b.TakesFiles(); err != nil {
		return voiceassist.Accepted{}, "", err
	}
	entry, err := entryFor(ctx, tx, b, r, cmp.Or(m.BatchName, r.Filename))
	if err != nil {
		return voiceassist.Accepted{}, "", err
	}
	a, obsolete, err := addDocument(ctx, tx, r, withDefaults(m, b.Defaults))
	if err != nil {
		return a, obsolete, err
	}
	return a, obsolete, settleEntry(ctx, tx, b.ID, entry, r, a, obsolete)
}

// withDefaults fills in what the upload did not say.
func withDefaults(m voiceassist.DocumentMeta, d voiceassist.BatchDefaults) voiceassist.DocumentMeta {
	m.SourceType = cmp.Or(m.SourceType, d.SourceType)
	m.Specialty = cmp.Or(m.Specialty, d.Specialty)
	m.Category = cmp.Or(m.Category, d.Category)
	m.Author = cmp.Or(m.Author, d.Author)
	return m
}

// entryFor locks the row of a file that has arrived: the one that announces its
// bytes, by preference under its name. Without a manifest it is added. A file
// that no row announces is an *otherFile if one has its name, or Invalid.
func entryFor(ctx context.Context, tx pgx.Tx, b voiceassist.Batch, r voiceassist.Received, name string) (e batchEntry, err error) {
	if !b.Manifest {
		if _, err := tx.Exec(ctx, `
			INSERT INTO batch_files (batch_id, name, size, sha256, state)
			VALUES ($1, $2, $3, $4, 'awaited')
			ON CONFLICT (batch_id, name, sha256) DO NOTHING`, b.ID, name, r.Size, r.SHA256); err != nil {
			return e, err
		}
	}
	announced, err := entriesOf(ctx, tx, b.ID, r.SHA256)
	if err != nil {
		return e, err
	}
	for _, better := range []func(batchEntry) bool{
		func(e batchEntry) bool { return e.name == name },
		func(e batchEntry) bool { return e.state == "awaited" },
		func(batchEntry) bool { return true },
	} {
		if i := slices.IndexFunc(announced, better); i >= 0 {
			return announced[i], nil
		}
	}
	return e, noEntry(ctx, tx, b.ID, name)
}

// entriesOf locks the rows of a batch that announce some bytes, all of them, so
// that two uploads of the same bytes do not wait in a circle.
func entriesOf(ctx context.Context, tx pgx.Tx, batchID uuid.UUID, sha256 string) ([]batchEntry, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, name, state, document_id
		FROM batch_files
		WHERE batch_id = $1 AND sha256 = $2
		ORDER BY id
		FOR NO KEY UPDATE`, batchID, sha256)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e batchEntry, err error) {
		err = row.Scan(&e.id, &e.name, &e.state, &e.document)
		return e, err
	})
}

// noEntry says why a batch does not take a file.
func noEntry(ctx context.Context, tx pgx.Tx, batchID uuid.UUID, name string) error {
	other := &otherFile{name: name}
	err := tx.QueryRow(ctx, `
		SELECT id
		FROM batch_files
		WHERE batch_id = $1 AND name = $2
		ORDER BY id DESC
		LIMIT 1`, batchID, name).Scan(&other.entry)
	if errors.Is(err, pgx.ErrNoRows) {
		return voiceassist.FieldError("file", "the manifest of the batch has no such file: neither its name nor its bytes")
	}
	if err != nil {
		return err
	}
	return other
}

// settleEntry notes what became of a file that has arrived, and that further
// files with its bytes need not. A file that only repeats a document is a
// duplicate, unless it has that document indexed again.
func settleEntry(ctx context.Context, tx pgx.Tx, batchID uuid.UUID, e batchEntry, r voiceassist.Received, a voiceassist.Accepted, obsolete string) error {
	repeats := a.Duplicate && obsolete == r.BlobKey
	if repeats && e.state == "received" && e.document != nil && *e.document == a.Document.ID {
		return nil // it arrived before
	}
	if _, err := tx.Exec(ctx, `
		UPDATE batch_files
		SET state = CASE WHEN $3 OR EXISTS (
				SELECT 1
				FROM batch_files o
				WHERE o.batch_id = $4 AND o.document_id = $2 AND o.state = 'received' AND o.id <> $1
			) THEN 'duplicate' ELSE 'received' END,
			reason = '', message = '', document_id = $2, received_at = now()
		WHERE id = $1`, e.id, a.Document.ID, repeats, batchID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE batch_files
		SET state = 'duplicate', reason = '', message = '', document_id = $3, received_at = now()
		WHERE batch_id = $1 AND sha256 = $2 AND state = 'awaited'`, batchID, r.SHA256, a.Document.ID)
	return err
}
