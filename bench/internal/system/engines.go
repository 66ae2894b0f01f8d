package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/openai"
	"github.com/voiceassist/backend/qdrant"
	"github.com/voiceassist/backend/redis"
)

// model is the name of the embedding model.
const model = "counted"

// Engines are what the processes of a Fleet work on, and outlive them: Postgres
// as a process of its own, with the care for durability that `voiceassist up`
// takes; Redis, Qdrant and the embedding service inside this process, each on a
// port of its own.
type Engines struct {
	Dir      string
	Embedder *Embedder // nil: lexical only

	redis  *embedded.Redis
	qdrant *qdrantserver.Server

	mu       sync.Mutex
	postgres *embedded.Postgres
}

// StartEngines starts engines that keep what they keep in dir. Vectors have dim
// numbers; 0 is a system without an embedding model.
func StartEngines(ctx context.Context, dir string, dim int) (_ *Engines, err error) {
	e := &Engines{Dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop(ctx))
		}
	}()
	if err := os.Mkdir(e.TempDir(), 0o700); err != nil {
		return nil, err
	}
	if e.postgres, err = e.startPostgres(ctx); err != nil {
		return nil, err
	}
	if e.redis, err = embedded.StartRedis(ctx, embedded.RedisOptions{}); err != nil {
		return nil, err
	}
	if e.qdrant, err = qdrantserver.New(qdrantserver.Options{Dir: filepath.Join(dir, "qdrant")}); err != nil {
		return nil, err
	}
	if err := e.qdrant.Start("127.0.0.1:0"); err != nil {
		return nil, err
	}
	if dim > 0 {
		e.Embedder, err = StartEmbedder(ctx, dim)
	}
	return e, err
}

func (e *Engines) startPostgres(ctx context.Context) (*embedded.Postgres, error) {
	return embedded.StartPostgres(ctx, embedded.PostgresOptions{DataDir: e.postgresDir()})
}

func (e *Engines) postgresDir() string { return filepath.Join(e.Dir, "postgres") }

// TempDir is where the processes keep temporary files.
func (e *Engines) TempDir() string { return filepath.Join(e.Dir, "tmp") }

// BlobDir is the directory of the blob store.
func (e *Engines) BlobDir() string { return filepath.Join(e.Dir, "blobs") }

// Env is the whole environment of a process that works on the engines.
func (e *Engines) Env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + e.TempDir(),
		"DATABASE_URL=" + e.databaseURL(), "REDIS_URL=" + e.redis.URL(), "QDRANT_URL=http://" + e.qdrant.Addr(),
		"BLOB_URL=file://" + e.BlobDir(), "JWT_SECRET=" + strings.Repeat("measured", 4), "ACCESS_TOKEN_TTL=24h",
		"ADMIN_EMAIL=" + Email, "ADMIN_PASSWORD=" + Password,
		"RATE_LIMIT_LOGIN=off", "RATE_LIMIT_SESSION=off", "LOG_FORMAT=text",
	}
	if e.Embedder != nil {
		env = append(env, "OPENAI_BASE_URL="+e.Embedder.URL, "EMBEDDING_MODEL="+model, "EMBEDDING_DIM="+strconv.Itoa(e.Embedder.dim))
	}
	return env
}

func (e *Engines) databaseURL() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.postgres.URL()
}

// Index opens the collection that the processes use.
func (e *Engines) Index() (*qdrant.Index, error) {
	o := qdrant.Options{Collection: qdrant.DefaultCollection}
	if e.Embedder != nil {
		client, err := openai.Open(openai.Options{BaseURL: e.Embedder.URL, EmbeddingModel: model, EmbeddingDim: e.Embedder.dim})
		if err != nil {
			return nil, err
		}
		o.Dim, o.Collection = e.Embedder.dim, qdrant.CollectionName(client.Profile())
	}
	return qdrant.Open("http://"+e.qdrant.Addr(), o)
}

// FlushRedis makes Redis forget everything.
func (e *Engines) FlushRedis(ctx context.Context) error {
	c, err := redis.Open(ctx, e.redis.URL())
	if err != nil {
		return err
	}
	return errors.Join(c.Redis().FlushAll(ctx).Err(), c.Close())
}

// PostgresPID is the process id of the postmaster.
func (e *Engines) PostgresPID() (int, error) {
	b, err := os.ReadFile(filepath.Join(e.postgresDir(), "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(first)
}

// recovery bounds how long Postgres may take to come back.
const recovery = time.Minute

// RestartPostgres kills the postmaster with -9 and starts Postgres again on
// what it left, as soon as its children have gone.
func (e *Engines) RestartPostgres(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	pid, err := e.PostgresPID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill Postgres: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	<-e.postgres.Done()
	if err := e.postgres.Stop(ctx); err != nil { // frees what stands for it here
		return err
	}
	for {
		started, err := e.startPostgres(ctx)
		if err == nil {
			e.postgres = started
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond): // a child of the dead one holds its shared memory still
		}
	}
}

// Stop stops the engines, the ledger last.
func (e *Engines) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recovery)
	defer cancel()
	var errs []error
	if e.Embedder != nil {
		errs = append(errs, e.Embedder.Close())
	}
	if e.qdrant != nil {
		errs = append(errs, e.qdrant.Close(ctx))
	}
	if e.redis != nil {
		e.redis.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.postgres != nil {
		errs = append(errs, e.postgres.Stop(ctx))
	}
	return errors.Join(errs...)
}
