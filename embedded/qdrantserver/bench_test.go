package qdrantserver_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/qdrant"
)

// benchPassages is how many passages the benchmarks work on.
const benchPassages = 20_000

// corpus makes passages of 200 words that are as unevenly frequent as those of
// a language, ten to a document.
func corpus(n, dim int) []voiceassist.Point {
	random := rand.New(rand.NewPCG(1, 2))
	frequency := rand.NewZipf(random, 1.1, 5, 60_000)
	made := make([]voiceassist.Point, n)
	for i := range made {
		var text strings.Builder
		for range 200 {
			fmt.Fprintf(&text, "w%d ", frequency.Uint64())
		}
		document := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i/10))
		made[i] = voiceassist.Point{
			ID: uuid.NewSHA1(document, fmt.Append(nil, i)), DocumentID: document, Generation: 1,
			SourceType: "guideline", Specialty: "cardiology", Text: text.String(),
		}
		if dim > 0 {
			made[i].Dense = make([]float32, dim)
			for j := range made[i].Dense {
				made[i].Dense[j] = random.Float32() - 0.5
			}
		}
	}
	return made
}

func BenchmarkUpsert(b *testing.B) {
	points := corpus(1000, 0)
	server, index := benchServer(b, b.TempDir(), 0)
	for b.Loop() {
		if err := index.Upsert(b.Context(), points, true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "passages/s")
	stopBench(b, server, index)
}

func BenchmarkSearch(b *testing.B) {
	for _, dim := range []int{0, 1536} {
		b.Run(fmt.Sprintf("dim=%d", dim), func(b *testing.B) {
			points := corpus(benchPassages, dim)
			before := heapInUse()
			server, index := benchServer(b, "", dim)
			if err := index.Upsert(b.Context(), points, true); err != nil {
				b.Fatal(err)
			}
			perPassage := float64(heapInUse()-before) / benchPassages
			random := rand.New(rand.NewPCG(3, 4))
			var took []time.Duration
			for b.Loop() {
				words := strings.Fields(points[random.IntN(len(points))].Text)
				query := qdrant.Query{Text: strings.Join(words[:8], " "), Dense: points[0].Dense, Limit: 50}
				began := time.Now()
				if _, err := index.Search(b.Context(), query); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
			b.ReportMetric(perPassage, "B/passage")
			stopBench(b, server, index)
		})
	}
}

func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	server, index := benchServer(b, dir, 0)
	if err := index.Upsert(b.Context(), corpus(benchPassages, 0), true); err != nil {
		b.Fatal(err)
	}
	stopBench(b, server, index)
	info, err := os.Stat(filepath.Join(dir, "points.log"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := server.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func benchServer(b *testing.B, dir string, dim int) (*qdrantserver.Server, *qdrant.Index) {
	b.Helper()
	server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	index, err := qdrant.Open(server.URL(), qdrant.Options{Dim: dim})
	if err != nil {
		b.Fatal(err)
	}
	if err := index.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	return server, index
}

func stopBench(b *testing.B, server *qdrantserver.Server, index *qdrant.Index) {
	b.Helper()
	if err := index.Close(); err != nil {
		b.Error(err)
	}
	if err := server.Close(b.Context()); err != nil {
		b.Error(err)
	}
}

func heapInUse() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
