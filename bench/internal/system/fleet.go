package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Fleet is the process types as the Procfile has them, each member a process of
// its own that is started again at once when it ends, until Stop.
type Fleet struct {
	URL string // of the API, through all its lives

	dir     string
	env     []string
	bin     string // the directory of the programs
	logs    *os.File
	members []*Member
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// Member is one process of a Fleet and those that follow it.
type Member struct {
	Type  string // api, worker or scheduler
	fleet *Fleet

	mu      sync.Mutex
	process *os.Process // nil between two lives
	kills   int
	ends    int // lives that ended without being asked to
}

// FleetOptions say how many of each type there are; at least one.
type FleetOptions struct {
	Workers    int
	Schedulers int
	Env        []string // beside that of the engines
}

// StartFleet migrates the ledger of e, makes an administrator and starts one
// api and the others, with the programs that lie beside bin. It returns once
// the API answers. What the processes print goes to the file log in e.Dir.
func StartFleet(ctx context.Context, bin string, e *Engines, o FleetOptions) (_ *Fleet, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	f := &Fleet{
		URL: "http://127.0.0.1:" + port, dir: e.Dir, bin: filepath.Dir(bin), stop: stop,
		env: append(append(e.Env(), o.Env...), "HOST=127.0.0.1", "PORT="+port, "METRICS_ADDR=127.0.0.1:0"),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Stop())
		}
	}()
	if f.logs, err = os.OpenFile(filepath.Join(e.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		return f, err
	}
	for _, args := range [][]string{{"migrate"}, {"admin", "create"}} {
		if err := f.command(ctx, bin, args...).Run(); err != nil {
			return f, fmt.Errorf("%s %s: %w\n%s", bin, strings.Join(args, " "), err, f.LastLines())
		}
	}
	f.keep(running, "api", 1)
	f.keep(running, "worker", o.Workers)
	f.keep(running, "scheduler", o.Schedulers)
	return f, f.awaitAPI(ctx)
}

func freePort(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port), nil
}

// command is a program of the fleet's, in its directory and environment.
func (f *Fleet) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = f.dir, f.env
	cmd.Stdout, cmd.Stderr = f.logs, f.logs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for us
	return cmd
}

// Command is the operator's command, in the fleet's environment.
func (f *Fleet) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := f.command(ctx, filepath.Join(f.bin, "voiceassist"), args...)
	cmd.Stdout, cmd.Stderr = nil, nil
	return cmd
}

func (f *Fleet) keep(ctx context.Context, kind string, n int) {
	for range n {
		m := &Member{Type: kind, fleet: f}
		f.members = append(f.members, m)
		f.wg.Go(func() { m.live(ctx) })
	}
}

// restartPause keeps a process that ends at once from being started in a
// tight loop; one that was killed is started again without it.
const restartPause = 200 * time.Millisecond

// live runs one process after another until ctx ends.
func (m *Member) live(ctx context.Context) {
	for ctx.Err() == nil {
		killed, err := m.once(ctx)
		if killed || ctx.Err() != nil {
			continue
		}
		m.mu.Lock()
		m.ends++
		m.mu.Unlock()
		fmt.Fprintf(m.fleet.logs, "bench: %s ended by itself: %v\n", m.Type, err)
		select {
		case <-ctx.Done():
		case <-time.After(restartPause):
		}
	}
}

// once runs a process to its end, which it is asked for when ctx ends.
func (m *Member) once(ctx context.Context) (killed bool, err error) {
	cmd := m.fleet.command(ctx, filepath.Join(m.fleet.bin, m.Type))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute // then it is killed
	if err := cmd.Start(); err != nil {
		return false, err
	}
	m.mu.Lock()
	m.process = cmd.Process
	before := m.kills
	m.mu.Unlock()
	err = cmd.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = nil
	return m.kills > before, err
}

// Kill ends the member's process with -9. It reports false between two lives.
func (m *Member) Kill() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil || m.process.Kill() != nil {
		return false
	}
	m.kills++
	return true
}

// Figures returns how often the member was killed, and how often it ended
// without being asked to.
func (m *Member) Figures() (kills, ends int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kills, m.ends
}

// PID is the process id of the member; 0 between two lives.
func (m *Member) PID() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return 0
	}
	return m.process.Pid
}

// Members are the processes: the api first.
func (f *Fleet) Members() []*Member { return f.members }

// startTimeout bounds the start of the API; reading PDFs may have to be
// compiled before.
const startTimeout = 2 * time.Minute

func (f *Fleet) awaitAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := &Client{URL: f.URL}
	for {
		err := c.Do(ctx, http.MethodGet, "/ready", "", nil, new(any))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API is not ready: %w\n%s", err, f.LastLines())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop asks every process to end, and waits.
func (f *Fleet) Stop() error {
	f.stop()
	f.wg.Wait()
	if f.logs == nil {
		return nil
	}
	return f.logs.Close()
}

// LastLines is the end of what the processes have printed.
func (f *Fleet) LastLines() string {
	const enough = 4 << 10
	b, err := os.ReadFile(f.logs.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-enough):])
}

// Leftovers returns the processes that still live in the fleet's directory:
// none once it is stopped.
func (f *Fleet) Leftovers() ([]string, error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, link := range links {
		if dir, err := os.Readlink(link); err != nil || dir != f.dir { // gone, or not ours to see
			continue
		}
		exe, _ := os.Readlink(filepath.Join(filepath.Dir(link), "exe"))
		left = append(left, filepath.Base(exe))
	}
	return left, nil
}
