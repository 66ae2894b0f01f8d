package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// attachmentBody is an attachment as clients see it: its file, under an id of
// its own.
type attachmentBody struct {
	FileBody
	MessageID string `json:"message_id"`
	FileID    string `json:"file_id"`
	Type      string `json:"type" enum:"file"`
	Name      string `json:"name" example:"standards-of-care.pdf"`
}

func attachmentOf(a voiceassist.Attachment) attachmentBody {
	b := attachmentBody{
		FileBody:  fileOf(a.File),
		MessageID: a.MessageID.String(),
		FileID:    a.File.ID.String(),
		Type:      "file",
		Name:      a.File.Filename,
	}
	b.ID = a.ID.String()
	b.URL = "/api/attachments/" + b.ID + "/download"
	b.CreatedAt = stamp(a.CreatedAt)
	return b
}

func attachmentsOf(attachments []voiceassist.Attachment) []twins[attachmentBody] {
	rows := make([]twins[attachmentBody], len(attachments))
	for i, a := range attachments {
		rows[i] = both(attachmentOf(a))
	}
	return rows
}

type messageInput struct {
	ID string `path:"id"`
}

func (s *Server) listAttachments(ctx context.Context, in *messageInput) (array[twins[attachmentBody]], error) {
	id, err := parseID(in.ID, "message")
	if err != nil {
		return array[twins[attachmentBody]]{}, err
	}
	m, err := s.o.Chats.UserMessage(ctx, principal(ctx).User.ID, id)
	if err != nil {
		return array[twins[attachmentBody]]{}, err
	}
	rows := attachmentsOf(m.Attachments)
	return array[twins[attachmentBody]]{rows: rows, total: len(rows), limit: voiceassist.MaxAttachments}, nil
}

// attach attaches a file to a message: one of a form, or, named in JSON, one
// that has been uploaded.
func (s *Server) attach(c *fiber.Ctx) error {
	message, err := parseID(c.Params("id"), "message")
	if err != nil {
		return err
	}
	req := requestOf(c.Context())
	user := req.who.User.ID
	if _, err := s.o.Chats.UserMessage(c.UserContext(), user, message); err != nil {
		return err
	}
	if !strings.HasPrefix(strings.ToLower(c.Get("Content-Type")), "multipart/") {
		return s.attachUploaded(c, user, message)
	}
	return s.take(c, door{s.files, s.o.Files, voiceassist.MaxAttachmentSize}, nil, func(ctx context.Context, in *intake) error {
		_, a, err := s.o.Files.Commit(ctx, user, *in.received, &message)
		if err != nil {
			return err
		}
		return reply(c.Context(), req, http.StatusCreated, both(attachmentOf(a)))
	})
}

// attachInput names an uploaded file.
type attachInput struct {
	FileID string `json:"file_id" doc:"of POST /api/files/upload"`
}

func (s *Server) attachUploaded(c *fiber.Ctx, user, message uuid.UUID) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), requestTimeout)
	defer cancel()
	var body attachInput
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.FileID == "" {
		return missingFile()
	}
	file, err := parseID(body.FileID, "file")
	if err != nil {
		return err
	}
	a, err := s.o.FileRows.Attach(ctx, user, message, file)
	if err != nil {
		return err
	}
	return reply(c.Context(), requestOf(c.Context()), http.StatusCreated, both(attachmentOf(a)))
}

// maxSmallBody is the longest JSON body that a raw route reads.
const maxSmallBody = 16 << 10

// readJSON reads the small JSON body of a raw route.
func readJSON(c *fiber.Ctx, v any) error {
	var data []byte
	if stream := c.Context().RequestBodyStream(); stream != nil {
		if err := c.Context().Conn().SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
			return err
		}
		var err error
		data, err = io.ReadAll(io.LimitReader(stream, maxSmallBody+1))
		if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
			return fiber.NewError(http.StatusRequestTimeout)
		}
		if err != nil {
			return &voiceassist.Error{Code: voiceassist.Malformed, Message: sentence(http.StatusBadRequest), Err: err}
		}
	}
	switch {
	case len(data) > maxSmallBody:
		return voiceassist.Errorf(voiceassist.TooLarge, "The request body is too large")
	case len(data) == 0:
		return missingFile()
	case !json.Valid(data):
		return voiceassist.Errorf(voiceassist.Malformed, "%s", sentence(http.StatusBadRequest))
	}
	if err := unmarshalBody(data, v); err != nil {
		return &voiceassist.Error{Code: voiceassist.Invalid, Field: "file_id", Message: "file_id must be the id of a file", Err: err}
	}
	return nil
}

func (s *Server) downloadAttachment(c *fiber.Ctx) error {
	id, err := parseID(c.Params("id"), "attachment")
	if err != nil {
		return err
	}
	a, err := s.o.FileRows.Attachment(c.UserContext(), requestOf(c.Context()).who.User.ID, id)
	if err != nil {
		return err
	}
	return s.sendFile(c, a.File)
}

func (s *Server) deleteAttachment(ctx context.Context, in *fileInput) (messageBody, error) {
	id, err := parseID(in.ID, "attachment")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Attachment deleted"}, s.o.Files.Detach(ctx, principal(ctx).User.ID, id)
}

// attachmentRefs are the attachments of a question: ids of uploaded files, as
// strings or as objects that have one.
type attachmentRefs []string

// UnmarshalJSON implements json.Unmarshaler.
func (refs *attachmentRefs) UnmarshalJSON(data []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return err
	}
	for _, item := range items {
		var id string
		if len(item) > 0 && item[0] == '{' {
			var object struct {
				ID     string `json:"id"`
				FileID string `json:"file_id"`
			}
			if err := unmarshal(item, &object); err != nil {
				return err
			}
			id = object.FileID
			if id == "" {
				id = object.ID
			}
		} else if err := json.Unmarshal(item, &id); err != nil {
			return err
		}
		*refs = append(*refs, id)
	}
	return nil
}

// files returns the ids, each once.
func (refs attachmentRefs) files() ([]uuid.UUID, error) {
	if len(refs) > voiceassist.MaxAttachments {
		return nil, voiceassist.FieldError("attachments", "A message has at most %d attachments", voiceassist.MaxAttachments)
	}
	var ids []uuid.UUID
	seen := make(map[uuid.UUID]bool, len(refs))
	for _, ref := range refs {
		id, err := parseID(ref, "file")
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}
