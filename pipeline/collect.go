package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"github.com/voiceassist/backend/postgres"
)

// Collector removes what nothing refers to any more: blobs whose upload was
// never committed, texts and vectors of documents that are gone, passages of
// generations that were never published. Each turn looks at a bounded part and
// the next goes on from there. Any number may run, beside any other work; one
// Collector takes one turn at a time.
type Collector struct {
	Ledger  *postgres.DB
	Blobs   *blob.Bucket
	Grace   time.Duration     // how old blobs, vectors and unpublished generations must be; 0 is 24 h
	Metrics *CollectorMetrics // nil measures nothing
	Log     *slog.Logger

	blobs   map[string][]byte // where to go on, by prefix
	texts   string
	vectors postgres.VectorKey
}

// DefaultGrace is how old what nothing refers to must be before it is removed:
// longer than any upload takes.
const DefaultGrace = 24 * time.Hour

// What one turn looks at, at most.
const (
	collectBlobs       = 10_000
	collectTexts       = 10_000 // different originals
	collectVectors     = 50_000
	collectGenerations = 1000
	collectPage        = 1000
)

// blobPrefixes are those under which there are blobs that rows refer to.
var blobPrefixes = []string{originals, userFiles}

const (
	originals = "originals/"
	userFiles = "files/"
)

// Collect takes a turn and returns how many things it removed.
func (c *Collector) Collect(ctx context.Context) (n int, err error) {
	for _, part := range []struct {
		name    string
		collect func(context.Context) (int, error)
	}{
		{"blobs", c.collectBlobs},
		{"texts", c.collectTexts},
		{"passages", c.collectPassages},
		{"vectors", c.collectVectors},
	} {
		removed, failed := part.collect(ctx)
		c.Metrics.collected(part.name, removed)
		n += removed
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("collect %s: %w", part.name, failed))
		}
	}
	return n, err
}

func (c *Collector) grace() time.Duration { return cmp.Or(c.Grace, DefaultGrace) }

func (c *Collector) collectBlobs(ctx context.Context) (n int, err error) {
	if c.blobs == nil {
		c.blobs = make(map[string][]byte)
	}
	for _, prefix := range blobPrefixes {
		for range collectBlobs / collectPage {
			token := c.blobs[prefix]
			if token == nil {
				token = blob.FirstPageToken
			}
			removed, next, err := c.collectBlobPage(ctx, prefix, token)
			n += removed
			if err != nil {
				delete(c.blobs, prefix) // the token may have lost its meaning
				return n, err
			}
			if c.blobs[prefix] = next; len(next) == 0 {
				delete(c.blobs, prefix)
				break
			}
		}
	}
	return n, nil
}

func (c *Collector) collectBlobPage(ctx context.Context, prefix string, token []byte) (n int, next []byte, err error) {
	page, next, err := c.Blobs.ListPage(ctx, token, collectPage, &blob.ListOptions{Prefix: prefix})
	if errors.Is(err, io.EOF) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, blobError(err)
	}
	var old []string
	for _, b := range page {
		if time.Since(b.ModTime) >= c.grace() {
			old = append(old, b.Key)
		}
	}
	if len(old) == 0 {
		return 0, next, nil
	}
	unknown, err := c.Ledger.UnknownBlobs(ctx, old)
	if err != nil {
		return 0, nil, err
	}
	for _, key := range unknown {
		if err := deleteBlob(ctx, c.Blobs, key); err != nil {
			return n, nil, err
		}
		n++
	}
	return n, next, nil
}

func (c *Collector) collectTexts(ctx context.Context) (n int, err error) {
	for range collectTexts / collectPage {
		var removed int
		c.texts, removed, err = c.Ledger.CollectTexts(ctx, c.texts, collectPage)
		n += removed
		if err != nil || c.texts == "" {
			return n, err
		}
	}
	return n, nil
}

func (c *Collector) collectPassages(ctx context.Context) (int, error) {
	return c.Ledger.CollectPassages(ctx, c.grace(), collectGenerations)
}

func (c *Collector) collectVectors(ctx context.Context) (n int, err error) {
	for range collectVectors / collectPage {
		var removed int
		c.vectors, removed, err = c.Ledger.CollectVectors(ctx, c.vectors, c.grace(), collectPage)
		n += removed
		if err != nil || c.vectors.Digest == nil {
			return n, err
		}
	}
	return n, nil
}
