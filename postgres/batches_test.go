package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// manifest lists n files from the given one on.
func manifest(from, n int) []voiceassist.ManifestEntry {
	entries := make([]voiceassist.ManifestEntry, n)
	for i := range entries {
		entries[i] = voiceassist.ManifestEntry{Name: fmt.Sprintf("papers/%06d.pdf", from+i), Size: 1000, SHA256: fmt.Sprintf("%064x", from+i)}
	}
	return entries
}

// openLarge opens a batch of n files, a chunk at a time.
func openLarge(tb testing.TB, db *postgres.DB, n int) uuid.UUID {
	tb.Helper()
	var id uuid.UUID
	for from := 0; from < n; from += voiceassist.MaxManifestChunk {
		chunk := manifest(from, min(n-from, voiceassist.MaxManifestChunk))
		var files []voiceassist.BatchFile
		var err error
		if from == 0 {
			var b voiceassist.Batch
			b, files, err = db.OpenBatch(tb.Context(), voiceassist.Batch{Name: "papers", Manifest: true, More: true}, chunk)
			id = b.ID
		} else {
			_, files, err = db.ExtendBatch(tb.Context(), id, chunk, true)
		}
		if err != nil || len(files) != len(chunk) {
			tb.Fatalf("%d files are listed, %v; want %d", len(files), err, len(chunk))
		}
	}
	return id
}

func TestAManifestThatIsSentAgainChangesNothing(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	known := add(t, db, "a.txt", 3, voiceassist.DocumentMeta{})
	entries := append(manifest(1, 4), manifest(1, 1)...) // the first of them twice
	b, _, err := db.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", Manifest: true, More: true}, entries)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again, files, err := db.ExtendBatch(t.Context(), b.ID, entries, true)
		if want := (voiceassist.BatchAccount{Declared: 4, Awaited: 3, Accepted: 1, Duplicate: 1}); err != nil || again.Account != want {
			t.Errorf("the account is %+v, %v; want %+v", again.Account, err, want)
		}
		if len(files) != 5 || files[2].Fate != voiceassist.FateDuplicate || *files[2].DocumentID != known.Document.ID || files[4].ID != files[0].ID {
			t.Errorf("the files are %+v", files)
		}
	}
}

func TestABatchDoesNotEndWhileItsManifestIsComing(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	add(t, db, "a.txt", 1, voiceassist.DocumentMeta{})
	b, _, err := db.OpenBatch(t.Context(), voiceassist.Batch{Name: "a load", Manifest: true, More: true}, manifest(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	compose := func(voiceassist.Batch, voiceassist.NoticeKind) (string, error) { return "", nil }
	if n, err := db.EndBatches(t.Context(), compose); err != nil || n != 0 {
		t.Errorf("EndBatches = %d, %v before the rest of the manifest came", n, err)
	}
	if _, _, err := db.ExtendBatch(t.Context(), b.ID, nil, false); err != nil {
		t.Fatal(err)
	}
	if n, err := db.EndBatches(t.Context(), compose); err != nil || n != 1 {
		t.Errorf("EndBatches = %d, %v; want the one", n, err)
	}
	if _, _, err := db.ExtendBatch(t.Context(), b.ID, manifest(2, 1), false); voiceassist.CodeOf(err) != voiceassist.Conflict {
		t.Errorf("extending a batch that has ended is %v, want Conflict", err)
	}
}

func TestAManifestHasItsLimit(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	db, conn := open(t, url)
	b, _, err := db.OpenBatch(t.Context(), voiceassist.Batch{Name: "papers", Manifest: true, More: true}, manifest(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	id := b.ID
	if _, err := conn.Exec(t.Context(), `
		SET session_replication_role = replica; -- no check of each row's batch
		INSERT INTO batch_files (batch_id, name, state)
		SELECT $1, n::text, 'awaited' FROM generate_series(2, $2) n`, pgx.QueryExecModeSimpleProtocol, id, voiceassist.MaxBatchFiles); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.ExtendBatch(t.Context(), id, manifest(voiceassist.MaxBatchFiles, 1), false); voiceassist.CodeOf(err) != voiceassist.Invalid {
		t.Errorf("one file too many is %v, want Invalid", err)
	}
	b, err = db.Batch(t.Context(), id)
	if err != nil || b.Account.Declared != voiceassist.MaxBatchFiles || b.Account.Awaited != voiceassist.MaxBatchFiles {
		t.Errorf("the account is %+v, %v", b.Account, err)
	}
}

// open connects to a database twice: as the program does, and for what it cannot.
func open(tb testing.TB, url string) (*postgres.DB, *pgx.Conn) {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), url, postgres.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close(context.WithoutCancel(tb.Context())) })
	return db, conn
}

// BenchmarkManifest measures the first large manifest of a system that has had a
// small one: the planner believes that batches have thirty files.
func BenchmarkManifest(b *testing.B) {
	db, conn := open(b, postgrestest.URL(b))
	list := func(n int) {
		if _, _, err := db.OpenBatch(b.Context(), voiceassist.Batch{Name: "papers", Manifest: true, More: true}, manifest(0, n)); err != nil {
			b.Fatal(err)
		}
	}
	list(30)
	if _, err := conn.Exec(b.Context(), `ANALYZE batch_files; ALTER TABLE batch_files SET (autovacuum_enabled = false)`); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		list(voiceassist.MaxManifestChunk)
	}
}

// BenchmarkBatch measures what a batch of 50,000 files costs: to list it, to
// count its account when all are indexed, and to read every fate.
func BenchmarkBatch(b *testing.B) {
	const files = 50_000
	url := postgrestest.URL(b)
	db, _ := open(b, url)
	begun := time.Now()
	id := openLarge(b, db, files)
	b.Logf("a manifest of %d files: %v", files, time.Since(begun))
	fillBatch(b, url)
	b.Run("account", func(b *testing.B) {
		for b.Loop() {
			if got, err := db.Batch(b.Context(), id); err != nil || got.Account.Indexed != files-1000 || got.Account.InFlight != 1000 || got.Account.Imbalance != 0 {
				b.Fatalf("%+v, %v", got.Account, err)
			}
		}
	})
	b.Run("fates", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range db.EachBatchFile(b.Context(), id) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != files {
				b.Fatalf("%d files", n)
			}
		}
	})
	b.Run("imbalances", func(b *testing.B) {
		for b.Loop() {
			if batches, library, err := db.Imbalances(b.Context()); err != nil || batches != 0 || library != 0 {
				b.Fatal(batches, library, err)
			}
		}
	})
}

// fillBatch makes documents of all files of a batch, indexed but for a thousand
// that wait.
func fillBatch(b *testing.B, url string) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	for _, statement := range []string{
		`INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state, generation, indexed_at)
		SELECT gen_random_uuid(), sha256, size, name, 'text/plain', name, name, CASE WHEN n > 1000 THEN 'indexed' ELSE 'uploaded' END,
			CASE WHEN n > 1000 THEN 1 ELSE 0 END, CASE WHEN n > 1000 THEN now() END
		FROM (SELECT f.*, row_number() OVER (ORDER BY f.id) AS n FROM batch_files f) f`,
		`UPDATE batch_files f SET state = 'received', document_id = d.id, received_at = now() FROM documents d WHERE d.sha256 = f.sha256`,
		`INSERT INTO jobs (id, document_id, kind, queue, state) SELECT gen_random_uuid(), id, 'index', 'bulk', CASE state WHEN 'indexed' THEN 'completed' ELSE 'pending' END FROM documents`,
		`ANALYZE`,
	} {
		if _, err := conn.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

func TestARetriedBatchIsNotCancelledByWhoeverSawItCancelled(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgrestest.URL(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	b, _, err := db.OpenBatch(t.Context(), voiceassist.Batch{Name: "load"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := voiceassist.Received{SHA256: strings.Repeat("a", 64), Size: 1, Filename: "a.txt", MediaType: voiceassist.MediaText, BlobKey: "originals/a"}
	a, _, err := db.AddDocument(t.Context(), r, voiceassist.DocumentMeta{BatchID: &b.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CancelBatch(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if _, n, err := db.RetryBatch(t.Context(), b.ID); n != 1 || err != nil {
		t.Fatalf("RetryBatch = %d, %v", n, err)
	}
	if err := db.CancelBatchWork(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if d, err := db.Document(t.Context(), a.Document.ID); err != nil || d.State != voiceassist.DocumentUploaded {
		t.Errorf("the document is %s, %v; want it waiting", d.State, err)
	}
}
