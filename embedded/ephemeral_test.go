package embedded

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAnEphemeralServerLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := mustStart(t, PostgresOptions{Ephemeral: true})
	remember(t, p)
	mustStop(t, p)
	if !dead(p.process.pid) || !gone(p.cluster.home) {
		t.Errorf("server gone: %t, directory gone: %t", dead(p.process.pid), gone(p.cluster.home))
	}
}

func TestAnEphemeralServerGoesWithAKilledOwner(t *testing.T) {
	t.Parallel()
	cmd, pid, home := startOwner(t, "ephemeral")
	kill(t, cmd)
	eventually(t, "the server ends", func() bool { return dead(pid) })
	eventually(t, "its directory goes", func() bool { return gone(home) })
}

func TestAnEphemeralServerGoesWithAnOwnerKilledDuringInitdb(t *testing.T) {
	t.Parallel()
	dir := openTempDir(t)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	cmd := owner(t, "ephemeral", "TMPDIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun := filepath.Join(dir, "voiceassist-postgres-*", "data.new", "PG_VERSION")
	eventually(t, "initdb begins", func() bool { return len(glob(t, begun)) > 0 })
	kill(t, cmd)
	eventually(t, "the directory goes", func() bool { return len(glob(t, filepath.Join(dir, "*"))) == 0 })
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
