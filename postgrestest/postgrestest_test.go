package postgrestest_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/voiceassist/backend/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func TestEveryTestHasAMigratedDatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	first, second := connect(t, postgrestest.URL(t)), connect(t, postgrestest.URL(t))
	insert := `INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'ada@example.org', '')`
	if _, err := first.Exec(t.Context(), insert); err != nil {
		t.Fatalf("insert into a new database: %v", err)
	}
	var n int
	if err := second.QueryRow(t.Context(), `SELECT count(*) FROM users`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("the other test's database holds %d users, want 0", n)
	}
}

func TestTheDatabaseIsDroppedAfterTheTest(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("a test with an open connection", func(t *testing.T) {
		url = postgrestest.URL(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.PgConn().Conn().Close() })
	})
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("the database is still there")
	}
}

func TestOpenReturnsALedgerThatAnswers(t *testing.T) {
	t.Parallel()
	if err := postgrestest.Open(t).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

func BenchmarkURL(b *testing.B) {
	for b.Loop() {
		postgrestest.URL(b)
	}
}
