package postgres_test

import (
	"io/fs"
	"testing"

	"github.com/google/uuid"

	"github.com/voiceassist/backend/migrations"
)

// TestDeletionsFromBeforeTheWayBackAreFinished migrates a ledger in which one
// deletion had been done and another had not.
func TestDeletionsFromBeforeTheWayBackAreFinished(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	p.exec(`DROP SCHEMA public CASCADE`)
	p.exec(`CREATE SCHEMA public`)
	p.exec(`CREATE TABLE schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`)
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name >= "0016" {
			break
		}
		sql, err := migrations.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p.exec(string(sql))
		p.exec(`INSERT INTO schema_migrations (name) VALUES ($1)`, name)
	}
	living, done, pending := uuid.New(), uuid.New(), uuid.New()
	p.exec(`INSERT INTO documents (id, sha256, size, filename, media_type, blob_key, title, state, deleted_at)
		SELECT id, repeat(n::text, 64), 1, 'a.txt', 'text/plain', 'originals/' || n, 'A title', 'indexed', CASE WHEN n > 1 THEN now() END
		FROM unnest(ARRAY[$1, $2, $3]::uuid[]) WITH ORDINALITY AS d (id, n)`, living, done, pending)
	p.exec(`INSERT INTO jobs (id, document_id, kind, queue, state) VALUES (gen_random_uuid(), $1, 'delete', 'bulk', 'completed'), (gen_random_uuid(), $2, 'delete', 'bulk', 'pending')`, done, pending)
	if err := p.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uuid.UUID]string{living: "not deleted, 0 purges", done: "purged, 0 purges", pending: "to be purged, 1 purges"} {
		var got string
		if err := p.conn.QueryRow(t.Context(), `
			SELECT CASE WHEN deleted_at IS NULL THEN 'not deleted' WHEN purged_at IS NULL THEN 'to be purged' ELSE 'purged' END
				|| ', ' || (SELECT count(*) FROM jobs WHERE document_id = d.id AND kind = 'purge' AND state = 'pending' AND run_at <= now()) || ' purges'
			FROM documents d
			WHERE id = $1`, id).Scan(&got); err != nil || got != want {
			t.Errorf("a document is %q, %v; want %q", got, err, want)
		}
	}
}
