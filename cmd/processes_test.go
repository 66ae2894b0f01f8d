package cmd

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/postgrestest"
)

// TestTheProcessTypesRunApart runs one api, two workers and two schedulers as
// processes of their own, kills one worker in the middle, and finds every
// document indexed once.
func TestTheProcessTypesRunApart(t *testing.T) {
	t.Parallel()
	env := servers(t)
	create := start(t, "voiceassist", []string{"admin", "create"}, append(env, "ADMIN_PASSWORD="+testPassword)...)
	create.await(t, "was created as an administrator")

	api := start(t, "api", nil, append(env, "PORT=0", "HOST=127.0.0.1")...)
	var others []*process
	for _, name := range []string{"worker", "worker", "scheduler", "scheduler"} {
		others = append(others, start(t, name, nil, append(env, "METRICS_ADDR=127.0.0.1:0")...))
	}
	c := signedIn(t, "http://"+api.await(t, "msg=listening addr="))
	const n = 40
	for i := range n {
		if _, err := c.upload(t.Context(), fmt.Sprintf("%d.txt", i), leaflet(i), nil); err != nil {
			t.Fatal(err)
		}
		if i == n/2 {
			others[0].stop(t, syscall.SIGKILL)
		}
	}
	if err := c.awaitIdle(t.Context(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.documentsIn(t.Context(), "indexed"); err != nil || got != n {
		t.Errorf("%d documents are indexed, %v; want %d", got, err, n)
	}
	for _, p := range others[1:] {
		checkOperatorPages(t, p)
		if status := p.stop(t, syscall.SIGTERM); status != 0 {
			t.Errorf("%s exits with %d after SIGTERM, want 0", p.Path, status)
		}
	}
	if status := api.stop(t, syscall.SIGTERM); status != 0 {
		t.Errorf("the api exits with %d after SIGTERM, want 0", status)
	}
}

func checkOperatorPages(t *testing.T, p *process) {
	t.Helper()
	base := "http://" + p.await(t, "msg=metrics addr=")
	for path, want := range map[string]string{"/health": "healthy", "/ready": "ready", "/metrics": "voiceassist_"} {
		if status, body := fetch(t, base+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s of %s is %d %.80q", path, p.Path, status, body)
		}
	}
}

// servers starts what the separate processes need and returns its environment.
func servers(t *testing.T) []string {
	t.Helper()
	rd, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rd.Close)
	qd, err := qdrantserver.New(qdrantserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := qd.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = qd.Close(context.WithoutCancel(t.Context())) })
	return []string{
		"DATABASE_URL=" + postgrestest.URL(t), "REDIS_URL=" + rd.URL(), "QDRANT_URL=http://" + qd.Addr(),
		"BLOB_URL=file://" + t.TempDir(), "JWT_SECRET=" + strings.Repeat("s", 32), "EXTRACTORS=2",
	}
}

func TestAProcessWithoutAMigratedDatabaseSaysWhatToRun(t *testing.T) {
	t.Parallel()
	p := start(t, "worker", nil)
	<-p.done
	if status := p.ProcessState.ExitCode(); status != exitUsage || !strings.Contains(p.out.text(), "DATABASE_URL") {
		t.Errorf("a worker without configuration exits with %d: %s", status, p.out.text())
	}
}

func TestTheOperatorUnlocksAnAccount(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=" + postgrestest.URL(t)}
	create := start(t, "voiceassist", []string{"admin", "create", "-email", "ada@example.org"}, append(env, "ADMIN_PASSWORD="+testPassword)...)
	create.await(t, "was created as an administrator")
	unlock := start(t, "voiceassist", []string{"admin", "unlock", "Ada@example.org"}, env...)
	unlock.await(t, "was not locked")
	stranger := start(t, "voiceassist", []string{"admin", "unlock", "bob@example.org"}, env...)
	<-stranger.done
	if status := stranger.ProcessState.ExitCode(); status != exitFailed || !strings.Contains(stranger.out.text(), "not found") {
		t.Errorf("unlocking nobody exits with %d: %s", status, stranger.out.text())
	}
	typo := start(t, "voiceassist", []string{"admin", "unlock"}, env...)
	<-typo.done
	if status := typo.ProcessState.ExitCode(); status != exitUsage {
		t.Errorf("`admin unlock` without an address exits with %d", status)
	}
}
