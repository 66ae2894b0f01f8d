package httpapi

import (
	"cmp"
	"context"
	"mime"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// documentBody is a document as clients see it. Several fields say the same
// under names that different clients read.
type documentBody struct {
	ID             string             `json:"id"`
	DocumentID     string             `json:"document_id"`
	Title          string             `json:"title"`
	Name           string             `json:"name"`
	Filename       string             `json:"filename"`
	SourceType     string             `json:"source_type"`
	Type           string             `json:"type"`
	MediaType      string             `json:"media_type"`
	Specialty      string             `json:"specialty"`
	Category       string             `json:"category"`
	Author         string             `json:"author"`
	Status         string             `json:"status" enum:"uploaded,processing,indexed,failed"`
	IndexingStatus string             `json:"indexing_status" enum:"uploaded,processing,indexed,failed"`
	Indexed        bool               `json:"indexed"`
	Stage          voiceassist.Stage  `json:"stage"`
	Progress       int                `json:"progress" minimum:"0" maximum:"100"`
	IndexingError  *string            `json:"indexing_error"`
	ErrorMessage   *string            `json:"error_message"`
	ErrorCode      voiceassist.Reason `json:"error_code" doc:"empty unless the status is failed"`
	ChunksIndexed  int                `json:"chunks_indexed"`
	PageCount      int                `json:"page_count"`
	BadPages       []badPageBody      `json:"bad_pages" doc:"pages that could not be read and are missing from the index"`
	Warning        *string            `json:"warning" doc:"a sentence about them; null when there are none"`
	TotalTokens    int                `json:"total_tokens"`
	Size           int64              `json:"size" doc:"bytes"`
	SHA256         string             `json:"sha256"`
	Version        int                `json:"version"`
	Generation     int                `json:"generation"`
	SupersededBy   *string            `json:"superseded_by"`
	UploadDate     string             `json:"upload_date" format:"date-time"`
	CreatedAt      string             `json:"created_at" format:"date-time"`
	UpdatedAt      string             `json:"updated_at" format:"date-time"`
	LastIndexedAt  *string            `json:"last_indexed_at" format:"date-time"`
	UploadedBy     *string            `json:"uploaded_by"`
	Metadata       map[string]any     `json:"metadata"`
}

// badPageBody is a page that could not be read.
type badPageBody struct {
	Page   int                   `json:"page" minimum:"1"`
	Reason voiceassist.PageFault `json:"reason" enum:"crashed,too_slow,too_much_memory,too_much_text,damaged"`
}

func documentOf(d voiceassist.Document) documentBody {
	status, created := wireStatus(d.State), stamp(d.CreatedAt)
	b := documentBody{
		ID:             d.ID.String(),
		DocumentID:     d.ID.String(),
		Title:          d.Title,
		Name:           cmp.Or(d.Title, d.Filename),
		Filename:       d.Filename,
		SourceType:     d.SourceType,
		Type:           d.SourceType,
		MediaType:      d.MediaType,
		Specialty:      d.Specialty,
		Category:       d.Category,
		Author:         d.Author,
		Status:         status,
		IndexingStatus: status,
		Indexed:        d.State == voiceassist.DocumentIndexed,
		Stage:          d.Stage,
		Progress:       d.Progress,
		ChunksIndexed:  d.PassageCount,
		PageCount:      d.PageCount,
		BadPages:       make([]badPageBody, len(d.BadPages)),
		TotalTokens:    d.TokenCount,
		Size:           d.Size,
		SHA256:         d.SHA256,
		Version:        d.Version,
		Generation:     d.Generation,
		UploadDate:     created,
		CreatedAt:      created,
		UpdatedAt:      stamp(d.UpdatedAt),
		LastIndexedAt:  stampOrNil(d.IndexedAt),
		UploadedBy:     idOrNil(d.UploadedBy),
		Metadata:       d.Metadata,
	}
	if b.Metadata == nil {
		b.Metadata = map[string]any{}
	}
	for i, p := range d.BadPages {
		b.BadPages[i] = badPageBody{Page: p.Number, Reason: p.Reason}
	}
	if warning := d.Warning(); warning != "" {
		b.Warning = &warning
	}
	if message := failureOf(d); message != "" {
		b.IndexingError, b.ErrorMessage = &message, &message
	}
	switch d.State {
	case voiceassist.DocumentFailed:
		b.ErrorCode = d.ErrorCode
	case voiceassist.DocumentCancelled:
		b.ErrorCode = voiceassist.ReasonCancelled
	default: // an index stands, whatever became of a newer one
	}
	return b
}

func documentsOf(docs []voiceassist.Document) []twins[documentBody] {
	rows := make([]twins[documentBody], len(docs))
	for i, d := range docs {
		rows[i] = both(documentOf(d))
	}
	return rows
}

// wireStatus is a document's state in the words of the contract, which knows no
// cancelled documents.
func wireStatus(s voiceassist.DocumentState) string {
	if s == voiceassist.DocumentCancelled {
		return string(voiceassist.DocumentFailed)
	}
	return string(s)
}

// failureOf says why a document has no index, "" if it may have one.
func failureOf(d voiceassist.Document) string {
	switch d.State {
	case voiceassist.DocumentCancelled:
		return cmp.Or(d.ErrorMessage, "Indexing was cancelled")
	case voiceassist.DocumentFailed:
		return d.ErrorMessage
	default:
		return ""
	}
}

func idOrNil(id *uuid.UUID) *string {
	if id == nil {
		return nil
	}
	return new(id.String())
}

type documentsInput struct {
	Paging
	Status     string `query:"status" enum:"uploaded,processing,indexed,failed" doc:"those in this state"`
	SourceType string `query:"source_type" doc:"exactly this one"`
	Specialty  string `query:"specialty" doc:"exactly this one"`
	Category   string `query:"category" doc:"exactly this one"`
	Search     string `query:"search" maxLength:"200" doc:"a part of the title or the filename"`
	Sort       string `query:"sort" enum:"created_at,-created_at,updated_at,-updated_at,title,-title,filename,-filename,size,-size" doc:"newest first by default; a minus turns the order round"`
}

// documentStates are the states that a status on the wire stands for.
func documentStates(status string) []voiceassist.DocumentState {
	switch status {
	case "":
		return nil
	case string(voiceassist.DocumentFailed):
		return []voiceassist.DocumentState{voiceassist.DocumentFailed, voiceassist.DocumentCancelled}
	}
	return []voiceassist.DocumentState{voiceassist.DocumentState(status)}
}

type documentList struct {
	Documents []twins[documentBody] `json:"documents"`
	Items     []twins[documentBody] `json:"items"`
	Total     int                   `json:"total"`
	Offset    int                   `json:"offset"`
	Limit     int                   `json:"limit"`
}

func (documentList) named() string      { return "documents" }
func (l documentList) bare() (any, int) { return l.Documents, l.Total }

func (s *Server) listDocuments(ctx context.Context, in *documentsInput) (documentList, error) {
	offset, limit := in.window(requestOf(ctx).flat)
	docs, total, err := s.o.Ledger.Documents(ctx, voiceassist.DocumentFilter{
		States:     documentStates(in.Status),
		SourceType: in.SourceType,
		Specialty:  in.Specialty,
		Category:   in.Category,
		Search:     in.Search,
		Sort:       in.Sort,
		Offset:     offset,
		Limit:      limit,
	})
	if err != nil {
		return documentList{}, err
	}
	rows := documentsOf(docs)
	return documentList{Documents: rows, Items: rows, Total: total, Offset: offset, Limit: limit}, nil
}

type documentInput struct {
	ID string `path:"id"`
}

// document looks a document up by the id in a path.
func (s *Server) document(ctx context.Context, text string) (voiceassist.Document, error) {
	id, err := parseID(text, "document")
	if err != nil {
		return voiceassist.Document{}, err
	}
	return s.o.Ledger.Document(ctx, id)
}

func (s *Server) getDocument(ctx context.Context, in *documentInput) (twins[documentBody], error) {
	d, err := s.document(ctx, in.ID)
	return both(documentOf(d)), err
}

type deletedBody struct {
	DocumentID string `json:"document_id"`
	Status     string `json:"status" enum:"deleted"`
	Message    string `json:"message"`
	JobID      string `json:"job_id"`
}

type deleteInput struct {
	ID    string `path:"id"`
	Purge bool   `query:"purge" doc:"for good, at once; also of a document that is deleted already"`
}

func (s *Server) deleteDocument(ctx context.Context, in *deleteInput) (deletedBody, error) {
	id, err := parseID(in.ID, "document")
	if err != nil {
		return deletedBody{}, err
	}
	job, err := s.o.Ledger.DeleteDocument(ctx, id, s.keepFor(in.Purge))
	if err != nil {
		return deletedBody{}, err
	}
	s.adminEvent(ctx, "document.deleted", id.String())
	return deletedBody{DocumentID: id.String(), Status: "deleted", Message: "Document deleted", JobID: job.String()}, nil
}

// deleteDocumentV1 is deleteDocument under v1's path, where the router must tell
// ids from the resources beside them.
func (s *Server) deleteDocumentV1(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), requestTimeout)
	defer cancel()
	body, err := s.deleteDocument(ctx, &deleteInput{ID: c.Params("id")})
	if err != nil {
		return err
	}
	return reply(c.Context(), requestOf(ctx), http.StatusOK, body)
}

type passagesInput struct {
	ID string `path:"id"`
	Paging
}

type passageBody struct {
	ID         string `json:"id"`
	DocumentID string `json:"document_id"`
	Generation int    `json:"generation"`
	Ordinal    int    `json:"ordinal" doc:"from 0, in reading order"`
	Page       int    `json:"page" doc:"from 1"`
	CharStart  int    `json:"char_start" doc:"code points of the page's text, inclusive"`
	CharEnd    int    `json:"char_end" doc:"exclusive"`
	Section    string `json:"section"`
	Text       string `json:"text"`
	Tokens     int    `json:"tokens"`
}

func passageOf(p voiceassist.Passage) passageBody {
	return passageBody{
		ID:         p.ID.String(),
		DocumentID: p.DocumentID.String(),
		Generation: p.Generation,
		Ordinal:    p.Ordinal,
		Page:       p.Page,
		CharStart:  p.CharStart,
		CharEnd:    p.CharEnd,
		Section:    p.Section,
		Text:       p.Text,
		Tokens:     p.Tokens,
	}
}

type passageList struct {
	Passages []passageBody `json:"passages"`
	Total    int           `json:"total"`
	Offset   int           `json:"offset"`
	Limit    int           `json:"limit"`
}

func (s *Server) listPassages(ctx context.Context, in *passagesInput) (passageList, error) {
	d, err := s.document(ctx, in.ID)
	if err != nil {
		return passageList{}, err
	}
	offset, limit := in.window(requestOf(ctx).flat)
	passages, total, err := s.o.Ledger.Passages(ctx, d.ID, offset, limit)
	if err != nil {
		return passageList{}, err
	}
	if err := s.auditReading(ctx, d.ID); err != nil {
		return passageList{}, err
	}
	rows := make([]passageBody, len(passages))
	for i, p := range passages {
		rows[i] = passageOf(p)
	}
	return passageList{Passages: rows, Total: total, Offset: offset, Limit: limit}, nil
}

type pageInput struct {
	ID         string `path:"id"`
	Page       int    `query:"page" minimum:"1" maximum:"1000000" default:"1" doc:"counted from 1"`
	Generation int    `query:"generation" minimum:"0" maximum:"1000000000" doc:"0, the default, is the active one"`
}

type pageBody struct {
	DocumentID string `json:"document_id"`
	Page       int    `json:"page"`
	Generation int    `json:"generation" doc:"whose text this is"`
	Text       string `json:"text" doc:"what char_start and char_end of citations count code points of"`
}

func (s *Server) pageText(ctx context.Context, in *pageInput) (twins[pageBody], error) {
	d, err := s.document(ctx, in.ID)
	if err != nil {
		return twins[pageBody]{}, err
	}
	generation := cmp.Or(in.Generation, d.Generation)
	page, err := s.o.Ledger.PageText(ctx, d.ID, generation, in.Page)
	if err != nil {
		return twins[pageBody]{}, err
	}
	if err := s.auditReading(ctx, d.ID); err != nil {
		return twins[pageBody]{}, err
	}
	return both(pageBody{DocumentID: d.ID.String(), Page: page.Number, Generation: generation, Text: page.Text}), nil
}

// original sends the file as it was uploaded. Browsers are told to save and
// never to render it: it may be HTML that somebody wrote to attack its readers.
func (s *Server) original(c *fiber.Ctx) error {
	d, err := s.document(c.UserContext(), c.Params("id"))
	if err != nil {
		return err
	}
	file, err := s.o.Library.Original(c.UserContext(), d)
	if err != nil {
		return err
	}
	if err := s.auditDocument(c.UserContext(), "document.downloaded", d.ID); err != nil {
		file.Close()
		return err
	}
	c.Set("Content-Type", d.MediaType)
	c.Set("Content-Disposition", attachment(d.Filename))
	c.Context().SetBodyStream(file, int(d.Size))
	return nil
}

// attachment is a Content-Disposition that makes a browser save a file by this
// name.
func attachment(filename string) string {
	if v := mime.FormatMediaType("attachment", map[string]string{"filename": filename}); v != "" {
		return v
	}
	return "attachment"
}
