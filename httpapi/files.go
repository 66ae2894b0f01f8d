package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Files is what this package asks of pipeline.Files: it keeps the bytes of
// users' files. What belongs to somebody else is NotFound.
type Files interface {
	// Receive stores the bytes of body. Possible ends: they are safe; TooLarge;
	// Invalid when there are none; Unavailable when they cannot be stored; the
	// error of body.
	Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error)
	// Discard forgets received bytes.
	Discard(ctx context.Context, r voiceassist.Received)
	// Commit makes received bytes a file, attached to a message unless that is
	// nil. It is TooLarge for the user's quota and for an attachment, Conflict
	// when the message has too many.
	Commit(ctx context.Context, userID uuid.UUID, r voiceassist.Received, message *uuid.UUID) (voiceassist.File, voiceassist.Attachment, error)
	// Open opens length bytes of a file from offset on.
	Open(ctx context.Context, f voiceassist.File, offset, length int64) (io.ReadCloser, error)
	Remove(ctx context.Context, userID, id uuid.UUID) error
	// Detach removes an attachment; its file goes with the last one.
	Detach(ctx context.Context, userID, attachment uuid.UUID) error
}

// FileRows is what this package asks of postgres.DB about files.
type FileRows interface {
	// File returns a file, whoever's it is.
	File(ctx context.Context, id uuid.UUID) (voiceassist.File, error)
	// Attach is NotFound when message or file is not the user's, TooLarge for a
	// file that is no attachment, Conflict when the message has too many.
	Attach(ctx context.Context, userID, message, file uuid.UUID) (voiceassist.Attachment, error)
	Attachment(ctx context.Context, userID, id uuid.UUID) (voiceassist.Attachment, error)
	// Audit notes that somebody read what is not theirs.
	Audit(ctx context.Context, e voiceassist.AuditEntry) error
}

// fileForm is the form of an upload.
var fileForm = []formField{{name: "file", doc: "any file", file: true, required: true}}

// FileBody is a file as clients see it. It is exported because huma overlooks
// embedded structs that are not.
type FileBody struct {
	ID            string                 `json:"id"`
	URL           string                 `json:"url" doc:"asks for the bearer or the cookie, like any other"`
	Filename      string                 `json:"filename"`
	FileName      string                 `json:"file_name"`
	Size          int64                  `json:"size" doc:"bytes"`
	FileSize      int64                  `json:"file_size"`
	MimeType      string                 `json:"mime_type"`
	SHA256        string                 `json:"sha256"`
	TextStatus    voiceassist.TextStatus `json:"text_status" enum:"extracted,no_text,unsupported,failed"`
	TextReason    *string                `json:"text_reason" doc:"why there is no text"`
	TextTruncated bool                   `json:"text_truncated"`
	CreatedAt     string                 `json:"created_at" format:"date-time"`
}

func fileOf(f voiceassist.File) FileBody {
	b := FileBody{
		ID:            f.ID.String(),
		URL:           "/api/files/" + f.ID.String(),
		Filename:      f.Filename,
		FileName:      f.Filename,
		Size:          f.Size,
		FileSize:      f.Size,
		MimeType:      f.MediaType,
		SHA256:        f.SHA256,
		TextStatus:    f.TextStatus,
		TextTruncated: f.TextTruncated,
		CreatedAt:     stamp(f.CreatedAt),
	}
	if f.TextReason != "" {
		b.TextReason = &f.TextReason
	}
	return b
}

// uploadFile keeps a file for its user.
func (s *Server) uploadFile(c *fiber.Ctx) error {
	return s.take(c, door{s.files, s.o.Files, voiceassist.MaxFileSize}, nil, func(ctx context.Context, in *intake) error {
		f, _, err := s.o.Files.Commit(ctx, requestOf(ctx).who.User.ID, *in.received, nil)
		if err != nil {
			return err
		}
		return reply(c.Context(), requestOf(ctx), http.StatusCreated, both(fileOf(f)))
	})
}

// downloadFile sends a file to its owner, or to an administrator, who is
// audited.
func (s *Server) downloadFile(c *fiber.Ctx) error {
	id, err := parseID(c.Params("id"), "file")
	if err != nil {
		return err
	}
	f, err := s.o.FileRows.File(c.UserContext(), id)
	if err != nil {
		return err
	}
	switch who := requestOf(c.Context()).who.User; {
	case f.UserID == who.ID:
	case !who.IsAdmin():
		return voiceassist.Errorf(voiceassist.NotFound, "file not found")
	default:
		entry := voiceassist.AuditEntry{
			Action: "file.read", ResourceType: "file", ResourceID: f.ID.String(),
			Details: map[string]any{"owner": f.UserID.String()},
		}
		if err := s.o.FileRows.Audit(c.UserContext(), entry); err != nil {
			return err
		}
	}
	return s.sendFile(c, f)
}

// sendFile sends a file, or the one range of it that is asked for. Browsers are
// told to save and never to render it.
func (s *Server) sendFile(c *fiber.Ctx, f voiceassist.File) error {
	offset, length, status := int64(0), f.Size, http.StatusOK
	if asked, err := c.Range(int(f.Size)); errors.Is(err, fiber.ErrRangeUnsatisfiable) {
		c.Set("Content-Range", "bytes */"+strconv.FormatInt(f.Size, 10))
		return fiber.NewError(http.StatusRequestedRangeNotSatisfiable)
	} else if err == nil && asked.Type == "bytes" && len(asked.Ranges) == 1 {
		r := asked.Ranges[0]
		offset, length, status = int64(r.Start), int64(r.End-r.Start+1), http.StatusPartialContent
		c.Set("Content-Range", "bytes "+strconv.Itoa(r.Start)+"-"+strconv.Itoa(r.End)+"/"+strconv.FormatInt(f.Size, 10))
	}
	bytes, err := s.o.Files.Open(c.UserContext(), f, offset, length)
	if err != nil {
		c.Response().Header.Del("Content-Range")
		return err
	}
	c.Set("Content-Type", f.MediaType)
	c.Set("Content-Disposition", attachment(f.Filename))
	c.Set("Accept-Ranges", "bytes")
	c.Status(status)
	c.Context().SetBodyStream(bytes, int(length))
	return nil
}

type fileInput struct {
	ID string `path:"id"`
}

func (s *Server) deleteFile(ctx context.Context, in *fileInput) (messageBody, error) {
	id, err := parseID(in.ID, "file")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "File deleted"}, s.o.Files.Remove(ctx, principal(ctx).User.ID, id)
}
