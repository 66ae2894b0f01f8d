package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/extract/extracttest"
	"github.com/voiceassist/backend/pdfium"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
	"github.com/voiceassist/backend/qdrant"
	"github.com/voiceassist/backend/redis"
)

// childArg makes the test program a reader of documents; a folder after it, in
// which compiled code is kept, makes it read PDF, too.
const childArg = "extract-child"

// poisonArg makes it one that files can tell to misbehave.
const poisonArg = "poison-child"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == childArg:
		engines := extract.Engines()
		if len(os.Args) > 2 {
			pdf, err := pdfium.New(pdfium.Options{CacheDir: os.Args[2]})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			engines[voiceassist.MediaPDF] = pdf
		}
		os.Exit(serve(engines))
	case len(os.Args) > 1 && os.Args[1] == poisonArg:
		os.Exit(serve(map[string]voiceassist.TextEngine{voiceassist.MediaText: extracttest.Paged{}}))
	}
	os.Exit(postgrestest.Main(m))
}

func serve(engines map[string]voiceassist.TextEngine) int {
	if err := extract.Serve(context.Background(), engines, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// rig is the write side on real parts: Postgres, an index over gRPC, readers
// in child processes. Its parts can be replaced by ones that fail.
type rig struct {
	*Worker
	url    string // of the database
	in     *Intake
	index  *qdrant.Index
	broken *breakable
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, postgrestest.URL(t), qdrant.Options{})
}

// newRigOn is a rig on the ledger at url.
func newRigOn(t *testing.T, url string, o qdrant.Options) *rig {
	t.Helper()
	blobs, log := memblob.OpenBucket(nil), slog.New(slog.DiscardHandler)
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	t.Cleanup(func() { _ = blobs.Close() })
	reader := newPool(t, extract.Options{Args: []string{childArg}, Size: 2})
	index := openIndex(t, o)
	broken := &breakable{Index: index, Reader: reader}
	return &rig{
		Worker: &Worker{Ledger: db, Index: broken, Reader: broken, Blobs: blobs, TempDir: t.TempDir(), Log: log},
		in:     &Intake{Ledger: db, Blobs: blobs, MaxSize: 1 << 20, Log: log},
		url:    url, index: index, broken: broken,
	}
}

func newPool(t *testing.T, o extract.Options) *extract.Pool {
	t.Helper()
	pool, err := extract.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close(context.WithoutCancel(t.Context())) })
	return pool
}

func openIndex(t *testing.T, o qdrant.Options) *qdrant.Index {
	t.Helper()
	server, err := qdrantserver.New(qdrantserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.WithoutCancel(t.Context())) })
	index, err := qdrant.Open("http://"+server.Addr(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	if err := index.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return index
}

// breakable passes calls on unless a test has it do something first.
type breakable struct {
	Index
	Reader

	mu       sync.Mutex
	onRead   func(context.Context) error
	onUpsert func(context.Context) error
	reads    int
}

func (b *breakable) set(onRead, onUpsert func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onRead, b.onUpsert = onRead, onUpsert
}

func (b *breakable) Extract(ctx context.Context, mediaType, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, string, error) {
	b.mu.Lock()
	f := b.onRead
	b.reads++
	b.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return voiceassist.FileInfo{}, "", err
		}
	}
	return b.Reader.Extract(ctx, mediaType, path, pages, emit)
}

func (b *breakable) Upsert(ctx context.Context, points []voiceassist.Point, active bool) error {
	b.mu.Lock()
	f := b.onUpsert
	b.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return b.Index.Upsert(ctx, points, active)
}

// upload takes content in as a file.
func (r *rig) upload(t *testing.T, name, content string) voiceassist.Accepted {
	t.Helper()
	received, err := r.in.Receive(t.Context(), name, strings.NewReader(content))
	if err != nil {
		t.Fatalf("Receive(%s): %v", name, err)
	}
	a, err := r.in.Commit(t.Context(), received, voiceassist.DocumentMeta{})
	if err != nil {
		t.Fatalf("Commit(%s): %v", name, err)
	}
	return a
}

// work has workers and a relay on a queue until the test ends.
func (r *rig) work(t *testing.T, queue *redis.Queue, workers int) {
	t.Helper()
	stop, err := queue.Consume(r.Handle, redis.ConsumerOptions{Concurrency: workers, Log: r.Log})
	if err != nil {
		t.Fatal(err)
	}
	relay := &Relay{Ledger: r.Ledger, Queue: queue, Log: r.Log}
	var relaying sync.WaitGroup
	relaying.Go(func() { relay.Run(t.Context()) })
	t.Cleanup(func() { relaying.Wait(); stop() })
}

// deliver publishes what is due, without a queue, and has the worker do it. It
// returns how many deliveries that were.
func (r *rig) deliver(t *testing.T) int {
	t.Helper()
	deliveries := r.due(t)
	for _, d := range deliveries {
		r.Handle(t.Context(), d)
	}
	return len(deliveries)
}

func (r *rig) due(t *testing.T) []voiceassist.Delivery {
	t.Helper()
	var deliveries []voiceassist.Delivery
	if _, _, err := r.Ledger.PublishDue(t.Context(), 1000, func(_ context.Context, o postgres.Owed) error {
		deliveries = append(deliveries, o.Delivery)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return deliveries
}

func (r *rig) document(t *testing.T, id uuid.UUID) voiceassist.Document {
	t.Helper()
	d, err := r.Ledger.Document(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (r *rig) job(t *testing.T, id uuid.UUID) voiceassist.Job {
	t.Helper()
	j, err := r.Ledger.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// runNow makes a job that waits due.
func (r *rig) runNow(t *testing.T, id uuid.UUID) {
	t.Helper()
	r.sql(t, `UPDATE jobs SET run_at = now() WHERE id = $1 AND state = 'pending'`, id)
}

// points returns how many points the index has, seen by searches and in all.
func (r *rig) points(t *testing.T) (active, total int) {
	t.Helper()
	active, total, err := r.index.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return active, total
}

// blobs returns how many originals are stored.
func (r *rig) originals(t *testing.T) (n int) {
	t.Helper()
	it := r.Blobs.List(&blob.ListOptions{})
	for {
		if _, err := it.Next(t.Context()); err != nil {
			return n
		}
		n++
	}
}

// openQueue returns a queue on a Redis of its own, and the Redis' client.
func openQueue(t *testing.T) (*redis.Queue, *redis.Client) {
	t.Helper()
	server, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client, err := redis.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client.Queue(), client
}

const patience = 30 * time.Second

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// errReader fails after some bytes.
type errReader struct{ *bytes.Reader }

var errLineCut = errors.New("the line was cut")

func (r errReader) Read(p []byte) (int, error) {
	if r.Len() == 0 {
		return 0, errLineCut
	}
	return r.Reader.Read(p)
}
