package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// guard ties an ephemeral cluster to this process: when the process ends, be
// it by SIGKILL, the pipe it holds breaks, and the shell at the other end
// stops what it runs and removes the directory.
type guard struct {
	dir       string
	read, own *os.File
}

// guardScript runs "$@" until it ends or standard input does. SIGTERM comes
// first for a program that has not set up its handling of SIGQUIT yet, which
// the shell makes its background processes ignore.
const guardScript = `
dir=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; : >"$dir/abandoned"; kill -TERM $child; kill -QUIT $child; } & guard=$!
wait $child; status=$?
kill $guard 2>/dev/null
[ -e "$dir/abandoned" ] && rm -rf "$dir"
exit $status
`

// ephemeralCluster makes the place for a cluster that lives as long as we do.
func ephemeralCluster(o PostgresOptions) (*cluster, error) {
	a, err := accountFor("")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(ephemeralParent(a), "voiceassist-postgres-")
	if err != nil {
		return nil, err
	}
	if err := a.makeDir(dir); err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &cluster{dir: dir, home: dir, account: a, log: o.Log, guard: &guard{dir: dir, read: r, own: w}}, nil
}

// ephemeralParent is $TMPDIR if it is set, else a file system in memory if the
// machine has a roomy one, which makes a database five times as fast.
func ephemeralParent(a account) string {
	if dir, set := os.LookupEnv("TMPDIR"); set && a.canEnter(dir) {
		return dir
	}
	const memory, room = "/dev/shm", 2 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs(memory, &st); err == nil && st.Bavail*uint64(st.Bsize) >= room {
		return memory
	}
	return "/tmp"
}

// command is a process of the cluster's account, guarded if the cluster is.
func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if c.guard == nil {
		return c.account.command(ctx, name, args...)
	}
	args = append([]string{"-c", guardScript, "guard", c.guard.dir, name}, args...)
	cmd := c.account.command(ctx, "/bin/sh", args...)
	cmd.Stdin = c.guard.read
	cmd.Cancel = func() error {
		c.guard.end()
		return nil
	}
	return cmd
}

// end breaks the pipe, which stops the guarded process. Once is enough.
func (g *guard) end() { _ = g.own.Close() }

// remove takes the directory away when nothing runs in it any more.
func (g *guard) remove() error {
	_ = g.read.Close()
	if err := os.RemoveAll(g.dir); err != nil {
		return fmt.Errorf("remove %s: %w", filepath.Base(g.dir), err)
	}
	return nil
}
