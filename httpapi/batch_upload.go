package httpapi

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// batchForm are the fields of an upload into a batch; all but the file may be
// in the query instead.
var batchForm = append([]formField{{
	name: "name", doc: "the file's name in the batch, before the file; its filename by default",
}}, uploadForm...)

// batchQuery are those of them that are not the file.
var batchQuery = slices.Concat(batchForm[:1], uploadForm[1:])

// maxBatchName is the longest name of a file in a batch, in code points.
const maxBatchName = 1000

// maxManifestBytes is the longest request that lists files, in bytes: enough for
// 10,000 of them under long names.
const maxManifestBytes = 8 << 20

// uploadToBatch takes a file of a batch in. One that is of no type that is read,
// too large or empty is refused as elsewhere, and the account says so.
func (s *Server) uploadToBatch(c *fiber.Ctx) error {
	id, err := parseID(c.Params("id"), "batch")
	if err != nil {
		return err
	}
	if err := s.o.Batches.CheckBatch(c.UserContext(), id); err != nil {
		return err
	}
	fields := queryFields(c)
	fields["name"] = c.Query("name")
	to := &batchReceiver{Library: s.o.Library}
	err = s.take(c, door{s.uploads, to, s.o.MaxUploadBytes}, fields, func(ctx context.Context, in *intake) error {
		if utf8.RuneCountInString(fields["name"]) > maxBatchName {
			return voiceassist.FieldError("name", "name has at most %d characters", maxBatchName)
		}
		meta := in.meta()
		meta.UploadedBy, meta.Queue = &requestOf(c.Context()).who.User.ID, voiceassist.QueueBulk
		meta.BatchID, meta.BatchName = &id, fields["name"]
		accepted, err := s.o.Library.Commit(ctx, *in.received, meta)
		if err != nil {
			return err
		}
		return reply(c.Context(), requestOf(c.Context()), http.StatusAccepted, both(uploadedOf(accepted)))
	})
	if skipped := s.skip(c.UserContext(), id, cmp.Or(fields["name"], to.filename), to.reason(err)); skipped != nil {
		return skipped
	}
	return err
}

// batchReceiver is the library's door, and remembers what it refused.
type batchReceiver struct {
	Library
	filename string
	refused  error
}

func (r *batchReceiver) Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error) {
	r.filename = filename
	received, err := r.Library.Receive(ctx, filename, body)
	r.refused = err
	return received, err
}

// reason says why a file will not be taken however often it comes, "" if err
// is no such reason.
func (r *batchReceiver) reason(err error) voiceassist.Reason {
	switch code := voiceassist.CodeOf(err); {
	case code == voiceassist.UnsupportedMedia:
		return voiceassist.ReasonUnsupported
	case code == voiceassist.TooLarge:
		return voiceassist.ReasonTooLarge
	case code == voiceassist.Invalid && r.refused != nil:
		return voiceassist.ReasonEmpty
	}
	return ""
}

var skipMessages = map[voiceassist.Reason]string{
	voiceassist.ReasonUnsupported: "Its content is not PDF, plain text, Markdown or HTML.",
	voiceassist.ReasonTooLarge:    "It is larger than uploads may be (MAX_UPLOAD_MB).",
	voiceassist.ReasonEmpty:       "There is no byte in it.",
}

// skip notes in the account of a batch that a file was refused.
func (s *Server) skip(ctx context.Context, id uuid.UUID, name string, reason voiceassist.Reason) error {
	if reason == "" || name == "" || !validText(name) || utf8.RuneCountInString(name) > maxBatchName {
		return nil
	}
	return s.o.Batches.SkipBatchFile(ctx, id, name, reason, skipMessages[reason])
}
