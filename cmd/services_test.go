package cmd

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// checkServices wants a running system to find nothing wrong with itself.
func checkServices(ctx context.Context, t *testing.T, c *client) {
	t.Helper()
	var reply struct {
		Data struct {
			Overall  string `json:"overall_status"`
			Services []struct{ Name, Status, Message string }
		}
	}
	if err := c.get(ctx, "/api/admin/services/status", &reply); err != nil {
		t.Error(err)
	}
	absent := map[string]bool{"models": true, "embedding": true, "nextcloud": true}
	for _, s := range reply.Data.Services {
		if want := map[bool]string{true: "not_configured", false: "healthy"}[absent[s.Name]]; s.Status != want {
			t.Errorf("%s is %s (%s), want %s", s.Name, s.Status, s.Message, want)
		}
	}
	if reply.Data.Overall != "healthy" || len(reply.Data.Services) != 9 {
		t.Errorf("the system is %s with %d services", reply.Data.Overall, len(reply.Data.Services))
	}
	var resources struct {
		Data struct {
			Disks []struct {
				Name  string
				Total uint64 `json:"total_bytes"`
			}
			Index struct{ Points int }
		}
	}
	if err := c.get(ctx, "/api/admin/system/resources", &resources); err != nil {
		t.Error(err)
	}
	if d := resources.Data.Disks; len(d) != 2 || d[0].Name != "data" || d[0].Total == 0 || d[1].Name != "blobs" || resources.Data.Index.Points == 0 {
		t.Errorf("resources %+v", resources.Data)
	}
}

func TestVerifyTellsWhereTheAuditLogWasTamperedWith(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		if err := db.Audit(t.Context(), voiceassist.AuditEntry{Action: "test.done"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ChainAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		var out strings.Builder
		err := verify(t.Context(), call{cfg: Config{DatabaseURL: url}, args: args, out: &out, log: slog.New(slog.DiscardHandler)})
		return out.String(), err
	}
	if out, err := run("--audit"); err != nil || !strings.Contains(out, "checked  3 entries") || !strings.Contains(out, "valid") {
		t.Errorf("an untouched log: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"--audit", "more"}, {"--audit", "--repair"}, {"--other"}} {
		if _, err := run(args...); err != errUsage { //nolint:errorlint // it is never wrapped
			t.Errorf("verify %v = %v, want the usage", args, err)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `
		SET session_replication_role = replica;
		UPDATE audit_entries SET action = 'test.undone' WHERE seq = 2`); err != nil {
		t.Fatal(err)
	}
	if out, err := run("--audit"); err == nil || !strings.Contains(out, "INVALID  at 2, entry ") {
		t.Errorf("after tampering: %v\n%s", err, out)
	}
}
