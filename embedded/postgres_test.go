package embedded

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	p := mustStart(t, o)
	if p.Version() == "" {
		t.Error("the server has no version")
	}
	remember(t, p)
	mustStop(t, p)
	if !dead(p.process.pid) {
		t.Error("the server is alive after Stop")
	}
	if n := remembered(t, mustStart(t, o)); n != 1 {
		t.Errorf("%d rows after the restart, want 1", n)
	}
}

func TestAServerThatOutlivesItsOwnerIsAdopted(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	cmd, pid, _ := startOwner(t, o.DataDir)
	kill(t, cmd)
	p := mustStart(t, o)
	if p.process.pid != pid {
		t.Errorf("process %d serves, want the old one, %d", p.process.pid, pid)
	}
	remember(t, p)
	mustStop(t, p)
	if !dead(pid) {
		t.Error("the adopted server is alive after Stop")
	}
}

func TestAKilledServerRecovers(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	p := mustStart(t, o)
	remember(t, p)
	if err := syscall.Kill(p.process.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if n := remembered(t, mustStart(t, o)); n != 1 {
		t.Errorf("%d rows after recovery, want 1", n)
	}
}

func TestAStopOutOfTimeRecoversAtTheNextStart(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	p := mustStart(t, o)
	remember(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if !dead(p.process.pid) {
		t.Error("the server is alive after Stop")
	}
	if n := remembered(t, mustStart(t, o)); n != 1 {
		t.Errorf("%d rows after recovery, want 1", n)
	}
}

func TestStopBreaksOpenConnectionsOff(t *testing.T) {
	t.Parallel()
	p := mustStart(t, PostgresOptions{DataDir: openTempDir(t)})
	conn := mustConnect(t, p)
	defer conn.Close(t.Context())
	mustStop(t, p)
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the connection still works")
	}
}

func TestAStalePIDFileDoesNotKeepTheServerFromStarting(t *testing.T) {
	t.Parallel()
	for name, pid := range map[string]int{
		"its process is gone":             1 << 30,
		"its number is another program's": os.Getpid(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := PostgresOptions{DataDir: openTempDir(t)}
			p := mustStart(t, o)
			mustStop(t, p)
			mustWrite(t, fmt.Sprintf("%d\n%s\n1700000000\n%d\n%s\n\n  1 1\nready\n", pid, p.cluster.data(), port, p.process.sockets),
				p.cluster.data(), pidFile)
			if err := os.Lchown(filepath.Join(p.cluster.data(), pidFile), p.cluster.account.uid, p.cluster.account.gid); err != nil {
				t.Fatal(err)
			}
			mustExec(t, mustStart(t, o), `SELECT 1`)
		})
	}
}

func TestAnUnfinishedInitdbIsBegunAgain(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	mustWrite(t, "15\n", o.DataDir, "data.new", "PG_VERSION")
	mustExec(t, mustStart(t, o), `SELECT 1`)
}

func TestASocketIsFoundForAnyDataDirectory(t *testing.T) {
	t.Parallel()
	for name, sub := range map[string]string{
		"too long":        strings.Repeat("long/", 25),
		"comma":           "a,b",
		"space and signs": "Ärzte & co 100%?#=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustStart(t, PostgresOptions{DataDir: filepath.Join(openTempDir(t), sub)})
			mustExec(t, p, `SELECT 1`)
			mustStop(t, p)
			if !gone(filepath.Join(p.process.sockets, socketName)) {
				t.Error("the socket is left behind")
			}
		})
	}
}

func TestASignalFromTheTerminalDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	p := mustStart(t, PostgresOptions{DataDir: openTempDir(t)})
	group, err := syscall.Getpgid(p.process.pid)
	if err != nil {
		t.Fatal(err)
	}
	if ours := syscall.Getpgrp(); group == ours {
		t.Errorf("the server is in our process group, %d", ours)
	}
}

func TestTheServerKeepsItsDataToItself(t *testing.T) {
	t.Parallel()
	p := mustStart(t, PostgresOptions{DataDir: openTempDir(t)})
	for _, dir := range []string{p.cluster.data(), p.process.sockets} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if perm := info.Mode().Perm(); perm != 0o700 {
			t.Errorf("%s has mode %o, want 700", dir, perm)
		}
	}
	conn := mustConnect(t, p)
	defer conn.Close(t.Context())
	var addresses string
	if err := conn.QueryRow(t.Context(), `SHOW listen_addresses`).Scan(&addresses); err != nil || addresses != "" {
		t.Errorf("it listens on %q (%v), want the socket only", addresses, err)
	}
}

func TestWithoutBinariesTheErrorNamesTheWaysOut(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t), CacheDir: openTempDir(t), BinDirs: []string{}, Repository: nothingPublished(t)}
	_, err := StartPostgres(t.Context(), o)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"no PostgreSQL 15 or later", "no version found", "apt install postgresql", "DATABASE_URL", o.Repository} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestAClusterOfAnotherMajorVersionIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t), CacheDir: openTempDir(t), Repository: nothingPublished(t)}
	mustWrite(t, "18\n", o.DataDir, "data", "PG_VERSION")
	o.BinDirs = ownBinDirs()
	if bin, _, ok := (account{}).installed(t.Context(), o.BinDirs, 18); ok {
		t.Skipf("this machine has PostgreSQL 18, in %s", bin.dir)
	}
	_, err := StartPostgres(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "was made by PostgreSQL 18, which this machine does not have") {
		t.Errorf("the error is %v", err)
	}
	if gone(filepath.Join(o.DataDir, "data", "PG_VERSION")) {
		t.Error("the cluster is gone")
	}
}

func TestWhatIsNoClusterIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	mustWrite(t, "mine", o.DataDir, "data", "thesis.txt")
	_, err := StartPostgres(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "not a database cluster") {
		t.Errorf("the error is %v", err)
	}
	if gone(filepath.Join(o.DataDir, "data", "thesis.txt")) {
		t.Error("the file is gone")
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t)}
	p := mustStart(t, o)
	mustStop(t, p)
	if err := os.Remove(filepath.Join(p.cluster.data(), "global", "pg_control")); err != nil {
		t.Fatal(err)
	}
	_, err := StartPostgres(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "pg_control") {
		t.Errorf("the error is %v, want the end of the server's log", err)
	}
}

// nothingPublished is a repository that answers every request with 404.
func nothingPublished(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s.URL
}
