package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/postgres"
)

// Intake takes uploads in. An upload is received into the blob store first and
// then committed to the ledger; what is never committed is no document.
type Intake struct {
	Ledger  *postgres.DB
	Blobs   *blob.Bucket
	MaxSize int64 // bytes; 0 is voiceassist.MaxUploadSize
	Log     *slog.Logger
}

// sniffLength is how much of a file is looked at to tell what it is.
const sniffLength = 4096

// cleanUpTimeout bounds what is done after a request has gone away.
const cleanUpTimeout = 10 * time.Second

// Receive streams body into the blob store while hashing it, holding a small
// buffer of it in memory. Possible ends:
//  1. the upload is safe in the blob store, and must be committed or discarded
//  2. Invalid: there is no byte in it
//  3. UnsupportedMedia: its content is of no type we read
//  4. TooLarge: it is longer than MaxSize
//  5. Unavailable: the blob store does not take it
//  6. the error of body
//
// Except in the first case nothing is left behind.
func (in *Intake) Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error) {
	filename = cleanFilename(filename)
	head := make([]byte, sniffLength)
	n, err := io.ReadFull(body, head)
	head = head[:n]
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return voiceassist.Received{}, voiceassist.FieldError("file", "the file is empty")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return voiceassist.Received{}, fmt.Errorf("receive upload: %w", err)
	}
	mediaType, ok := extract.Sniff(head, filename)
	if !ok {
		return voiceassist.Received{}, voiceassist.Errorf(voiceassist.UnsupportedMedia,
			"this file's content is not PDF, plain text, Markdown or HTML")
	}
	r := voiceassist.Received{Filename: filename, MediaType: mediaType, BlobKey: "originals/" + uuid.Must(uuid.NewV7()).String()}
	r.SHA256, r.Size, err = in.store(ctx, r.BlobKey, mediaType, io.MultiReader(bytes.NewReader(head), body))
	return r, err
}

// store writes at most MaxSize bytes of body to a new blob. An unfinished blob
// never becomes visible.
func (in *Intake) store(ctx context.Context, key, mediaType string, body io.Reader) (digest string, size int64, err error) {
	limit := in.MaxSize
	if limit == 0 {
		limit = voiceassist.MaxUploadSize
	}
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	w, err := in.Blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: mediaType, BufferSize: 1 << 20})
	if err != nil {
		return "", 0, blobError(err)
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(hash, w), io.LimitReader(body, limit+1))
	if err == nil && size > limit {
		err = voiceassist.Errorf(voiceassist.TooLarge, "the file is larger than %d MB", limit>>20)
	}
	if err != nil {
		abandon() // a writer that is closed after its context ended writes nothing
		_ = w.Close()
		return "", 0, fmt.Errorf("receive upload: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", 0, blobError(err)
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

func blobError(err error) error {
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the file store cannot take files now", Err: err}
}

// Commit makes a document of a received upload and returns it with the job
// that will index it. The same bytes as those of a document in the library are
// a duplicate of it: no second document, and the upload's copy is removed.
func (in *Intake) Commit(ctx context.Context, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Accepted, error) {
	m = cleanMeta(m)
	a, obsolete, err := in.Ledger.AddDocument(ctx, r, m)
	if err != nil {
		in.discardUnlessKept(ctx, r)
		return voiceassist.Accepted{}, fmt.Errorf("commit upload: %w", err)
	}
	if obsolete != "" {
		in.Discard(ctx, voiceassist.Received{BlobKey: obsolete})
	}
	return a, nil
}

// discardUnlessKept removes an upload whose commit failed, unless the commit
// succeeded and only its reply was lost. When that cannot be told it stays.
func (in *Intake) discardUnlessKept(ctx context.Context, r voiceassist.Received) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	kept, err := in.Ledger.HasBlob(ctx, r.BlobKey)
	if err != nil {
		in.Log.WarnContext(ctx, "blob kept, its document unknown", slog.String("blob_key", r.BlobKey), slog.Any("error", err))
		return
	}
	if !kept {
		in.Discard(ctx, r)
	}
}

// Discard removes a received upload that will not be committed. What cannot be
// removed now is an orphan, logged by its key.
func (in *Intake) Discard(ctx context.Context, r voiceassist.Received) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if err := in.Blobs.Delete(ctx, r.BlobKey); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		in.Log.WarnContext(ctx, "blob left behind", slog.String("blob_key", r.BlobKey), slog.Any("error", err))
	}
}

// Original opens the bytes of a document as they were uploaded.
func (in *Intake) Original(ctx context.Context, d voiceassist.Document) (io.ReadCloser, error) {
	r, err := in.Blobs.NewReader(ctx, d.BlobKey, nil)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, voiceassist.Errorf(voiceassist.NotFound, "the original of this document is missing from the file store")
	case err != nil:
		return nil, blobError(err)
	}
	return r, nil
}

// The longest name and the longest other text that an uploader may give, in
// code points; more is cut off.
const (
	maxFilename = 255
	maxMeta     = 500
)

// cleanFilename returns the last element of a name as a client gave it,
// without control characters; "document" if nothing is left.
func cleanFilename(name string) string {
	name = path.Base(strings.ReplaceAll(cleanText(name, 4*maxFilename), `\`, "/"))
	if name == "." || name == "/" {
		return "document"
	}
	return voiceassist.Preview(name, maxFilename)
}

func cleanMeta(m voiceassist.DocumentMeta) voiceassist.DocumentMeta {
	for _, s := range []*string{&m.Title, &m.SourceType, &m.Specialty, &m.Category, &m.Author} {
		*s = cleanText(*s, maxMeta)
	}
	return m
}

// cleanText returns s as valid UTF-8 on one line, at most n code points.
func cleanText(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(voiceassist.Preview(strings.TrimSpace(s), n))
}
