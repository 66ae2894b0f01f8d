package system

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Who signs in to the systems that are started here.
const (
	Email    = "admin@example.com"
	Password = "measured-and-found-good"
)

// Up is a running `voiceassist up`.
type Up struct {
	Client
	cmd *exec.Cmd
}

// MakeDir makes a directory for a system that Postgres' own account can reach.
func MakeDir() (string, error) {
	dir, err := os.MkdirTemp("", "voiceassist-bench-")
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// StartUp starts `bin up` on dir and a free port, with env beside the
// environment of this process, and returns once it says that it is ready.
// It is stopped by Stop only.
func StartUp(ctx context.Context, bin, dir string, env ...string) (*Up, error) {
	u := &Up{cmd: exec.CommandContext(context.WithoutCancel(ctx), bin, "up")}
	u.cmd.Env = append(os.Environ(), "DATA_DIR="+dir, "PORT=0", "ADMIN_EMAIL="+Email, "ADMIN_PASSWORD="+Password, "LOG_LEVEL=ERROR")
	u.cmd.Env = append(u.cmd.Env, env...)
	u.cmd.Stderr = os.Stderr
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := u.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for u.URL == "" && lines.Scan() {
		_, u.URL, _ = strings.Cut(lines.Text(), "is ready at ")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if u.URL == "" {
		return nil, errors.Join(errors.New("the program ended before it was ready"), u.Stop())
	}
	return u, nil
}

// PID is the process's id.
func (u *Up) PID() int { return u.cmd.Process.Pid }

// Stop ends the program in good order.
func (u *Up) Stop() error {
	_ = u.cmd.Process.Signal(syscall.SIGTERM)
	return u.cmd.Wait()
}

// Kill ends the program as a failing machine does. Wait for it.
func (u *Up) Kill() { _ = u.cmd.Process.Kill() }

// Wait waits for the program's end, however it comes.
func (u *Up) Wait() { _ = u.cmd.Wait() }
