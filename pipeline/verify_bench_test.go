package pipeline

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob/memblob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/postgrestest"
	"github.com/voiceassist/backend/qdrant"
	"github.com/voiceassist/backend/redis"
)

// BenchmarkVerify compares libraries of 100 and of 1,000 documents of 100 passages
// each that are in order. MB-peak is by how much more of the heap than before was in
// use at any 5,000th point, and MB-held in the end: neither may grow with the library.
func BenchmarkVerify(b *testing.B) {
	for _, documents := range []int{100, 1000} {
		b.Run(fmt.Sprint(100*documents), func(b *testing.B) { verifyLibrary(b, documents, 100) })
	}
}

func verifyLibrary(b *testing.B, documents, passages int) {
	db, conn := postgrestest.OpenWithConn(b)
	_, err := conn.Exec(b.Context(), `
		INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state, generation, passage_count)
		SELECT gen_random_uuid(), lpad(to_hex(n), 64, '0'), 5, 'a.txt', 'text/plain', 'originals/' || n, 'A title', 'indexed', 1, $2
		FROM generate_series(1, $1::int) AS n`, documents, passages)
	check(b, err)
	_, err = conn.Exec(b.Context(), `INSERT INTO generations (document_id, number, engine, chunker) SELECT id, 1, 'text/1', 'test/1' FROM documents`)
	check(b, err)
	_, err = conn.Exec(b.Context(), `INSERT INTO pages (sha256, engine, number, text) SELECT sha256, 'text/1', 1, repeat('0123456789', 4 * $1) FROM documents`, passages)
	check(b, err)
	_, err = conn.Exec(b.Context(), `
		INSERT INTO passages (id, document_id, generation, ordinal, page, char_start, char_end, text, tokens)
		SELECT gen_random_uuid(), d.id, 1, n, 1, 40 * n, 40 * n + 40, repeat('0123456789', 4), 8
		FROM documents d, generate_series(0, $1 - 1) AS n`, passages)
	check(b, err)
	server, err := qdrantserver.New(qdrantserver.Options{})
	check(b, err)
	check(b, server.Start("127.0.0.1:0"))
	b.Cleanup(func() { _ = server.Close(context.WithoutCancel(b.Context())) })
	index, err := qdrant.Open("http://"+server.Addr(), qdrant.Options{})
	check(b, err)
	b.Cleanup(func() { _ = index.Close() })
	check(b, index.Ensure(b.Context()))
	var points []voiceassist.Point
	for p, err := range db.ActivePassages(b.Context(), uuid.Nil) {
		check(b, err)
		points = append(points, voiceassist.Point{ID: p.ID, DocumentID: p.DocumentID, Generation: p.Generation, Text: "a text"})
	}
	check(b, index.Upsert(b.Context(), points, true))
	points = slices.Clip(points[:0])
	blobs := memblob.OpenBucket(nil)
	b.Cleanup(func() { _ = blobs.Close() })
	for o, err := range db.Originals(b.Context()) {
		check(b, err)
		check(b, blobs.WriteAll(b.Context(), o.BlobKey, []byte("bytes"), nil))
	}
	rd, err := embedded.StartRedis(b.Context(), embedded.RedisOptions{})
	check(b, err)
	b.Cleanup(rd.Close)
	client, err := redis.Open(b.Context(), rd.URL())
	check(b, err)
	b.Cleanup(func() { _ = client.Close() })
	v := &Verifier{Ledger: db, Index: index, Blobs: blobs, Queue: client.Queue(), Settle: time.Millisecond, Log: slog.New(slog.DiscardHandler)}

	verify := func() {
		found, err := v.Verify(b.Context(), VerifyOptions{})
		check(b, err)
		if len(found.Counts) > 0 || found.Checked["passages"] != documents*passages || found.Checked["points"] != documents*passages {
			b.Fatalf("checked %v, found %+v", found.Checked, found.Differences[:min(3, len(found.Differences))])
		}
	}
	for b.Loop() {
		verify()
	}
	took := b.Elapsed()
	before := live()
	watched := &watchedIndex{PointStore: index}
	v.Index = watched
	verify()
	b.ReportMetric((float64(watched.peak)-float64(before))/1e6, "MB-peak")
	b.ReportMetric((float64(live())-float64(before))/1e6, "MB-held")
	b.ReportMetric(float64(documents*passages)*float64(b.N)/took.Seconds(), "passages/s")
}

// watchedIndex collects garbage at every 5,000th point of a listing, while who lists
// waits, and keeps how many bytes of the heap were in use at most.
type watchedIndex struct {
	PointStore
	peak uint64
}

func (w *watchedIndex) Scroll(ctx context.Context, document uuid.UUID) iter.Seq2[voiceassist.StoredPoint, error] {
	return func(yield func(voiceassist.StoredPoint, error) bool) {
		n := 0
		for point, err := range w.PointStore.Scroll(ctx, document) {
			if n++; n%5000 == 0 {
				w.peak = max(w.peak, live())
			}
			if !yield(point, err) {
				return
			}
		}
	}
}

// live is how many bytes of the heap are in use.
func live() uint64 {
	runtime.GC()
	runtime.GC() // of what pools had kept through the first
	return liveAtLast()
}

// liveAtLast is how many bytes of the heap were in use when they were last
// collected.
func liveAtLast() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
