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
	"syscall"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
)

// sniffLength is how much of a file is looked at to tell what it is.
const sniffLength = 4096

// cleanUpTimeout bounds what is done after a request has gone away.
const cleanUpTimeout = 10 * time.Second

// receipt says how uploads of one kind are received.
type receipt struct {
	blobs  *blob.Bucket
	prefix string // of their keys
	limit  int64  // bytes
	// identify tells the media type by the first bytes and the name, or refuses
	// the file.
	identify func(head []byte, filename string) (string, error)
}

// receive streams body into the blob store while hashing it, holding a small
// buffer of it in memory. Possible ends:
//  1. the upload is safe in the blob store
//  2. Invalid: there is no byte in it
//  3. the error of identify
//  4. TooLarge: it is longer than the limit
//  5. Unavailable: the blob store does not take it
//  6. the error of body
//
// Except in the first case nothing is left behind.
func (r receipt) receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error) {
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
	mediaType, err := r.identify(head, filename)
	if err != nil {
		return voiceassist.Received{}, err
	}
	up := voiceassist.Received{Filename: filename, MediaType: mediaType, BlobKey: r.prefix + uuid.Must(uuid.NewV7()).String()}
	up.SHA256, up.Size, err = r.store(ctx, up.BlobKey, mediaType, io.MultiReader(bytes.NewReader(head), body))
	return up, err
}

// store writes body to a new blob. An unfinished blob never becomes visible.
func (r receipt) store(ctx context.Context, key, mediaType string, body io.Reader) (digest string, size int64, err error) {
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	w, err := r.blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: mediaType, BufferSize: 1 << 20})
	if err != nil {
		return "", 0, blobError(err)
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(hash, blobWriter{w}), io.LimitReader(body, r.limit+1))
	if err == nil && size > r.limit {
		err = voiceassist.Errorf(voiceassist.TooLarge, "the file is larger than %d MB", r.limit>>20)
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

// blobWriter gives the errors of a blob's writer their code, which tells them
// from those of the body that is copied into it.
type blobWriter struct{ w io.Writer }

func (b blobWriter) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	if err != nil {
		err = blobError(err)
	}
	return n, err
}

// fullRetry is when a client is told to try again after the disk was full:
// somebody has to make room.
const fullRetry = time.Minute

func blobError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the file store is full", RetryAfter: fullRetry, Err: err}
	}
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the file store cannot be used now", Err: err}
}

// discard removes a blob that nothing points at. What cannot be removed now is
// an orphan, logged by its key.
func discard(ctx context.Context, blobs *blob.Bucket, log *slog.Logger, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if err := deleteBlob(ctx, blobs, key); err != nil {
		log.WarnContext(ctx, "blob left behind", slog.String("blob_key", key), slog.Any("error", err))
	}
}

// deleteBlob removes a blob; one that is gone already is no error.
func deleteBlob(ctx context.Context, blobs *blob.Bucket, key string) error {
	if err := blobs.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return blobError(err)
	}
	return nil
}

// discardUnlessKept removes an upload whose commit failed, unless the commit
// succeeded and only its reply was lost. When that cannot be told it stays.
func discardUnlessKept(ctx context.Context, blobs *blob.Bucket, log *slog.Logger, key string, isKept func(context.Context, string) (bool, error)) {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	kept, err := isKept(asking, key)
	if err != nil {
		log.WarnContext(asking, "blob kept, its row unknown", slog.String("blob_key", key), slog.Any("error", err))
		return
	}
	if !kept {
		discard(ctx, blobs, log, key)
	}
}
