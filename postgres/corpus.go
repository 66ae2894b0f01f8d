package postgres

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// CorpusVersion returns a number that grows with every change of what can be
// found, as it commits and again when the index has followed.
func (db *DB) CorpusVersion(ctx context.Context) (version int64, err error) {
	err = db.pool.QueryRow(ctx, `SELECT sum(changes)::bigint FROM corpus_version`).Scan(&version)
	return version, classify(err)
}

// corpusChanged notes in tx that what can be found of a document changes. It is
// the last statement of tx: others who change documents of the same row wait
// for its end.
func corpusChanged(ctx context.Context, tx pgx.Tx, documentID uuid.UUID) error {
	var b pgx.Batch
	queueCorpusChange(&b, documentID)
	return tx.SendBatch(ctx, &b).Close()
}

func queueCorpusChange(b *pgx.Batch, documentID uuid.UUID) {
	b.Queue(`
		UPDATE corpus_version
		SET changes = changes + 1
		WHERE stripe = $1`, documentID[15]%16)
}

// UpdateDocument changes what is said of a living document and returns it. If
// its points in the index say the same, a job will bring them in line. Possible
// ends: success, also when nothing was to change; NotFound; Conflict when the
// document is of another version than the one edited.
func (db *DB) UpdateDocument(ctx context.Context, id uuid.UUID, e voiceassist.DocumentEdit) (d voiceassist.Document, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		was, err := lockDocument(ctx, tx, id)
		if err != nil {
			return err
		}
		if e.Version != 0 && e.Version != was.Version {
			return voiceassist.Errorf(voiceassist.Conflict, "The document was changed in the meantime: it is version %d by now", was.Version)
		}
		changed := applyEdit(&was, e)
		if d = was; len(changed) == 0 {
			return nil
		}
		return updateDocument(ctx, tx, &d, changed)
	})
	return d, err
}

func lockDocument(ctx context.Context, tx pgx.Tx, id uuid.UUID) (voiceassist.Document, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+documentColumns+`
		FROM documents d
		WHERE d.id = $1 AND d.deleted_at IS NULL
		FOR NO KEY UPDATE`, id)
	if err != nil {
		return voiceassist.Document{}, err
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDocument)
	return d, notFound(err, "document")
}

// indexedFields are the fields that a document's points carry: as filters, and
// the title among what they are found by.
var indexedFields = []string{"title", "source_type", "specialty", "category"}

// applyEdit edits d and returns the names of the fields that have changed, in
// order.
func applyEdit(d *voiceassist.Document, e voiceassist.DocumentEdit) (changed []string) {
	for name, field := range map[string]struct{ have, want *string }{
		"title": {&d.Title, e.Title}, "author": {&d.Author, e.Author}, "source_type": {&d.SourceType, e.SourceType},
		"specialty": {&d.Specialty, e.Specialty}, "category": {&d.Category, e.Category},
	} {
		if field.want != nil && *field.want != *field.have {
			*field.have = *field.want
			changed = append(changed, name)
		}
	}
	metadata := maps.Clone(d.Metadata)
	if metadata == nil {
		metadata = make(map[string]any)
	}
	for name, value := range e.Metadata {
		if reflect.DeepEqual(metadata[name], value) {
			continue
		}
		changed = append(changed, name)
		metadata[name] = value
		if value == nil {
			delete(metadata, name)
		}
	}
	d.Metadata = metadata
	slices.Sort(changed)
	return changed
}

// updateDocument stores d, whose named fields have changed, and what follows
// from that.
func updateDocument(ctx context.Context, tx pgx.Tx, d *voiceassist.Document, changed []string) error {
	if slices.Contains(changed, "title") {
		// The vectors stay those of the title they were made under.
		if _, err := tx.Exec(ctx, `
			UPDATE generations g
			SET title = d.title
			FROM documents d
			WHERE d.id = $1 AND g.document_id = d.id AND g.number = d.generation AND g.title IS NULL`, d.ID); err != nil {
			return err
		}
	}
	if err := tx.QueryRow(ctx, `
		UPDATE documents
		SET title = $2, author = $3, source_type = $4, specialty = $5, category = $6, metadata = $7,
			version = version + 1, updated_at = now()
		WHERE id = $1
		RETURNING version, updated_at`,
		d.ID, d.Title, d.Author, d.SourceType, d.Specialty, d.Category, d.Metadata).Scan(&d.Version, &d.UpdatedAt); err != nil {
		return err
	}
	if d.Generation > 0 && slices.ContainsFunc(changed, func(f string) bool { return slices.Contains(indexedFields, f) }) {
		if _, err := addJob(ctx, tx, newJob{document: d.ID, kind: voiceassist.JobRefresh, queue: voiceassist.QueueInteractive}); err != nil {
			return err
		}
	}
	if err := addAudit(ctx, tx, voiceassist.AuditEntry{
		Action: "document.updated", ResourceType: "document", ResourceID: d.ID.String(),
		Details: map[string]any{"fields": changed, "version": d.Version},
	}); err != nil {
		return err
	}
	return corpusChanged(ctx, tx, d.ID)
}

// EmbeddedAs returns the title and the profile under which the vectors of a
// generation are stored.
func (db *DB) EmbeddedAs(ctx context.Context, documentID uuid.UUID, generation int) (title, profile string, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT coalesce(g.title, d.title), g.profile
		FROM documents d
		JOIN generations g ON g.document_id = d.id AND g.number = $2
		WHERE d.id = $1`, documentID, generation).Scan(&title, &profile)
	return title, profile, notFound(err, "generation")
}

// CompleteRefresh ends a refresh that brought the document's points in line
// with a version of it. If the document was edited since, the job runs again.
func (db *DB) CompleteRefresh(ctx context.Context, a Attempt, version int, timeline []voiceassist.JobEvent) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, a); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE jobs j
			SET state = CASE WHEN d.version = $2 THEN 'completed' ELSE 'pending' END,
				completed_at = CASE WHEN d.version = $2 THEN now() END, lease_until = NULL, published_at = NULL, run_at = now(),
				given_back = given_back + CASE WHEN d.version = $2 THEN 0 ELSE 1 END, progress = 100, stage = ''
			FROM documents d
			WHERE j.id = $1 AND d.id = j.document_id`, a.JobID, version); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_notify('`+JobsChannel+`', '')`); err != nil {
			return err
		}
		if err := addEvents(ctx, tx, a.JobID, timeline); err != nil {
			return err
		}
		return corpusChanged(ctx, tx, a.DocumentID)
	})
}
