package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of an upload besides the size of its file.
const (
	maxFormField  = 64 << 10         // bytes of one form field
	maxFormExtra  = 1 << 20          // bytes of everything around the file
	uploadStall   = 30 * time.Second // without a byte
	uploadTimeout = 30 * time.Minute
)

// uploadForm are the fields of an upload; all but the file may be in the query
// instead.
var uploadForm = []formField{
	{name: "file", doc: "PDF, text, Markdown or HTML", file: true, required: true},
	{name: "title", doc: "by default the title found in the file, or its name"},
	{name: "category", doc: "what searches may be narrowed to"},
	{name: "source_type", doc: "guideline, textbook, article, …: any word"},
	{name: "specialty", doc: "what searches may be narrowed to"},
	{name: "author", doc: "the authors found in the file by default"},
}

// uploadedBody is the reply to an accepted upload.
type uploadedBody struct {
	DocumentID    string  `json:"document_id"`
	ID            string  `json:"id"`
	Filename      string  `json:"filename"`
	Title         string  `json:"title"`
	Status        string  `json:"status"`
	JobID         *string `json:"job_id" doc:"null for a duplicate that needs no work"`
	Duplicate     bool    `json:"duplicate"`
	OK            bool    `json:"ok"`
	Source        string  `json:"source"`
	SourceType    string  `json:"source_type"`
	Author        string  `json:"author"`
	Chunks        int     `json:"chunks"`
	ChunksIndexed int     `json:"chunks_indexed"`
	Message       string  `json:"message"`
}

func uploadedOf(a voiceassist.Accepted) uploadedBody {
	d := a.Document
	b := uploadedBody{
		DocumentID:    d.ID.String(),
		ID:            d.ID.String(),
		Filename:      d.Filename,
		Title:         d.Title,
		Status:        wireStatus(d.State),
		Duplicate:     a.Duplicate,
		OK:            true,
		Source:        d.SourceType,
		SourceType:    d.SourceType,
		Author:        d.Author,
		Chunks:        d.PassageCount,
		ChunksIndexed: d.PassageCount,
		Message:       "Document accepted for indexing",
	}
	if a.JobID != uuid.Nil {
		b.JobID = new(a.JobID.String())
	}
	if a.Duplicate {
		b.Message = "This document is in the library already"
	}
	return b
}

// upload takes a document in.
func (s *Server) upload(c *fiber.Ctx) error {
	return s.take(c, door{s.uploads, s.o.Library, s.o.MaxUploadBytes}, queryFields(c), func(ctx context.Context, in *intake) error {
		meta := in.meta()
		meta.UploadedBy = &requestOf(c.Context()).who.User.ID
		accepted, err := s.o.Library.Commit(ctx, *in.received, meta)
		if err != nil {
			return err
		}
		if accepted.JobID != uuid.Nil {
			s.adminEvent(ctx, "document.uploaded", accepted.Document.ID.String())
		}
		return reply(c.Context(), requestOf(c.Context()), http.StatusAccepted, both(uploadedOf(accepted)))
	})
}

// door is where uploads of one kind come in.
type door struct {
	gate  *gate
	to    receiver
	limit int64 // bytes of a file
}

// take reads a form with one file and has commit make something of it; what
// commit refuses is discarded. The file goes from the connection to its
// receiver as it arrives; only its form fields, those named in fields, are held
// in memory.
func (s *Server) take(c *fiber.Ctx, d door, fields map[string]string, commit func(context.Context, *intake) error) error {
	form, body, err := openForm(c, d.limit)
	if err != nil {
		return err
	}
	leave, err := d.gate.enter(c.UserContext())
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(c.UserContext(), uploadTimeout)
	defer cancel()

	in := intake{to: d.to, fields: fields}
	if err := cmp.Or(in.readForm(ctx, form), body.checkEnd()); err != nil {
		in.discard(ctx)
		return body.blame(err)
	}
	if in.received == nil {
		return missingFile()
	}
	if err := commit(ctx, &in); err != nil {
		in.discard(ctx)
		return err
	}
	return nil
}

// openForm begins to read a multipart body, which is refused unread if it says
// itself that it is too long for a file of limit bytes.
func openForm(c *fiber.Ctx, limit int64) (*multipart.Reader, *uploadBody, error) {
	mediaType, params, err := mime.ParseMediaType(c.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" {
		return nil, nil, missingFile()
	}
	if params["boundary"] == "" {
		return nil, nil, voiceassist.Errorf(voiceassist.Malformed, "The multipart body has no boundary")
	}
	ceiling := limit + maxFormExtra
	if int64(c.Request().Header.ContentLength()) > ceiling {
		return nil, nil, tooLarge(limit)
	}
	body := &uploadBody{
		conn:   c.Context().Conn(),
		stream: c.Context().RequestBodyStream(),
		end:    []byte("--" + params["boundary"] + "--"),
		left:   ceiling,
		limit:  limit,
	}
	return multipart.NewReader(body, params["boundary"]), body, nil
}

func missingFile() error {
	return voiceassist.FieldError("file", "a file is required, as the field file of a multipart/form-data body")
}

func tooLarge(limit int64) error {
	return voiceassist.Errorf(voiceassist.TooLarge, "The file is larger than %d MB", limit>>20)
}

// receiver is where the bytes of an upload go: Library or Files.
type receiver interface {
	Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error)
	Discard(ctx context.Context, r voiceassist.Received)
}

// intake is an upload on its way.
type intake struct {
	to       receiver
	fields   map[string]string
	received *voiceassist.Received
}

// uploadFields are the form fields and query parameters that describe a file.
var uploadFields = []string{"title", "category", "source_type", "sourceType", "specialty", "author"}

func queryFields(c *fiber.Ctx) map[string]string {
	fields := make(map[string]string, len(uploadFields))
	for _, name := range uploadFields {
		fields[name] = c.Query(name)
	}
	return fields
}

// readForm reads a form whose fields may come before or after its file.
func (in *intake) readForm(ctx context.Context, form *multipart.Reader) error {
	for {
		part, err := form.NextPart()
		if err == io.EOF { // a wrapped one means that the form was cut off
			return nil
		}
		if err != nil {
			return badForm{err}
		}
		if err := in.readPart(ctx, part); err != nil {
			return err
		}
	}
}

func (in *intake) readPart(ctx context.Context, part *multipart.Part) error {
	if part.FormName() != "file" && part.FileName() == "" {
		return in.readField(part)
	}
	if in.received != nil {
		return voiceassist.FieldError("file", "one file at a time")
	}
	content := &partReader{part: part}
	r, err := in.to.Receive(ctx, part.FileName(), content)
	if content.err != nil {
		err = badForm{content.err}
	}
	if err != nil {
		return err
	}
	in.received = &r
	return nil
}

func (in *intake) readField(part *multipart.Part) error {
	name := part.FormName()
	value, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
	if err != nil {
		return badForm{err}
	}
	if len(value) > maxFormField {
		return voiceassist.FieldError(name, "the form field is longer than %d KB", maxFormField>>10)
	}
	if _, known := in.fields[name]; known {
		if !validText(string(value)) {
			return voiceassist.FieldError(name, "%s %s", name, notText)
		}
		in.fields[name] = string(value)
	}
	return nil
}

func (in *intake) meta() voiceassist.DocumentMeta {
	source := in.fields["source_type"]
	if source == "" {
		source = in.fields["sourceType"]
	}
	return voiceassist.DocumentMeta{
		Filename:   in.received.Filename,
		Title:      in.fields["title"],
		Category:   in.fields["category"],
		SourceType: source,
		Specialty:  in.fields["specialty"],
		Author:     in.fields["author"],
		Queue:      voiceassist.QueueDefault,
	}
}

func (in *intake) discard(ctx context.Context) {
	if in.received != nil {
		in.to.Discard(ctx, *in.received)
	}
}

// badForm is an error of reading the form, as opposed to one of the receiver.
type badForm struct{ error }

func (b badForm) Unwrap() error { return b.error }

// partReader remembers the error of its part, which the receiver may wrap.
type partReader struct {
	part *multipart.Part
	err  error
}

func (r *partReader) Read(p []byte) (int, error) {
	n, err := r.part.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// uploadBody reads a request's body up to a ceiling, as long as bytes arrive.
type uploadBody struct {
	conn   net.Conn
	stream io.Reader
	end    []byte // the delimiter that closes the form
	tail   []byte // the last bytes read
	left   int64
	limit  int64 // of the file, for the message
	err    error
}

// tailLength is how many bytes the closing delimiter may be from the end of the
// body: its own length, at most 74, and what some clients write after it.
const tailLength = 512

func (b *uploadBody) Read(p []byte) (int, error) {
	if b.stream == nil {
		return 0, io.EOF
	}
	if b.left <= 0 {
		b.err = tooLarge(b.limit)
		return 0, b.err
	}
	if err := b.conn.SetReadDeadline(time.Now().Add(uploadStall)); err != nil {
		b.err = err
		return 0, err
	}
	n, err := b.stream.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.tail = append(b.tail, p[max(0, n-tailLength):n]...)
	b.tail = append(b.tail[:0], b.tail[max(0, len(b.tail)-tailLength):]...)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// checkEnd returns an error unless the form was closed. mime/multipart takes a
// body that ends within the header of a part for one that is complete.
func (b *uploadBody) checkEnd() error {
	if bytes.Contains(b.tail, b.end) {
		return nil
	}
	return badForm{io.ErrUnexpectedEOF}
}

// blame says whose fault err is, which ended the reading of a form: the
// connection's, the form's or, as it stands, the receiver's.
func (b *uploadBody) blame(err error) error {
	var network net.Error
	switch {
	case b.err == nil && !errors.As(err, new(badForm)):
		return err
	case errors.Is(b.err, voiceassist.TooLarge):
		return b.err
	case errors.As(b.err, &network) && network.Timeout():
		return fiber.NewError(http.StatusRequestTimeout, "the upload stalled")
	}
	return &voiceassist.Error{Code: voiceassist.Malformed, Message: "The multipart body is damaged or incomplete", Err: err}
}
