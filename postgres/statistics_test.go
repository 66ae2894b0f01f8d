package postgres_test

import (
	"fmt"
	"testing"

	"github.com/voiceassist/backend/postgrestest"
)

func TestTablesThatHaveGrownAreAnalyzed(t *testing.T) {
	t.Parallel()
	db, conn := postgrestest.OpenWithConn(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`ALTER TABLE vectors SET (autovacuum_enabled = false)`) // or it may come first
	for _, c := range []struct{ rows, analyzed int }{{900, 0}, {4000, 1}, {100, 0}} {
		exec(fmt.Sprintf(`INSERT INTO vectors (profile, text_sha256, vector) SELECT 'p', sha256(gen_random_uuid()::text::bytea), '' FROM generate_series(1, %d)`, c.rows))
		exec(`SELECT pg_stat_force_next_flush()`)
		if n, err := db.AnalyzeGrown(t.Context()); err != nil || n != c.analyzed {
			t.Errorf("after %d more rows %d tables were analyzed, %v; want %d", c.rows, n, err, c.analyzed)
		}
	}
}
