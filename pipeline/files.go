package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/postgres"
)

// Files keeps the files of users. Bytes are stored before the row and removed
// after the row was hidden; what breaks off between is finished by Sweep.
type Files struct {
	Ledger  *postgres.DB
	Blobs   *blob.Bucket
	Reader  Reader // nil: no file's text is read
	Quota   int64  // bytes that the files of one user may have; 0 is no limit
	TempDir string // where files lie while they are read; "" is the system's
	Log     *slog.Logger
}

// Receive streams body into the blob store while hashing it. Possible ends are
// those of Intake.Receive, but that files of all types are taken.
func (fs *Files) Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error) {
	r := receipt{blobs: fs.Blobs, prefix: userFiles, limit: voiceassist.MaxFileSize, identify: anyType}
	return r.receive(ctx, filename, body)
}

func anyType(head []byte, filename string) (string, error) {
	if mediaType, ok := extract.Sniff(head, filename); ok {
		return mediaType, nil
	}
	return http.DetectContentType(head), nil
}

// Discard removes received bytes that will not be committed.
func (fs *Files) Discard(ctx context.Context, r voiceassist.Received) {
	discard(ctx, fs.Blobs, fs.Log, r.BlobKey)
}

// Commit reads the text of received bytes and makes them a file of the user's,
// attached to a message unless that is nil. Possible ends: success; TooLarge for
// the user's quota, or for an attachment; NotFound when the message is not the
// user's; Conflict when it has too many attachments. Nothing is left behind but
// after success.
func (fs *Files) Commit(ctx context.Context, userID uuid.UUID, r voiceassist.Received, message *uuid.UUID) (voiceassist.File, voiceassist.Attachment, error) {
	f, a, err := fs.Ledger.AddFile(ctx, postgres.NewFile{
		UserID: userID, Received: r, Text: fs.read(ctx, r), Quota: fs.Quota, Message: message,
	})
	if err != nil {
		discardUnlessKept(ctx, fs.Blobs, fs.Log, r.BlobKey, fs.Ledger.HasFile)
		return f, a, fmt.Errorf("commit file: %w", err)
	}
	return f, a, nil
}

// Open opens the bytes of a file from offset on, length of them; a negative
// length is the rest.
func (fs *Files) Open(ctx context.Context, f voiceassist.File, offset, length int64) (io.ReadCloser, error) {
	r, err := fs.Blobs.NewRangeReader(ctx, f.BlobKey, offset, length, nil)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, voiceassist.Errorf(voiceassist.NotFound, "the file is missing from the file store")
	case err != nil:
		return nil, blobError(err)
	}
	return r, nil
}

// Remove removes one of the user's files: it is hidden at once, and its bytes
// and row go as soon as the blob store allows.
func (fs *Files) Remove(ctx context.Context, userID, id uuid.UUID) error {
	f, err := fs.Ledger.HideFile(ctx, userID, id)
	if err != nil {
		return err
	}
	fs.finish(ctx, f)
	return nil
}

// Detach takes an attachment off one of the user's messages. The file goes with
// its last attachment.
func (fs *Files) Detach(ctx context.Context, userID, attachment uuid.UUID) error {
	hidden, err := fs.Ledger.Detach(ctx, userID, attachment)
	for _, f := range hidden {
		fs.finish(ctx, f)
	}
	return err
}

// finish removes what a hidden file still has. Sweep repairs a failure.
func (fs *Files) finish(ctx context.Context, f voiceassist.File) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if err := fs.forget(ctx, postgres.Doomed{ID: f.ID, BlobKey: f.BlobKey}); err != nil {
		fs.Log.WarnContext(ctx, "file still to be removed", slog.String("file_id", f.ID.String()), slog.Any("error", err))
	}
}

func (fs *Files) forget(ctx context.Context, d postgres.Doomed) error {
	if err := deleteBlob(ctx, fs.Blobs, d.BlobKey); err != nil {
		return err
	}
	return fs.Ledger.ForgetFile(ctx, d.ID)
}

// forgetBatch is how many files Sweep loads at a time.
const forgetBatch = 100

// Sweep hides the files that have lost their last attachment, and removes bytes
// and rows of all hidden ones. It returns how many it removed; its error is that
// of the last one that it could not remove.
func (fs *Files) Sweep(ctx context.Context) (removed int, err error) {
	if _, err := fs.Ledger.HideDetachedFiles(ctx); err != nil {
		return 0, err
	}
	after := uuid.Nil
	for {
		doomed, e := fs.Ledger.DoomedFiles(ctx, after, forgetBatch)
		if e != nil {
			return removed, e
		}
		for _, d := range doomed {
			if e := fs.forget(ctx, d); e != nil {
				err = e
				continue
			}
			removed++
		}
		if len(doomed) < forgetBatch || ctx.Err() != nil {
			return removed, err
		}
		after = doomed[len(doomed)-1].ID
	}
}

// readPatience is how long an upload waits for its text, other uploads before
// it included.
const readPatience = 40 * time.Second

// read reads the text of received bytes in a child process. Whatever goes wrong
// is an outcome: a file without text is a file all the same.
func (fs *Files) read(ctx context.Context, r voiceassist.Received) voiceassist.FileText {
	if r.Size > voiceassist.MaxAttachmentSize {
		return voiceassist.FileText{
			Status: voiceassist.TextUnsupported,
			Reason: fmt.Sprintf("The text of files above %d MB is not read.", voiceassist.MaxAttachmentSize>>20),
		}
	}
	if fs.Reader == nil {
		return voiceassist.FileText{Status: voiceassist.TextUnsupported, Reason: "The text of files is not read here."}
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	text, err := fs.extract(ctx, r)
	if err != nil && !errors.Is(err, errEnough) {
		return fs.unread(ctx, r, err)
	}
	if strings.TrimSpace(text) == "" {
		return voiceassist.FileText{Status: voiceassist.TextNone, Reason: "The file holds no text; it may be a scan."}
	}
	return voiceassist.FileText{Status: voiceassist.TextExtracted, Text: text, Truncated: err != nil}
}

// unread tells the owner why there is no text, and the log the rest.
func (fs *Files) unread(ctx context.Context, r voiceassist.Received, err error) voiceassist.FileText {
	t := voiceassist.FileText{Status: voiceassist.TextFailed, Reason: "The file could not be read. Upload it again to try once more."}
	if f, ok := errors.AsType[*voiceassist.Failure](err); ok {
		t.Reason = f.Message
		if f.Reason == voiceassist.ReasonUnsupported {
			t.Status = voiceassist.TextUnsupported
		}
		return t
	}
	fs.Log.WarnContext(ctx, "text of a file not read", slog.String("blob_key", r.BlobKey), slog.String("media_type", r.MediaType), slog.Any("error", err))
	return t
}

// errEnough ends an extraction whose text has reached its bound.
var errEnough = errors.New("the text is long enough")

// extract returns the text of the pages, an empty line between them. With
// errEnough it is cut off at MaxFileText.
func (fs *Files) extract(ctx context.Context, r voiceassist.Received) (string, error) {
	engines, err := fs.Reader.Engines(ctx)
	if err != nil {
		return "", err
	}
	if engines[r.MediaType] == "" {
		return "", voiceassist.Fail(voiceassist.ReasonUnsupported, "Files of the type %s are not read.", r.MediaType)
	}
	file, err := fs.copyOut(ctx, r.BlobKey)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var text strings.Builder
	left := voiceassist.MaxFileText
	_, _, err = fs.Reader.Extract(ctx, r.MediaType, file.path(), voiceassist.PageRange{}, func(p voiceassist.Page) error {
		page := strings.TrimSpace(p.Text)
		if page == "" {
			return nil
		}
		if text.Len() > 0 {
			page = "\n\n" + page
		}
		n := utf8.RuneCountInString(page)
		if n > left {
			text.WriteString(string([]rune(page)[:left]))
			return errEnough
		}
		left -= n
		text.WriteString(page)
		return nil
	})
	return text.String(), err
}

// copyOut copies a blob to a temporary file, which the caller closes.
func (fs *Files) copyOut(ctx context.Context, key string) (tempFile, error) {
	f, err := newTempFile(fs.TempDir)
	if err != nil {
		return tempFile{}, err
	}
	if err := fs.Blobs.Download(ctx, key, f, nil); err != nil {
		_ = f.Close()
		return tempFile{}, fmt.Errorf("copy the file: %w", err)
	}
	return f, nil
}
