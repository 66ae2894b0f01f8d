package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// documentColumns are read by scanDocument, in this order.
const documentColumns = `
	d.id, d.sha256, d.size, d.filename, d.media_type, d.blob_key, d.title, d.source_type, d.specialty, d.category,
	d.author, d.metadata, d.state, d.stage, d.progress, d.error_code, d.error_message, d.page_count, d.passage_count,
	d.bad_pages, d.token_count, d.generation, d.version, d.uploaded_by, d.created_at, d.updated_at, d.indexed_at, d.deleted_at`

func documentFields(d *voiceassist.Document) []any {
	return []any{
		&d.ID, &d.SHA256, &d.Size, &d.Filename, &d.MediaType, &d.BlobKey, &d.Title, &d.SourceType, &d.Specialty, &d.Category,
		&d.Author,
		jsonInto[map[string]any]{&d.Metadata},
		&d.State, &d.Stage, &d.Progress, &d.ErrorCode, &d.ErrorMessage, &d.PageCount, &d.PassageCount,
		jsonInto[[]voiceassist.BadPage]{&d.BadPages},
		&d.TokenCount, &d.Generation, &d.Version, &d.UploadedBy, &d.CreatedAt, &d.UpdatedAt, &d.IndexedAt, &d.DeletedAt,
	}
}

// jsonInto scans JSON into what it holds, and an empty object or array, as most
// documents have them, as nil, without parsing it.
type jsonInto[T any] struct{ to *T }

// ScanBytes implements pgtype.BytesScanner.
func (j jsonInto[T]) ScanBytes(src []byte) error {
	if len(src) <= len("{}") {
		*j.to = *new(T)
		return nil
	}
	return json.Unmarshal(src, j.to)
}

func scanDocument(row pgx.CollectableRow) (voiceassist.Document, error) {
	var d voiceassist.Document
	err := row.Scan(documentFields(&d)...)
	return d, err
}

// AddDocument takes a received upload into the ledger, with the job that will
// index it. The same bytes as a living document's are a duplicate of it: a
// failed one is tried again from the new bytes, any other stays as it is.
// obsolete is the key of a blob that nothing refers to any more, or "". With a
// batch, the batch's account changes with the library or not at all; it is
// NotFound, a Conflict if the batch takes no files, or Invalid if its manifest
// has no such file.
func (db *DB) AddDocument(ctx context.Context, r voiceassist.Received, m voiceassist.DocumentMeta) (a voiceassist.Accepted, obsolete string, err error) {
	add := addDocument
	if m.BatchID != nil {
		add = addBatchDocument
	}
	once := func(tx pgx.Tx) error {
		a, obsolete, err = add(ctx, tx, r, m)
		return err
	}
	if err = db.tx(ctx, once); violates(err, "documents_sha256_key") { // somebody committed the same bytes a moment ago
		err = db.tx(ctx, once)
	}
	if other, ok := errors.AsType[*otherFile](err); ok {
		err = errors.Join(other.refusal(), db.noteOtherFile(ctx, other))
	}
	return a, obsolete, err
}

func addDocument(ctx context.Context, tx pgx.Tx, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Accepted, string, error) {
	old, err := documentBySHA256(ctx, tx, r.SHA256)
	if err == nil {
		return acceptAgain(ctx, tx, old, r, m)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return voiceassist.Accepted{}, "", err
	}
	d, err := insertDocument(ctx, tx, r, m)
	if err != nil {
		return voiceassist.Accepted{}, "", err
	}
	job, err := addJob(ctx, tx, newJob{document: d.ID, kind: voiceassist.JobIndex, queue: m.Queue, lane: m.Lane()})
	if err != nil {
		return voiceassist.Accepted{}, "", err
	}
	err = addAudit(ctx, tx, aboutDocument("document.uploaded", d.ID, map[string]any{"job_id": job.ID, "sha256": r.SHA256, "size": r.Size}))
	return voiceassist.Accepted{Document: d, JobID: job.ID}, "", err
}

// aboutDocument is an audit entry about a document. Its name and title are not
// in it: uploaders write what they like into them.
func aboutDocument(action string, id uuid.UUID, details map[string]any) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{Action: action, ResourceType: "document", ResourceID: id.String(), Details: details}
}

func documentBySHA256(ctx context.Context, tx pgx.Tx, sha256 string) (voiceassist.Document, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+documentColumns+`
		FROM documents d
		WHERE d.sha256 = $1 AND d.deleted_at IS NULL
		FOR NO KEY UPDATE`, sha256)
	if err != nil {
		return voiceassist.Document{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanDocument)
}

func insertDocument(ctx context.Context, tx pgx.Tx, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Document, error) {
	rows, err := tx.Query(ctx, `
		INSERT INTO documents AS d
			(id, sha256, size, filename, media_type, blob_key, title, source_type, specialty, category, author, uploaded_by, state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'uploaded')
		RETURNING `+documentColumns,
		uuid.Must(uuid.NewV7()), r.SHA256, r.Size, r.Filename, r.MediaType, r.BlobKey,
		m.Title, m.SourceType, m.Specialty, m.Category, m.Author, m.UploadedBy)
	if err != nil {
		return voiceassist.Document{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanDocument)
}

func acceptAgain(ctx context.Context, tx pgx.Tx, d voiceassist.Document, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Accepted, string, error) {
	a := voiceassist.Accepted{Document: d, Duplicate: true}
	if d.State != voiceassist.DocumentFailed && d.State != voiceassist.DocumentCancelled {
		err := tx.QueryRow(ctx, `
			SELECT id
			FROM jobs
			WHERE document_id = $1 AND kind = 'index' AND `+unfinished, d.ID).Scan(&a.JobID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return a, "", err
		}
		return a, r.BlobKey, addAudit(ctx, tx, aboutDocument("document.duplicate", d.ID, nil))
	}
	if _, err := tx.Exec(ctx, `
		UPDATE documents
		SET state = 'uploaded', stage = '', progress = 0, error_code = '', error_message = '', blob_key = $2, updated_at = now()
		WHERE id = $1`, d.ID, r.BlobKey); err != nil {
		return a, "", err
	}
	a.Document.State, a.Document.BlobKey = voiceassist.DocumentUploaded, r.BlobKey
	a.Document.ErrorCode, a.Document.ErrorMessage = "", ""
	job, err := addJob(ctx, tx, newJob{document: d.ID, kind: voiceassist.JobIndex, queue: m.Queue, lane: m.Lane()})
	if err != nil {
		return a, "", err
	}
	a.JobID = job.ID
	return a, d.BlobKey, addAudit(ctx, tx, aboutDocument("document.retried", d.ID, map[string]any{"job_id": job.ID}))
}

// HasBlob reports whether a document's original is kept under a key.
func (db *DB) HasBlob(ctx context.Context, key string) (has bool, err error) {
	err = db.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM documents WHERE blob_key = $1)`, key).Scan(&has)
	return has, classify(err)
}

// Document returns a living document, or NotFound.
func (db *DB) Document(ctx context.Context, id uuid.UUID) (voiceassist.Document, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+documentColumns+`
		FROM documents d
		WHERE d.id = $1 AND d.deleted_at IS NULL`, id)
	if err != nil {
		return voiceassist.Document{}, classify(err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDocument)
	if err != nil {
		return voiceassist.Document{}, notFound(err, "document")
	}
	return d, nil
}

// documentOrders are the sort keys of DocumentFilter.
var documentOrders = map[string]string{
	"created_at":  "d.created_at, d.id",
	"-created_at": "d.created_at DESC, d.id DESC",
	"updated_at":  "d.updated_at, d.id",
	"-updated_at": "d.updated_at DESC, d.id DESC",
	"title":       "lower(d.title), d.id",
	"-title":      "lower(d.title) DESC, d.id DESC",
	"filename":    "lower(d.filename), d.id",
	"-filename":   "lower(d.filename) DESC, d.id DESC",
	"size":        "d.size, d.id",
	"-size":       "d.size DESC, d.id DESC",
}

// documentsMatching is the WHERE clause of a filter with its arguments.
func documentsMatching(f voiceassist.DocumentFilter) (where string, args []any) {
	where = `d.deleted_at IS NULL`
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += strings.ReplaceAll(condition, "$", fmt.Sprintf("$%d", len(args)))
	}
	if f.IDs != nil {
		add(` AND d.id = ANY($)`, f.IDs)
	}
	if f.States != nil {
		add(` AND d.state = ANY($)`, f.States)
	}
	if f.SourceType != "" {
		add(` AND d.source_type = $`, f.SourceType)
	}
	if f.Specialty != "" {
		add(` AND d.specialty = $`, f.Specialty)
	}
	if f.Category != "" {
		add(` AND d.category = $`, f.Category)
	}
	if f.Search != "" {
		add(` AND (d.title ILIKE $ OR d.filename ILIKE $)`, "%"+likeEscaper.Replace(f.Search)+"%")
	}
	return where, args
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Documents returns the living documents that f selects, a page of them, and
// how many there are in all. An unknown Sort is an Invalid error.
func (db *DB) Documents(ctx context.Context, f voiceassist.DocumentFilter) (docs []voiceassist.Document, total int, err error) {
	order := documentOrders["-created_at"]
	if f.Sort != "" {
		if order = documentOrders[f.Sort]; order == "" {
			return nil, 0, voiceassist.FieldError("sort", "sort must be one of created_at, updated_at, title, filename and size, with or without a leading -")
		}
	}
	where, args := documentsMatching(f)
	limit, pageArgs := pageClause(f.Limit, f.Offset, args)
	rows, err := db.pool.Query(ctx, `
		SELECT `+documentColumns+`, (SELECT count(*) FROM documents d WHERE `+where+`)
		FROM documents d
		WHERE `+where+`
		ORDER BY `+order+limit, pageArgs...)
	if err != nil {
		return nil, 0, classify(err)
	}
	docs, err = pgx.AppendRows(make([]voiceassist.Document, 0, f.Limit), rows, func(row pgx.CollectableRow) (d voiceassist.Document, err error) {
		err = row.Scan(append(documentFields(&d), &total)...)
		return d, err
	})
	if err == nil && len(docs) == 0 && f.Offset > 0 { // beyond the end no row tells how many there are
		err = db.pool.QueryRow(ctx, `SELECT count(*) FROM documents d WHERE `+where, args...).Scan(&total)
	}
	return docs, total, classify(err)
}

// Reindex runs documents through the pipeline again, as a new generation. A
// document that is being indexed already joins that job. An id that is not a
// living document's is a NotFound error and nothing is done. nil means all
// documents: those are taken a batch at a time, each in a transaction of its
// own, so that nobody waits for long.
func (db *DB) Reindex(ctx context.Context, ids []uuid.UUID) (jobs []voiceassist.Job, err error) {
	if ids == nil {
		return db.reindexAll(ctx)
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		found, err := livingDocuments(ctx, tx, `id = ANY($1)`, ids)
		if err != nil {
			return err
		}
		if missing := firstMissing(ids, found); missing != uuid.Nil {
			return voiceassist.Errorf(voiceassist.NotFound, "document %s not found", missing)
		}
		jobs, err = reindexSome(ctx, tx, found)
		return err
	})
	return jobs, err
}

// reindexBatch is how many documents one transaction takes.
const reindexBatch = 1000

func (db *DB) reindexAll(ctx context.Context) (jobs []voiceassist.Job, err error) {
	for last, more := uuid.Nil, true; more; {
		if err := db.tx(ctx, func(tx pgx.Tx) error {
			found, err := livingDocuments(ctx, tx, `id > $1`, last)
			if err != nil {
				return err
			}
			if more = len(found) == reindexBatch; len(found) > 0 {
				last = found[len(found)-1]
			}
			added, err := reindexSome(ctx, tx, found)
			jobs = append(jobs, added...)
			return err
		}); err != nil {
			return jobs, err
		}
	}
	return jobs, nil
}

func reindexSome(ctx context.Context, tx pgx.Tx, documents []uuid.UUID) ([]voiceassist.Job, error) {
	jobs, err := addJobs(ctx, tx, documents, "reindex")
	if err != nil {
		return nil, err
	}
	entries := make([]voiceassist.AuditEntry, len(jobs))
	for i, j := range jobs {
		entries[i] = aboutDocument("document.reindexed", j.DocumentID, map[string]any{"job_id": j.ID})
	}
	return jobs, addAudits(ctx, tx, entries)
}

// livingDocuments locks the documents that are not deleted and meet the
// condition, at most reindexBatch of them unless they are named, in the order
// of their ids.
func livingDocuments(ctx context.Context, tx pgx.Tx, condition string, arg any) ([]uuid.UUID, error) {
	limit := reindexBatch
	if named, ok := arg.([]uuid.UUID); ok {
		limit = len(named)
	}
	rows, err := tx.Query(ctx, `
		SELECT id
		FROM documents
		WHERE deleted_at IS NULL AND `+condition+`
		ORDER BY id
		LIMIT $2
		FOR NO KEY UPDATE`, arg, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

func firstMissing(want, have []uuid.UUID) uuid.UUID {
	known := make(map[uuid.UUID]bool, len(have))
	for _, id := range have {
		known[id] = true
	}
	for _, id := range want {
		if !known[id] {
			return id
		}
	}
	return uuid.Nil
}

// LibraryStats returns the figures of the knowledge base.
func (db *DB) LibraryStats(ctx context.Context) (voiceassist.LibraryStats, error) {
	s := voiceassist.LibraryStats{ByState: map[voiceassist.DocumentState]int{}, BySourceType: map[string]int{}}
	rows, err := db.pool.Query(ctx, `
		SELECT state, source_type, count(*), sum(passage_count), sum(size), max(indexed_at)
		FROM documents
		WHERE deleted_at IS NULL
		GROUP BY state, source_type`)
	if err != nil {
		return s, classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one voiceassist.LibraryStats
		var state voiceassist.DocumentState
		var source string
		if err := rows.Scan(&state, &source, &one.Documents, &one.Passages, &one.BytesOriginal, &one.LastIndexedAt); err != nil {
			return s, classify(err)
		}
		s.Documents += one.Documents
		s.Passages += one.Passages
		s.BytesOriginal += one.BytesOriginal
		s.ByState[state] += one.Documents
		s.BySourceType[source] += one.Documents
		if t := one.LastIndexedAt; t != nil && (s.LastIndexedAt == nil || t.After(*s.LastIndexedAt)) {
			s.LastIndexedAt = t
		}
	}
	return s, classify(rows.Err())
}
