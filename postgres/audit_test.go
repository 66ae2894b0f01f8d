package postgres_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// ledgerWithSQL returns a ledger and its database besides.
func ledgerWithSQL(t *testing.T) (*postgres.DB, *pgxpool.Pool) {
	t.Helper()
	url := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return db, pool
}

// tamper changes the database as its owner can: without triggers.
func tamper(t *testing.T, pool *pgxpool.Pool, statement string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica; `+statement)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// somebody is a context in which a user acts.
func somebody(t *testing.T, id uuid.UUID) context.Context {
	t.Helper()
	return voiceassist.WithActor(t.Context(), voiceassist.Actor{
		UserID: id, Email: "ada@example.org", IP: "192.0.2.7", RequestID: "r-1", TraceID: strings.Repeat("a", 32),
	})
}

// audit adds n entries.
func audit(ctx context.Context, t *testing.T, db *postgres.DB, n int) {
	t.Helper()
	for i := range n {
		if err := db.Audit(ctx, voiceassist.AuditEntry{
			Action: "test.done", ResourceType: "thing", ResourceID: fmt.Sprint(i),
			Details: map[string]any{"z": i, "a": map[string]any{"y": "é <&>\u2028", "b": 1.5}},
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func chain(t *testing.T, db *postgres.DB) int {
	t.Helper()
	n, err := db.ChainAudit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func verify(t *testing.T, db *postgres.DB) voiceassist.AuditVerdict {
	t.Helper()
	v, err := db.VerifyAudit(t.Context(), voiceassist.AuditRange{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wantWhole fails unless the chain is in order and this long.
func wantWhole(t *testing.T, db *postgres.DB, checked int) voiceassist.AuditVerdict {
	t.Helper()
	v := verify(t, db)
	if v.Bad != nil || v.Checked != checked || v.Next != 0 {
		t.Errorf("checked %d entries, going on at %d, fault %+v; want %d in order", v.Checked, v.Next, v.Bad, checked)
	}
	return v
}

func TestTamperingWithTheAuditLogIsFound(t *testing.T) {
	t.Parallel()
	const swap = `
		UPDATE audit_entries SET seq = seq + 1000 WHERE seq IN (3, 4);
		UPDATE audit_entries SET seq = CASE seq WHEN 1003 THEN 4 ELSE 3 END WHERE seq > 1000;`
	for _, c := range []struct {
		name, statement string
		seq             int64
		why             string
	}{
		{"an action is changed", `UPDATE audit_entries SET action = 'test.undone' WHERE seq = 3`, 3, "was changed"},
		{"the outcome is changed", `UPDATE audit_entries SET success = false WHERE seq = 1`, 1, "was changed"},
		{"a time is changed by a microsecond", `UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE seq = 6`, 6, "was changed"},
		{"the actor is changed", `UPDATE audit_entries SET user_id = gen_random_uuid() WHERE seq = 2`, 2, "was changed"},
		{"the actor is taken out", `UPDATE audit_entries SET user_id = NULL WHERE seq = 2`, 2, "was changed"},
		{"a detail is changed", `UPDATE audit_entries SET details = jsonb_set(details, '{z}', '9') WHERE seq = 5`, 5, "was changed"},
		{"a detail is added", `UPDATE audit_entries SET details = details || '{"c": null}' WHERE seq = 5`, 5, "was changed"},
		{"a hash is changed", `UPDATE audit_entries SET hash = sha256('x') WHERE seq = 4`, 4, "was changed"},
		{"an entry is changed and hashed anew", `UPDATE audit_entries SET action = 'x', prev_hash = sha256('x') WHERE seq = 4`, 4, "does not follow"},
		{"the first is removed", `DELETE FROM audit_entries WHERE seq = 1`, 1, "is missing"},
		{"one in the middle is removed", `DELETE FROM audit_entries WHERE seq = 4`, 4, "is missing"},
		{"one is removed and the rest moved up", `DELETE FROM audit_entries WHERE seq = 4; UPDATE audit_entries SET seq = seq - 1 WHERE seq > 4`, 4, "does not follow"},
		{"two change places", swap, 3, "does not follow"},
		{"the end is cut off", `DELETE FROM audit_entries WHERE seq > 4`, 5, "is missing, with all up to 6"},
		{"everything is removed", `DELETE FROM audit_entries`, 1, "is missing, with all up to 6"},
		{"one is added at the end", `INSERT INTO audit_entries (id, level, action, seq, prev_hash, hash)
			SELECT gen_random_uuid(), 'info', 'x', 7, hash, hash FROM audit_entries WHERE seq = 6`, 7, "was changed"},
		{"one is put in the place of another", `DELETE FROM audit_entries WHERE seq = 3; INSERT INTO audit_entries (id, level, action, seq, prev_hash, hash)
			SELECT gen_random_uuid(), 'info', 'x', 3, hash, hash FROM audit_entries WHERE seq = 2`, 3, "was changed"},
		{"the head is moved back", `UPDATE audit_chain SET head_seq = 5, head_hash = (SELECT hash FROM audit_entries WHERE seq = 5)`, 6, "after the end"},
		{"the head is another", `UPDATE audit_chain SET head_hash = sha256('x')`, 6, "not the one that the chain ended with"},
		{"an address is changed", `UPDATE audit_people SET email = 'eve@example.org' WHERE entry_id = (SELECT id FROM audit_entries WHERE seq = 2)`, 2, "personal data of the entry was changed"},
		{"an IP is changed", `UPDATE audit_people SET ip = '' WHERE entry_id = (SELECT id FROM audit_entries WHERE seq = 2)`, 2, "personal data of the entry was changed"},
		{"a person is removed", `DELETE FROM audit_people WHERE entry_id = (SELECT id FROM audit_entries WHERE seq = 2)`, 2, "personal data of the entry was added or removed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db, pool := ledgerWithSQL(t)
			audit(somebody(t, uuid.New()), t, db, 6)
			chain(t, db)
			wantWhole(t, db, 6)
			tamper(t, pool, c.statement)
			bad := verify(t, db).Bad
			if bad == nil || bad.Seq != c.seq || !strings.Contains(bad.Why, c.why) {
				t.Errorf("found %+v, want %q at %d", bad, c.why, c.seq)
			}
			if bad != nil && (bad.ID == uuid.Nil) != strings.Contains(bad.Why, "missing") && !strings.Contains(bad.Why, "end") {
				t.Errorf("the fault %q names the entry %s", bad.Why, bad.ID)
			}
		})
	}
}

func TestTheAuditLogRefusesChanges(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	audit(somebody(t, uuid.New()), t, db, 3)
	chain(t, db)
	audit(somebody(t, uuid.New()), t, db, 1)
	for _, statement := range []string{
		`UPDATE audit_entries SET action = 'x'`,
		`UPDATE audit_entries SET action = 'x' WHERE seq IS NULL`,
		`UPDATE audit_entries SET action = 'x', seq = 4, prev_hash = '', hash = '' WHERE seq IS NULL`,
		`UPDATE audit_entries SET seq = 9 WHERE seq = 3`,
		`UPDATE audit_entries SET seq = NULL, prev_hash = NULL, hash = NULL WHERE seq = 3`,
		`INSERT INTO audit_entries (id, level, action, seq, prev_hash, hash) VALUES (gen_random_uuid(), 'info', 'x', 9, '', '')`,
		`DELETE FROM audit_entries`,
		`DELETE FROM audit_entries WHERE seq = 1`,
		`DELETE FROM audit_entries WHERE seq IS NULL`,
		`TRUNCATE audit_entries CASCADE`,
		`UPDATE audit_people SET email = 'eve@example.org'`,
		`UPDATE audit_people SET ip = '', email = ''`,
		`DELETE FROM audit_people`,
		`TRUNCATE audit_people`,
		`UPDATE audit_chain SET head_seq = 1`,
		`UPDATE audit_chain SET anchor_seq = 9`,
		`DELETE FROM audit_chain`,
		`TRUNCATE audit_chain`,
		`INSERT INTO audit_chain (one) VALUES (false)`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s was not refused", statement)
		}
	}
	chain(t, db)
	wantWhole(t, db, 4)
}

func TestTheChainTakesManyWritersAndChainers(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	const writers, each = 64, 20
	var writing, chaining sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		chaining.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := db.ChainAudit(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range writers {
		writing.Go(func() { audit(somebody(t, uuid.New()), t, db, each) })
	}
	writing.Wait()
	close(done)
	chaining.Wait()
	chain(t, db)
	if v := wantWhole(t, db, writers*each); v.Unchained != 0 || v.Head.Seq != writers*each {
		t.Errorf("%d wait, the chain ends at %d; want none and %d", v.Unchained, v.Head.Seq, writers*each)
	}
}

func TestAnEntryThatCommitsLateIsChainedLater(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	early, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO audit_entries (id, level, action) VALUES ($1, 'info', 'test.late')`
	id := uuid.Must(uuid.NewV7())
	if _, err := early.Exec(t.Context(), insert, id); err != nil {
		t.Fatal(err)
	}
	audit(t.Context(), t, db, 2)
	if n := chain(t, db); n != 2 {
		t.Errorf("chained %d entries, want the 2 that are committed", n)
	}
	if err := early.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	chain(t, db)
	wantWhole(t, db, 3)
	logs, _, err := db.AuditLogs(t.Context(), voiceassist.AuditFilter{Action: "test.late", Limit: 1})
	if err != nil || len(logs) != 1 || logs[0].Seq != 3 {
		t.Errorf("the late entry is %+v, %v; want it in place 3", logs, err)
	}
}

func TestAChainerThatDiesHalfWayLeavesNothing(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	audit(t.Context(), t, db, 3)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, statement := range []string{
		`BEGIN`, `SELECT head_seq FROM audit_chain FOR UPDATE`,
		`UPDATE audit_entries SET seq = 1, prev_hash = '', hash = '' WHERE id = (SELECT min(id::text)::uuid FROM audit_entries)`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if n := chain(t, db); n != 0 {
		t.Errorf("chained %d entries while another chains, want none", n)
	}
	if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, conn.Conn().PgConn().PID()); err != nil {
		t.Fatal(err)
	}
	if n := chain(t, db); n != 3 {
		t.Errorf("chained %d entries after the other died, want 3", n)
	}
	wantWhole(t, db, 3)
}

func TestTheChainIsVerifiedInParts(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	audit(t.Context(), t, db, 10)
	chain(t, db)
	part := func(r voiceassist.AuditRange) voiceassist.AuditVerdict {
		t.Helper()
		v, err := db.VerifyAudit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	total, next := 0, int64(1)
	for next != 0 {
		v := part(voiceassist.AuditRange{From: next, Limit: 4})
		if v.Bad != nil {
			t.Fatalf("from %d: %+v", next, v.Bad)
		}
		total, next = total+v.Checked, v.Next
	}
	if total != 10 {
		t.Errorf("the parts have %d entries, want 10", total)
	}
	if v := part(voiceassist.AuditRange{From: 11}); v.Bad != nil || v.Checked != 0 {
		t.Errorf("behind the last entry: %+v", v)
	}
	if _, err := db.VerifyAudit(t.Context(), voiceassist.AuditRange{From: 12}); voiceassist.CodeOf(err) != voiceassist.Invalid {
		t.Errorf("from beyond the end: %v, want Invalid", err)
	}
	tamper(t, pool, `UPDATE audit_entries SET action = 'x' WHERE seq = 2`)
	if v := part(voiceassist.AuditRange{From: 3}); v.Bad != nil || v.Checked != 8 {
		t.Errorf("behind the bad entry: %+v", v)
	}
	if v := part(voiceassist.AuditRange{Limit: 1}); v.Bad != nil || v.Next != 2 {
		t.Errorf("before the bad entry: %+v", v)
	}
	tamper(t, pool, `DELETE FROM audit_entries WHERE seq = 5`)
	if v := part(voiceassist.AuditRange{From: 6}); v.Bad == nil || v.Bad.Seq != 5 {
		t.Errorf("behind a missing entry: %+v, want a fault at 5", v.Bad)
	}
}

func TestRetentionTakesTheOldestEntriesAndMovesTheAnchor(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	audit(somebody(t, uuid.New()), t, db, 6)
	// The chain's times are hashed, so the past is written before it is chained.
	tamper(t, pool, `UPDATE audit_entries SET at = at - interval '10 days' WHERE resource_id IN ('0', '1', '2', '4')`)
	chain(t, db)
	audit(t.Context(), t, db, 1)
	tamper(t, pool, `UPDATE audit_entries SET at = at - interval '10 days' WHERE seq IS NULL`)

	n, err := db.ExpireAudit(t.Context(), time.Now().Add(-24*time.Hour))
	if err != nil || n != 3 {
		t.Fatalf("ExpireAudit = %d, %v; want the 3 that are the beginning", n, err)
	}
	if n, err := db.ExpireAudit(t.Context(), time.Now().Add(-24*time.Hour)); err != nil || n != 0 {
		t.Errorf("the second time: %d, %v; want nothing", n, err)
	}
	chain(t, db)
	v := wantWhole(t, db, 5)
	if v.Anchor.Seq != 3 || v.Head.Seq != 8 {
		t.Errorf("the chain goes from %d to %d, want 3 to 8", v.Anchor.Seq, v.Head.Seq)
	}
	logs, total, err := db.AuditLogs(t.Context(), voiceassist.AuditFilter{Action: "audit.expired", Limit: 5})
	if err != nil || total != 1 {
		t.Fatalf("%d entries tell of it, %v; want 1", total, err)
	}
	if d := logs[0].Details; d["removed"] != 3.0 || d["through_hash"] != hex.EncodeToString(v.Anchor.Hash) {
		t.Errorf("details %v", d)
	}
	var people int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_people`).Scan(&people); err != nil || people != 3 {
		t.Errorf("%d people are left, %v; want those of the 3 entries that stay", people, err)
	}
}

func TestRetentionKeepsWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	audit(t.Context(), t, db, 5)
	chain(t, db)
	tamper(t, pool, `UPDATE audit_entries SET action = 'x' WHERE seq = 3`)
	if n, err := db.ExpireAudit(t.Context(), time.Now().Add(time.Hour)); err == nil || n != 0 {
		t.Errorf("ExpireAudit = %d, %v; want an error", n, err)
	}
	if bad := verify(t, db).Bad; bad == nil || bad.Seq != 3 {
		t.Errorf("found %+v, want a fault at 3", bad)
	}
}

func TestErasingAPersonLeavesTheChainWhole(t *testing.T) {
	t.Parallel()
	db, pool := ledgerWithSQL(t)
	user := uuid.New()
	if _, err := pool.Exec(t.Context(), `
		INSERT INTO users (id, email, full_name, role, password_hash) VALUES ($1, 'ada@example.org', 'Ada', 'user', '')`, user); err != nil {
		t.Fatal(err)
	}
	other := voiceassist.WithActor(t.Context(), voiceassist.Actor{UserID: uuid.New(), Email: "bob@example.org"})
	audit(somebody(t, user), t, db, 2)
	audit(other, t, db, 1)
	chain(t, db)
	audit(somebody(t, user), t, db, 1) // still unchained
	audit(somebody(t, uuid.Nil), t, db, 1)
	if err := db.EraseAudit(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	chain(t, db)
	wantWhole(t, db, 5)
	logs, _, err := db.AuditLogs(t.Context(), voiceassist.AuditFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var emails []string
	for _, l := range logs {
		emails = append(emails, l.Email+l.IP)
	}
	if d := cmp.Diff([]string{"", "", "bob@example.org", "", ""}, emails); d != "" {
		t.Errorf("personal data (-want +got):\n%s", d)
	}
	if err := db.EraseAudit(t.Context(), user); err != nil {
		t.Errorf("erasing again: %v", err)
	}
}

func TestAuditEntriesAreFiltered(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	user, yes, no := uuid.New(), true, false
	add := func(ctx context.Context, e voiceassist.AuditEntry) {
		t.Helper()
		if err := db.Audit(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	add(t.Context(), voiceassist.AuditEntry{Action: "user.created"})
	add(somebody(t, user), voiceassist.AuditEntry{Action: "user.role_changed", ResourceType: "user", ResourceID: "7", Level: voiceassist.AuditWarning})
	add(t.Context(), voiceassist.AuditEntry{Action: "user_x.created", Email: strings.Repeat("x\x00\xff", 999), Failed: true})
	for _, c := range []struct {
		name string
		f    voiceassist.AuditFilter
		want string
	}{
		{"everything, newest first", voiceassist.AuditFilter{}, "user_x.created user.role_changed user.created"},
		{"an action", voiceassist.AuditFilter{Action: "user.created"}, "user.created"},
		{"a prefix", voiceassist.AuditFilter{ActionPrefix: "user."}, "user.role_changed user.created"},
		{"a wildcard is none", voiceassist.AuditFilter{ActionPrefix: "user_"}, "user_x.created"},
		{"a user", voiceassist.AuditFilter{UserID: user}, "user.role_changed"},
		{"a level", voiceassist.AuditFilter{Level: voiceassist.AuditWarning}, "user.role_changed"},
		{"a resource", voiceassist.AuditFilter{ResourceType: "user", ResourceID: "7"}, "user.role_changed"},
		{"successes", voiceassist.AuditFilter{Success: &yes}, "user.role_changed user.created"},
		{"failures", voiceassist.AuditFilter{Success: &no}, "user_x.created"},
		{"the future", voiceassist.AuditFilter{From: time.Now().Add(time.Hour)}, ""},
		{"the past", voiceassist.AuditFilter{To: time.Now().Add(-time.Hour)}, ""},
		{"today", voiceassist.AuditFilter{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, "user_x.created user.role_changed user.created"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Limit = 10
			logs, total, err := db.AuditLogs(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			var actions []string
			for _, l := range logs {
				actions = append(actions, l.Action)
			}
			if got := strings.Join(actions, " "); got != c.want || total != len(actions) {
				t.Errorf("found %q, %d in all; want %q", got, total, c.want)
			}
			var each []string
			for r, err := range db.EachAudit(t.Context(), c.f) {
				if err != nil {
					t.Fatal(err)
				}
				each = append([]string{r.Action}, each...)
			}
			if got := strings.Join(each, " "); got != c.want {
				t.Errorf("the export has %q, want %q", got, c.want)
			}
		})
	}
}

func TestADocumentsHistoryTellsEverything(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	ctx := somebody(t, uuid.New())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	received := voiceassist.Received{Filename: "a.txt", MediaType: voiceassist.MediaText, SHA256: strings.Repeat("b", 64), Size: 3, BlobKey: "b/1"}
	a, _, err := db.AddDocument(ctx, received, voiceassist.DocumentMeta{})
	must(err)
	id := a.Document.ID
	received.BlobKey = "b/2"
	_, _, err = db.AddDocument(ctx, received, voiceassist.DocumentMeta{})
	must(err)
	_, err = db.CancelJob(ctx, a.JobID)
	must(err)
	_, err = db.RetryJob(ctx, a.JobID)
	must(err)
	_, err = db.Reindex(ctx, []uuid.UUID{id})
	must(err)
	_, err = db.Reindex(ctx, nil)
	must(err)
	_, err = db.DeleteDocument(ctx, id, 0)
	must(err)

	logs, total, jobs, err := db.DocumentHistory(t.Context(), id, 0, 20)
	must(err)
	var actions []string
	for _, l := range logs {
		actions = append(actions, l.Action)
		if l.Email != "ada@example.org" {
			t.Errorf("%s was done by %q", l.Action, l.Email)
		}
	}
	want := []string{
		"document.deleted", "document.reindexed", "document.reindexed", "job.retried", "job.cancelled",
		"document.duplicate", "document.uploaded",
	}
	if d := cmp.Diff(want, actions); d != "" || total != len(want) {
		t.Errorf("%d entries (-want +got):\n%s", total, d)
	}
	if len(jobs) != 4 || jobs[0].Kind != voiceassist.JobPurge || jobs[1].Kind != voiceassist.JobDelete || len(jobs[3].Timeline) == 0 {
		t.Errorf("jobs %+v", jobs)
	}
	if _, _, _, err := db.DocumentHistory(t.Context(), uuid.New(), 0, 20); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("the history of nothing is %v, want NotFound", err)
	}
}
