package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/s3blob"   // s3://

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/openai"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/qdrant"
	"github.com/voiceassist/backend/rag"
	"github.com/voiceassist/backend/redis"
)

// engines is everything a process has open.
type engines struct {
	ledger   *postgres.DB
	redis    *redis.Client
	queue    *redis.Queue
	index    *qdrant.Index
	blobs    *blob.Bucket
	embedder voiceassist.Embedder // nil without an embedding model
	chat     rag.ChatModel        // nil without a chat model
	models   *openai.Client       // nil without either
	registry *prometheus.Registry

	closers []func() error
}

// openEngines opens what cfg names. Each must answer; all that do not are
// reported together.
func openEngines(ctx context.Context, cfg Config) (*engines, error) {
	e := &engines{registry: prometheus.NewRegistry()}
	e.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	err := errors.Join(e.openLedger(ctx, cfg), e.openRedis(ctx, cfg), e.openModels(cfg), e.openBlobs(ctx, cfg))
	err = errors.Join(err, e.openIndex(ctx, cfg))
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.registry.MustRegister(poolCollector{e.ledger})
	return e, nil
}

// Close closes what was opened, last first.
func (e *engines) Close() error {
	var errs []error
	for _, f := range slices.Backward(e.closers) {
		errs = append(errs, f())
	}
	e.closers = nil
	return errors.Join(errs...)
}

func (e *engines) onClose(f func() error) { e.closers = append(e.closers, f) }

func (e *engines) openLedger(ctx context.Context, cfg Config) (err error) {
	e.ledger, err = postgres.Open(ctx, cfg.DatabaseURL, postgres.Options{MaxConns: cfg.WorkerConcurrency + 12})
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	e.onClose(func() error { e.ledger.Close(); return nil })
	return nil
}

func (e *engines) openRedis(ctx context.Context, cfg Config) (err error) {
	if e.redis, err = redis.Open(ctx, cfg.RedisURL); err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	e.onClose(e.redis.Close)
	e.queue = e.redis.Queue()
	return nil
}

func (e *engines) openModels(cfg Config) error {
	if cfg.ChatModel == "" && cfg.EmbeddingModel == "" {
		return nil
	}
	client, err := openai.Open(openai.Options{
		BaseURL: cfg.OpenAIBaseURL, APIKey: cfg.OpenAIKey,
		ChatModel: cfg.ChatModel, EmbeddingModel: cfg.EmbeddingModel, EmbeddingDim: cfg.EmbeddingDim,
	})
	if err != nil {
		return fmt.Errorf("OPENAI_BASE_URL: %w", err)
	}
	e.models = client
	if cfg.EmbeddingModel != "" {
		e.embedder = client
	}
	if cfg.ChatModel != "" {
		e.chat = client
	}
	return nil
}

func (e *engines) openBlobs(ctx context.Context, cfg Config) error {
	address, err := blobAddress(cfg.BlobURL)
	if err != nil {
		return fmt.Errorf("BLOB_URL: %w", err)
	}
	if e.blobs, err = blob.OpenBucket(ctx, address); err != nil {
		return fmt.Errorf("BLOB_URL: %w", err)
	}
	e.onClose(e.blobs.Close)
	if ok, err := e.blobs.IsAccessible(ctx); err != nil || !ok {
		return errors.Join(errors.New("BLOB_URL: the bucket cannot be used"), err)
	}
	return nil
}

// blobAddress fills in what a file:// URL needs: the directory is made, and
// temporary files lie in it, so that finishing one is a rename.
func blobAddress(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "file" {
		return raw, err
	}
	if err := os.MkdirAll(u.Path, 0o700); err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("no_tmp_dir", "true")
	q.Set("metadata", "skip")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (e *engines) openIndex(ctx context.Context, cfg Config) (err error) {
	o := qdrant.Options{APIKey: cfg.QdrantAPIKey, Collection: qdrant.DefaultCollection}
	if e.embedder != nil {
		o.Dim, o.Collection = e.embedder.Dim(), qdrant.CollectionName(e.embedder.Profile())
	}
	if e.index, err = qdrant.Open(cfg.QdrantURL, o); err != nil {
		return fmt.Errorf("QDRANT_URL: %w", err)
	}
	e.onClose(e.index.Close)
	if err := e.index.Ensure(ctx); err != nil {
		return fmt.Errorf("QDRANT_URL: %w", err)
	}
	return nil
}

// openReader starts the pool of children that read documents.
func openReader(cfg Config, log *slog.Logger) (*extract.Pool, error) {
	return extract.NewPool(readerOptions(cfg, log))
}

func readerOptions(cfg Config, log *slog.Logger) extract.Options {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	env := []string{childCacheDir + "=" + filepath.Join(cache, "voiceassist", "pdfium")}
	if cfg.UnipdfKey != "" {
		env = append(env, childUnipdf+"="+cfg.UnipdfKey)
	}
	return extract.Options{
		Path: cfg.readerProgram, Args: []string{childArg}, Env: env, Size: cfg.Extractors,
		Limits: extract.Limits{
			Timeout: cfg.ExtractTimeout, PageTimeout: cfg.ExtractPage, Memory: cfg.ExtractMemoryMB << 20,
			MaxPages: cfg.ExtractMaxPages, MaxOutput: cfg.ExtractMaxTextMB << 20,
		},
		Log: log,
	}
}

// Bounds of reading a file that somebody attaches, and waits for.
const (
	fileReadTimeout  = 20 * time.Second
	fileReadMemoryMB = 512
	fileReadOutput   = 16 << 20 // bytes of text
)

// openFileReader returns the pool that reads the files of users in an API
// process: one child, started with the first file.
func openFileReader(cfg Config, log *slog.Logger) (*extract.Pool, error) {
	o := readerOptions(cfg, log)
	o.Size = 1
	o.Limits.Timeout = min(o.Limits.Timeout, fileReadTimeout)
	o.Limits.Memory = min(o.Limits.Memory, fileReadMemoryMB<<20)
	o.Limits.MaxOutput = min(o.Limits.MaxOutput, fileReadOutput)
	return extract.NewPool(o)
}

// files keeps the files of users. Without a reader it reads the text of none.
func (e *engines) files(cfg Config, reader pipeline.Reader, log *slog.Logger) *pipeline.Files {
	return &pipeline.Files{
		Ledger: e.ledger, Blobs: e.blobs, Reader: reader, Quota: cfg.FileQuotaMB << 20, TempDir: cfg.tempDir, Log: log,
	}
}
