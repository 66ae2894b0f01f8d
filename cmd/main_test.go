package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/voiceassist/backend/postgrestest"
)

// programs is the directory of the programs under test, built without the race
// detector, under which the reader takes half a minute to start.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "voiceassist-programs-")
		if err == nil {
			defer os.RemoveAll(dir)
			programs = dir
			err = os.Chmod(dir, 0o755)
		}
		if err == nil {
			build := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", dir, "./voiceassist", "./api", "./worker", "./scheduler")
			build.Stderr = os.Stderr
			err = build.Run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "build the programs under test:", err)
			return 1
		}
		return postgrestest.Main(m,
			// fasthttp's cleaners sleep for ten seconds before they look whether to end.
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
	}())
}

const testPassword = "a-long-test-password"

// upConfig is the configuration of an `up` for a test, in dir.
func upConfig(t *testing.T, dir string) Config {
	t.Helper()
	cfg, err := ReadConfig([]string{
		"PORT=0", "HOST=127.0.0.1", "DATA_DIR=" + dir, "ADMIN_PASSWORD=" + testPassword, "EXTRACTORS=2", "SHUTDOWN_GRACE=5s",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.readerProgram = filepath.Join(programs, "voiceassist")
	return cfg
}

// dataDir is a directory for DATA_DIR that Postgres' own account can reach.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "voiceassist-data-") //nolint:usetesting // every directory above t.TempDir() is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inProcess runs `up` in this process, and f once it is ready, and stops it.
func inProcess(t *testing.T, cfg Config, f func(ctx context.Context, s *system, c *client)) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	ready := false
	err := up(ctx, cfg, slog.New(slog.DiscardHandler), func(ctx context.Context, s *system) error {
		defer stop()
		ready = true
		c := newClient(s.url)
		if err := c.login(ctx, cfg.AdminEmail, testPassword); err != nil {
			return err
		}
		f(ctx, s, c)
		return nil
	})
	if err != nil || !ready {
		t.Fatalf("up = %v, ready %v", err, ready)
	}
}

// process is one of the programs, running.
type process struct {
	*exec.Cmd
	out  *output
	done chan struct{}
}

// output collects what a process prints and lets one wait for a line.
type output struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

// start runs a program with nothing in its environment but env.
func start(t *testing.T, name string, args []string, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), filepath.Join(programs, name), args...), out: &output{more: make(chan struct{}, 1)}, done: make(chan struct{})}
	p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LOG_FORMAT=text"}, env...)
	r, w := io.Pipe()
	p.Stdout, p.Stderr = w, w
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.out.collect(r)
	}()
	go func() {
		_ = p.Wait()
		_ = w.Close()
		<-read
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.out.text())
		}
	})
	return p
}

func (o *output) collect(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		o.mu.Lock()
		o.lines = append(o.lines, lines.Text())
		o.mu.Unlock()
		select {
		case o.more <- struct{}{}:
		default:
		}
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "\n")
}

// await waits for a line with the mark and returns what follows it.
func (p *process) await(t *testing.T, mark string) string {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		if _, after, ok := strings.Cut(p.out.text(), mark); ok {
			rest, _, _ := strings.Cut(after, "\n")
			return strings.TrimSpace(rest)
		}
		select {
		case <-p.out.more:
		case <-p.done:
			t.Fatalf("the program ended before it printed %q:\n%s", mark, p.out.text())
		case <-deadline:
			t.Fatalf("the program did not print %q:\n%s", mark, p.out.text())
		}
	}
}

// stop sends the signal and returns the exit status; -1 if a signal ended it.
func (p *process) stop(t *testing.T, sig os.Signal) int {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.Process.Signal(syscall.SIGQUIT)
		<-p.done
		t.Fatalf("the program did not end after %v", sig)
	}
	return p.ProcessState.ExitCode()
}

// signedIn returns a client of the API at base.
func signedIn(t *testing.T, base string) *client {
	t.Helper()
	c := newClient(base)
	if err := c.login(t.Context(), "admin@example.com", testPassword); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// fetch returns the body of a page that needs no token.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(reply.Body); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return reply.StatusCode, b.String()
}

// leaflet is a short text like no other.
func leaflet(i int) []byte {
	return fmt.Appendf(nil, "Leaflet %d\n\nRemedy number%d relieves ailment number%d within %d days.", i, i, i, i+1)
}
