// Package contract_test holds the whole API against its contract, over HTTP,
// with one running system: the program itself, started as a user starts it.
package contract_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const adminPassword = "a-long-test-password"

// system is where the API of the running program answers, and the programs
// that were built for the tests.
var (
	system   string
	programs string
)

func TestMain(m *testing.M) {
	code, err := withSystem(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withSystem builds the programs, runs `up` on an empty directory while f runs,
// and returns what f returned.
func withSystem(f func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "voiceassist-contract-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's account has to pass
		return 0, err
	}
	programs = filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", programs+"/", "../cmd/voiceassist", "../cmd/api") //nolint:noctx // it ends by itself
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build the programs under test: %w", err)
	}
	up, ready, err := startUp(filepath.Join(dir, "data"))
	if err != nil {
		return 0, err
	}
	system = ready
	code = f()
	return code, up.end()
}

// program is a running `up`.
type program struct {
	*exec.Cmd
	log  *tail
	done chan error
}

// startUp runs `up` and returns it with the address that it announces.
func startUp(dir string) (*program, string, error) {
	p := &program{Cmd: exec.Command(filepath.Join(programs, "voiceassist"), "up"), log: &tail{}, done: make(chan error, 1)} //nolint:noctx // end ends it
	p.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=0", "HOST=127.0.0.1", "DATA_DIR=" + dir,
		"ADMIN_PASSWORD=" + adminPassword, "EXTRACTORS=1", "LOG_FORMAT=text",
	}, unlimited...)
	r, w := io.Pipe()
	p.Stdout, p.Stderr = w, w
	if err := p.Start(); err != nil {
		return nil, "", err
	}
	ready := make(chan string, 1)
	go p.log.read(r, ready)
	go func() {
		p.done <- p.Wait()
		_ = w.Close()
	}()
	select {
	case url := <-ready:
		return p, url, nil
	case err := <-p.done:
		return nil, "", fmt.Errorf("`up` ended (%w) before it was ready:\n%s", err, p.log)
	case <-time.After(3 * time.Minute):
		_ = p.Process.Kill()
		return nil, "", errors.New("`up` was not ready after three minutes:\n" + p.log.String())
	}
}

// unlimited turns the rate limits off: the tests are many requests from one
// address.
var unlimited = []string{
	"RATE_LIMIT_REGISTER=off", "RATE_LIMIT_LOGIN=off", "RATE_LIMIT_HEALTH=off", "RATE_LIMIT_ANONYMOUS=off",
	"RATE_LIMIT_SESSION=off", "RATE_LIMIT_REFRESH=off", "RATE_LIMIT_RESET=off", "RATE_LIMIT_ADMIN_ACTIONS=off",
}

func (p *program) end() error {
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("`up` did not end well: %w\n%s", err, p.log)
		}
		return nil
	case <-time.After(time.Minute):
		_ = p.Process.Kill()
		return errors.New("`up` did not end:\n" + p.log.String())
	}
}

// tail keeps the last lines that a program printed.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) read(r io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if _, url, ok := strings.Cut(line, "is ready at "); ok {
			ready <- strings.TrimSpace(url)
		}
		if strings.Contains(line, "level=ERROR") {
			fmt.Fprintln(os.Stderr, line)
		}
		t.mu.Lock()
		t.lines = append(t.lines[max(0, len(t.lines)-200):], line)
		t.mu.Unlock()
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
