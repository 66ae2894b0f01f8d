package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

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

// Receive streams body into the blob store while hashing it. Possible ends:
//  1. the upload is safe in the blob store, and must be committed or discarded
//  2. Invalid: there is no byte in it
//  3. UnsupportedMedia: its content is of no type we read
//  4. TooLarge: it is longer than MaxSize
//  5. Unavailable: the blob store does not take it
//  6. the error of body
//
// Except in the first case nothing is left behind.
func (in *Intake) Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error) {
	r := receipt{blobs: in.Blobs, prefix: originals, limit: cmp.Or(in.MaxSize, voiceassist.MaxUploadSize), identify: readable}
	return r.receive(ctx, filename, body)
}

// readable refuses files that no engine reads.
func readable(head []byte, filename string) (string, error) {
	mediaType, ok := extract.Sniff(head, filename)
	if !ok {
		return "", voiceassist.Errorf(voiceassist.UnsupportedMedia, "this file's content is not PDF, plain text, Markdown or HTML")
	}
	return mediaType, nil
}

// Commit makes a document of a received upload and returns it with the job
// that will index it. The same bytes as those of a document in the library are
// a duplicate of it: no second document, and the upload's copy is removed.
func (in *Intake) Commit(ctx context.Context, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Accepted, error) {
	m = cleanMeta(m)
	a, obsolete, err := in.Ledger.AddDocument(ctx, r, m)
	if err != nil {
		discardUnlessKept(ctx, in.Blobs, in.Log, r.BlobKey, in.Ledger.HasBlob)
		return voiceassist.Accepted{}, fmt.Errorf("commit upload: %w", err)
	}
	if obsolete != "" {
		in.Discard(ctx, voiceassist.Received{BlobKey: obsolete})
	}
	return a, nil
}

// Discard removes a received upload that will not be committed. What cannot be
// removed now is an orphan, logged by its key.
func (in *Intake) Discard(ctx context.Context, r voiceassist.Received) {
	discard(ctx, in.Blobs, in.Log, r.BlobKey)
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
