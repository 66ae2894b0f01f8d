package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root starts servers as somebody else")
	}
}

func TestStartedByRootTheServerIsNotRoot(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := mustStart(t, PostgresOptions{DataDir: openTempDir(t)})
	owner, _, err := ownerOf(filepath.Join(p.cluster.data(), pidFile))
	if err != nil {
		t.Fatal(err)
	}
	if owner.uid == 0 {
		t.Error("the server runs as root")
	}
}

func TestInAClosedDirectoryTheDatabaseIsKeptElsewhereAndFoundAgain(t *testing.T) {
	needRoot(t)
	t.Parallel()
	o := PostgresOptions{DataDir: filepath.Join(t.TempDir(), "data")} // closed to others
	p := mustStart(t, o)
	t.Cleanup(func() { os.RemoveAll(p.cluster.home) })
	if strings.HasPrefix(p.cluster.home, o.DataDir) {
		t.Fatalf("the database is in %s, which the server cannot reach", p.cluster.home)
	}
	remember(t, p)
	mustStop(t, p)

	again := mustStart(t, o)
	if again.cluster.home != p.cluster.home || remembered(t, again) != 1 {
		t.Errorf("the second start is in %s, want %s with its data", again.cluster.home, p.cluster.home)
	}
	mustStop(t, again)
}

func TestADatabaseElsewhereIsNeitherForgottenNorRevived(t *testing.T) {
	needRoot(t)
	t.Parallel()
	o := PostgresOptions{DataDir: filepath.Join(t.TempDir(), "data")}
	p := mustStart(t, o)
	t.Cleanup(func() { os.RemoveAll(p.cluster.home) })
	mustStop(t, p)

	record := filepath.Join(o.DataDir, locationFile)
	content, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if _, err := StartPostgres(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds the database of an earlier") {
		t.Errorf("without the record the error is %v", err)
	}

	mustWrite(t, string(content), record)
	if err := os.RemoveAll(p.cluster.home); err != nil {
		t.Fatal(err)
	}
	if _, err := StartPostgres(t.Context(), o); err == nil || !strings.Contains(err.Error(), "bring it back") {
		t.Errorf("without the database the error is %v", err)
	}
}

func TestAnAccountEntersWhereTheModesLetIt(t *testing.T) {
	needRoot(t)
	t.Parallel()
	dir := openTempDir(t)
	a := account{uid: 12345, gid: 12345, drop: true}
	for _, tt := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
		want     bool
	}{
		{"open", 0o755, 0, 0, true},
		{"searchable", 0o711, 0, 0, true},
		{"closed", 0o700, 0, 0, false},
		{"own", 0o700, a.uid, 0, true},
		{"own but closed", 0o077, a.uid, a.gid, false},
		{"of the group", 0o710, 0, a.gid, true},
	} {
		path := filepath.Join(dir, tt.name)
		mustWrite(t, "", path, "file")
		if err := os.Chown(path, tt.uid, tt.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		link := path + " link"
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link, filepath.Join(path, "not", "there", "yet")} {
			if got := a.canEnter(p); got != tt.want {
				t.Errorf("canEnter(%q) = %t, want %t", p, got, tt.want)
			}
		}
	}
}
