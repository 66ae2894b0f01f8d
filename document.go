package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// DocumentState is where a document stands. Moves:
//
//	uploaded → processing → indexed
//	               └──────→ failed | cancelled
//	indexed | failed | cancelled → uploaded   (reindex, retry)
//
// Deletion is a tombstone beside the state (DeletedAt), not a state.
type DocumentState string

// The states of a document.
const (
	DocumentUploaded   DocumentState = "uploaded"
	DocumentProcessing DocumentState = "processing"
	DocumentIndexed    DocumentState = "indexed"
	DocumentFailed     DocumentState = "failed"
	DocumentCancelled  DocumentState = "cancelled"
)

// Document is a file in the library and the account of what became of it.
type Document struct {
	ID           uuid.UUID
	SHA256       string // of the original bytes, 64 hex digits
	Size         int64  // bytes
	Filename     string
	MediaType    string // one of MediaTypes, from the content
	BlobKey      string // of the original in the blob store
	Title        string
	SourceType   string
	Specialty    string
	Category     string
	Author       string
	Metadata     map[string]any
	State        DocumentState
	Stage        Stage
	Progress     int    // 0–100
	ErrorCode    Reason // with DocumentFailed
	ErrorMessage string // with DocumentFailed: a sentence a person can act on
	PageCount    int
	BadPages     []BadPage // that could not be read when the active generation was made, in order
	PassageCount int
	TokenCount   int // of all passages, by CountTokens
	Generation   int // the active one; 0 before the first is published
	Version      int
	UploadedBy   *uuid.UUID
	CreatedAt    time.Time
	UpdatedAt    time.Time
	IndexedAt    *time.Time
	DeletedAt    *time.Time
}

// Media types of the formats we read.
const (
	MediaPDF      = "application/pdf"
	MediaText     = "text/plain"
	MediaMarkdown = "text/markdown"
	MediaHTML     = "text/html"
)

// Reason says why a document failed, in a word a program can act on. The
// sentence for people is Document.ErrorMessage.
type Reason string

// Why documents fail.
const (
	ReasonEncrypted   Reason = "encrypted"   // opens only with a password
	ReasonDamaged     Reason = "damaged"     // not readable as what it claims to be
	ReasonNoText      Reason = "no_text"     // readable, and holds no text: a scan, pictures, empty pages
	ReasonTooComplex  Reason = "too_complex" // overran a limit of time, memory or output
	ReasonCrashed     Reason = "crashed"     // ended its reader, more than once
	ReasonUnsupported Reason = "unsupported" // no engine reads it
	ReasonMissing     Reason = "missing"     // the original is gone from the blob store
	ReasonCancelled   Reason = "cancelled"   // somebody cancelled it
	ReasonInternal    Reason = "internal"    // our fault; the job's timeline has more
	ReasonInterrupted Reason = "interrupted" // its worker died with it too often
	ReasonEmbedding   Reason = "embedding"   // the embedding service refused it
)

// Accepted is the answer to an upload.
type Accepted struct {
	Document  Document
	JobID     uuid.UUID // the job that will index it; zero for a duplicate that is done
	Duplicate bool      // the same bytes are in the library already
}

// DocumentFilter selects documents; zero fields select everything.
type DocumentFilter struct {
	IDs        []uuid.UUID
	States     []DocumentState
	SourceType string
	Specialty  string
	Category   string
	Search     string // a part of the title or the filename, any case
	Sort       string // created_at, updated_at, title, filename, size; a leading "-" turns it round; default -created_at
	Offset     int
	Limit      int
}

// DocumentMeta is what an uploader says of a file. Empty fields are filled
// from the file itself where it tells.
type DocumentMeta struct {
	Filename   string
	Title      string
	SourceType string
	Specialty  string
	Category   string
	Author     string
	UploadedBy *uuid.UUID
	Queue      Queue      // "" is QueueDefault
	BatchID    *uuid.UUID // that the file came with
	BatchName  string     // the file's name in the batch; "" is Filename
}

// Lane is whose turn the indexing of the file takes: the batch's, or else its
// uploader's.
func (m DocumentMeta) Lane() string {
	switch {
	case m.BatchID != nil:
		return "batch:" + m.BatchID.String()
	case m.UploadedBy != nil:
		return "user:" + m.UploadedBy.String()
	}
	return ""
}

// DocumentEdit changes what is said of a document, not its text. Fields that are
// nil stay as they are.
type DocumentEdit struct {
	Title      *string
	Author     *string
	SourceType *string
	Specialty  *string
	Category   *string
	Metadata   map[string]any // members to set; nil ones are removed
	Version    int            // of the document that was edited; 0 overwrites whatever is there
}

// Page is the text of one page, as an engine read it and as it is stored:
// valid UTF-8 without NUL, paragraphs separated by one empty line, words that
// a line end had split joined again. Offsets of passages and citations count
// code points of Text.
type Page struct {
	Number int // from 1
	Text   string
}

// FileInfo is what a file says of itself.
type FileInfo struct {
	Title  string
	Author string
	Pages  int
}

// LibraryStats are the figures of the knowledge base.
type LibraryStats struct {
	Documents     int
	Passages      int
	ByState       map[DocumentState]int
	BySourceType  map[string]int
	BytesOriginal int64
	LastIndexedAt *time.Time
}

// Received is an upload whose bytes are safe in the blob store and not yet in
// the ledger. It is committed or discarded.
type Received struct {
	Filename  string
	MediaType string
	SHA256    string
	Size      int64 // bytes
	BlobKey   string
}

// MaxUploadSize is the largest document taken by default, in bytes.
const MaxUploadSize = 50 << 20
