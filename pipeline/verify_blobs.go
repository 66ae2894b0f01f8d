package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// originals compares the documents' originals with the blobs there are, and
// looks for blobs that no row refers to.
func (v *verifying) originals(ctx context.Context) error {
	var suspects []postgres.Original
	var orphans []string
	err := pairUp(v.Ledger.Originals(ctx), v.list(ctx, originals),
		func(o postgres.Original, b *blob.ListObject) int { return strings.Compare(o.BlobKey, b.Key) },
		func(o *postgres.Original, b **blob.ListObject) error {
			switch {
			case b == nil:
				v.checked("originals", 1)
				if o.Wanted && len(suspects) < maxSuspects {
					suspects = append(suspects, *o)
				}
				return nil
			case o == nil:
				orphans = v.orphan(orphans, *b)
				return nil
			}
			v.checked("originals", 1)
			same, err := v.sameBytes(ctx, *o, *b)
			if !same && o.Wanted && len(suspects) < maxSuspects {
				suspects = append(suspects, *o)
			}
			return err
		})
	if err != nil {
		return err
	}
	for b, err := range v.list(ctx, userFiles) {
		if err != nil {
			return err
		}
		orphans = v.orphan(orphans, b)
	}
	if len(suspects)+len(orphans) == 0 {
		return nil
	}
	if err := v.examineOrphans(ctx, orphans); err != nil || len(suspects) == 0 {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	for _, o := range suspects {
		if err := v.examineOriginal(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// list lists blobs in the order of their keys' bytes. An error ends the sequence.
func (v *verifying) list(ctx context.Context, prefix string) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		for it := v.Blobs.List(&blob.ListOptions{Prefix: prefix}); ; {
			b, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, blobError(err))
				return
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// orphan adds a blob to those that may have no row, if it is old enough.
func (v *verifying) orphan(orphans []string, b *blob.ListObject) []string {
	v.checked("blobs", 1)
	if time.Since(b.ModTime) < cmp.Or(v.Grace, DefaultGrace) || len(orphans) == maxSuspects {
		return orphans
	}
	return append(orphans, b.Key)
}

func (v *verifying) examineOrphans(ctx context.Context, keys []string) error {
	unknown, err := v.Ledger.UnknownBlobs(ctx, keys)
	for _, key := range unknown {
		v.found(ctx, voiceassist.Difference{
			Kind: voiceassist.BlobOrphan, ID: key, Detail: "no row refers to the blob", Remedy: "remove the blob",
		}, func(ctx context.Context) error { return deleteBlob(ctx, v.Blobs, key) })
	}
	return err
}

// sameBytes reports whether a blob has the size of an original and, where that
// is asked for, its digest.
func (v *verifying) sameBytes(ctx context.Context, o postgres.Original, b *blob.ListObject) (bool, error) {
	v.checked("blobs", 1)
	if b.Size != o.Size || !v.Deep {
		return b.Size == o.Size, nil
	}
	digest, err := v.digest(ctx, o.BlobKey)
	return digest == o.SHA256, err
}

// digest returns the SHA-256 of a blob, "" if there is none.
func (v *verifying) digest(ctx context.Context, key string) (string, error) {
	r, err := v.Blobs.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return "", nil
	}
	if err != nil {
		return "", blobError(err)
	}
	hash := sha256.New()
	n, err := io.Copy(hash, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return "", blobError(err)
	}
	v.checked("bytes", int(n))
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// examineOriginal looks at one document's original again.
func (v *verifying) examineOriginal(ctx context.Context, o postgres.Original) error {
	kind, detail, err := v.blobFault(ctx, o)
	if err != nil || kind == "" {
		return err
	}
	s, err := v.Ledger.Standing(ctx, o.DocumentID) // after the look
	if err != nil || !s.Living || s.BlobKey != o.BlobKey {
		return err
	}
	v.found(ctx, voiceassist.Difference{
		Kind: kind, ID: o.DocumentID.String(), Detail: detail,
		Remedy: "mark the document as failed; a person must upload the same file again",
	}, func(ctx context.Context) error { return v.Ledger.DiscardOriginal(ctx, o.DocumentID, o.BlobKey) })
	return nil
}

func (v *verifying) blobFault(ctx context.Context, o postgres.Original) (kind voiceassist.DifferenceKind, detail string, err error) {
	attributes, err := v.Blobs.Attributes(ctx, o.BlobKey)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return voiceassist.BlobMissing, "its original is not in the blob store", nil
	case err != nil:
		return "", "", blobError(err)
	case attributes.Size != o.Size:
		return voiceassist.BlobChanged, fmt.Sprintf("its original has %d bytes instead of %d", attributes.Size, o.Size), nil
	case !v.Deep:
		return "", "", nil
	}
	digest, err := v.digest(ctx, o.BlobKey)
	if err != nil || digest == o.SHA256 {
		return "", "", err
	}
	return voiceassist.BlobChanged, "its original has other bytes than were uploaded", nil
}
