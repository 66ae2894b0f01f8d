package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Undelete is what this package asks of postgres.DB about deleted documents.
type Undelete interface {
	// DeletedDocuments returns a part of those that can be brought back and how
	// many they are.
	DeletedDocuments(ctx context.Context, offset, limit int) ([]voiceassist.DeletedDocument, int, error)
	// RestoreDocument brings one back. It may be NotFound, Gone when its time is
	// over, and Conflict when the same bytes were uploaded again.
	RestoreDocument(ctx context.Context, id uuid.UUID) (voiceassist.Restored, error)
}

type deletedRow struct {
	documentBody
	DeletedAt string `json:"deleted_at" format:"date-time"`
	PurgeAt   string `json:"purge_at" format:"date-time" doc:"until when it can be brought back"`
}

type deletedList struct {
	Documents []twins[deletedRow] `json:"documents"`
	Total     int                 `json:"total"`
	Offset    int                 `json:"offset"`
	Limit     int                 `json:"limit"`
}

type deletedInput struct{ Paging }

func (s *Server) listDeleted(ctx context.Context, in *deletedInput) (deletedList, error) {
	offset, limit := in.window(requestOf(ctx).flat)
	docs, total, err := s.o.Undelete.DeletedDocuments(ctx, offset, limit)
	if err != nil {
		return deletedList{}, err
	}
	rows := make([]twins[deletedRow], len(docs))
	for i, d := range docs {
		rows[i] = both(deletedRow{documentBody: documentOf(d.Document), DeletedAt: stamp(*d.DeletedAt), PurgeAt: stamp(d.PurgeAt)})
	}
	return deletedList{Documents: rows, Total: total, Offset: offset, Limit: limit}, nil
}

type restoredBody struct {
	DocumentID string  `json:"document_id"`
	Status     string  `json:"status" enum:"restored"`
	JobID      *string `json:"job_id" doc:"that makes it searchable again; null if it needs none"`
}

func (s *Server) restoreDocument(ctx context.Context, in *documentInput) (restoredBody, error) {
	id, err := parseID(in.ID, "document")
	if err != nil {
		return restoredBody{}, err
	}
	r, err := s.o.Undelete.RestoreDocument(ctx, id)
	if err != nil {
		return restoredBody{}, err
	}
	s.adminEvent(ctx, "document.restored", id.String())
	b := restoredBody{DocumentID: id.String(), Status: "restored"}
	if r.JobID != uuid.Nil {
		b.JobID = new(r.JobID.String())
	}
	return b, nil
}

// keepFor is how long a document that is deleted now can be brought back.
func (s *Server) keepFor(purge bool) time.Duration {
	if purge {
		return 0
	}
	return s.o.UndeleteWindow
}
