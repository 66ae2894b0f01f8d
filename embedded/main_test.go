package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// ownerVariable names the environment variable that turns the test binary into a
// process that starts a server, tells its pid, and waits to be killed. Its
// value is the data directory, or "ephemeral".
const ownerVariable = "EMBEDDED_TEST_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		os.Exit(own(dir))
	}
	goleak.VerifyTestMain(m)
}

func own(dir string) int {
	p, err := StartPostgres(context.Background(), PostgresOptions{DataDir: dir, Ephemeral: dir == "ephemeral"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(p.process.pid, p.cluster.home)
	select {}
}

// owner runs the test binary as the owner of a server in dir.
func owner(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), append(env, ownerVariable+"="+dir)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// startOwner runs an owner and returns when its server answers.
func startOwner(t *testing.T, dir string) (cmd *exec.Cmd, pid int, home string) {
	t.Helper()
	cmd = owner(t, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner ended early: %v, %v", err, cmd.Wait())
	}
	if _, err := fmt.Sscan(line, &pid, &home); err != nil {
		t.Fatalf("the owner said %q: %v", line, err)
	}
	return cmd, pid, home
}

// kill ends a process as nothing can prevent.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*exec.ExitError](cmd.Wait()); !ok {
		t.Fatal("the process ended before it was killed")
	}
}

// openTempDir is a temporary directory that other users may enter, as a data
// directory is; t.TempDir is closed to them.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "voiceassist-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mustStart starts a server that is stopped after the test at the latest.
func mustStart(t *testing.T, o PostgresOptions) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

func mustStop(t *testing.T, p *Postgres) {
	t.Helper()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustExec(t *testing.T, p *Postgres, sql string) {
	t.Helper()
	conn := mustConnect(t, p)
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func mustConnect(t *testing.T, p *Postgres) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// remember and remembered write and count the rows that ought to last.
func remember(t *testing.T, p *Postgres) {
	t.Helper()
	mustExec(t, p, `CREATE TABLE IF NOT EXISTS kept (at timestamptz)`)
	mustExec(t, p, `INSERT INTO kept VALUES (now())`)
}

func remembered(t *testing.T, p *Postgres) (n int) {
	t.Helper()
	conn := mustConnect(t, p)
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM kept`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually asks until the answer is yes, at most ten seconds long.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !yes() {
		if pauseIn(ctx) != nil {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}

func dead(pid int) bool { return !postmaster{pid: pid}.exists() }

func mustWrite(t *testing.T, content string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
