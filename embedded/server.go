package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// pause is how long to wait before asking a server again.
const pause = 20 * time.Millisecond

// start runs the server on the cluster. The processes of a postmaster that was
// killed go only when they notice, and until then hold the shared memory.
func (c *cluster) start(ctx context.Context, bin binaries) (*Postgres, error) {
	began := time.Now()
	for {
		p, err := c.launch(ctx, bin)
		if err == nil {
			c.log.InfoContext(ctx, "postgres started", slog.String("version", p.version), slog.Int("pid", p.process.pid),
				slog.String("data", c.data()), slog.Duration("took", time.Since(began)))
			return p, nil
		}
		if !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Since(began) > killGrace {
			return nil, err
		}
		if err := pauseIn(ctx); err != nil {
			return nil, err
		}
	}
}

// pauseIn waits for one pause, or returns the error of ctx.
func pauseIn(ctx context.Context) error {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// launch starts one server process and waits until it answers.
func (c *cluster) launch(ctx context.Context, bin binaries) (*Postgres, error) {
	sockets := c.socketDir()
	if err := c.makeSocketDir(sockets); err != nil {
		return nil, err
	}
	log, offset, err := c.openLog()
	if err != nil {
		return nil, err
	}
	cmd := c.command(context.WithoutCancel(ctx), bin.program("postgres"), c.arguments(sockets)...)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	log.Close()
	if err != nil {
		return nil, fmt.Errorf("run as the user with id %d: %w", c.account.uid, err)
	}
	p := c.watch(ctx, postmaster{pid: cmd.Process.Pid, port: port, sockets: sockets}, func() {
		// How it ended is in its log.
		_ = cmd.Wait()
	})
	if err := p.awaitAnswer(ctx); err != nil {
		p.abandon(ctx)
		return nil, fmt.Errorf("%w: %s", err, c.loggedSince(offset))
	}
	return p, nil
}

// watch makes a Postgres of a server that may not answer yet; wait returns
// when it has ended.
func (c *cluster) watch(ctx context.Context, process postmaster, wait func()) *Postgres {
	p := &Postgres{cluster: c, process: process, done: make(chan struct{})}
	p.wg.Go(func() {
		defer close(p.done)
		wait()
		if p.serving.Load() {
			c.log.ErrorContext(context.WithoutCancel(ctx), "postgres ended by itself", slog.String("log", c.logFile()))
		}
	})
	return p
}

// sayIfSlow logs that a server is slow to answer, which recovery may be, unless
// what it returns is called within ten seconds.
func (c *cluster) sayIfSlow(ctx context.Context) (stop func() bool) {
	return time.AfterFunc(10*time.Second, func() {
		c.log.WarnContext(ctx, "postgres does not answer yet", slog.String("data", c.data()), slog.String("log", c.logFile()))
	}).Stop
}

// awaitAnswer asks the server until it answers, ends, or ctx does.
func (p *Postgres) awaitAnswer(ctx context.Context) error {
	defer p.cluster.sayIfSlow(ctx)()
	for {
		version, err := p.process.ask(ctx, p.cluster.data())
		if err == nil {
			p.version = version
			p.serving.Store(true)
			return p.identify()
		}
		select {
		case <-p.done:
			return errors.New("the server ended at once")
		default:
		}
		if refuses(err) {
			return err
		}
		if end := pauseIn(ctx); end != nil {
			return fmt.Errorf("%w; at last: %w", end, err)
		}
	}
}

// identify replaces the process we started, which may be the guard, by the one
// that calls itself the postmaster.
func (p *Postgres) identify() error {
	process, err := readPostmaster(p.cluster.data())
	if err != nil {
		return err
	}
	p.process = process
	return nil
}

// abandon ends a server that did not come to answer.
func (p *Postgres) abandon(ctx context.Context) {
	ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel()
	if err := p.end(ended); err != nil {
		p.cluster.log.ErrorContext(ctx, "stop a server that did not start", slog.Any("error", err))
		return
	}
	p.wg.Wait()
}

// adopt returns the server that is alive on the cluster, nil if there is none.
// One that is starting or stopping is waited for.
func (c *cluster) adopt(ctx context.Context) (*Postgres, error) {
	defer c.sayIfSlow(ctx)()
	for {
		process, err := readPostmaster(c.data())
		if err != nil || !process.exists() {
			// The server itself clears away what a dead one left behind.
			return nil, nil
		}
		version, err := process.ask(ctx, c.data())
		if err == nil {
			return c.adopted(ctx, process, version), nil
		}
		if !process.serves(ctx, c.data()) {
			return nil, c.forget(ctx, process)
		}
		if refuses(err) {
			return nil, err
		}
		if end := pauseIn(ctx); end != nil {
			return nil, fmt.Errorf("process %d has the database in %s open and does not answer: %w; at last: %w", process.pid, c.data(), end, err)
		}
	}
}

// adoptedPause is how long the end of an adopted server, which is nobody's
// child, may go unnoticed.
const adoptedPause = 100 * time.Millisecond

func (c *cluster) adopted(ctx context.Context, process postmaster, version string) *Postgres {
	c.log.InfoContext(ctx, "postgres adopted", slog.String("version", version), slog.Int("pid", process.pid), slog.String("data", c.data()))
	p := c.watch(ctx, process, func() {
		for process.runs(context.WithoutCancel(ctx), c.data()) {
			time.Sleep(adoptedPause)
		}
	})
	p.version = version
	p.serving.Store(true)
	return p
}

// forget removes the pid file of a server that is gone and whose number
// another program has been given. The server would refuse to start over it.
func (c *cluster) forget(ctx context.Context, process postmaster) error {
	c.log.InfoContext(ctx, "removing a stale pid file", slog.Int("pid", process.pid), slog.String("data", c.data()))
	return os.Remove(filepath.Join(c.data(), pidFile))
}

// The socket of the server: its "port" only names it.
const (
	port          = 5432
	socketName    = ".s.PGSQL.5432"
	maxSocketPath = 103 // bytes; Linux allows 107, macOS 103
)

func (c *cluster) ownSocketDir() string { return filepath.Join(c.home, "run") }

// socketDir is the directory of the socket: beside the data, or a short path
// made from it where that one is too long or would read as two in a connection
// string.
func (c *cluster) socketDir() string {
	own := c.ownSocketDir()
	if len(filepath.Join(own, socketName)) <= maxSocketPath && !strings.Contains(own, ",") {
		return own
	}
	return filepath.Join("/tmp", "voiceassist-"+shortHash(c.home))
}

// makeSocketDir makes the directory, or makes sure that the one in /tmp is
// ours: trust depends on nobody else being able to enter it.
func (c *cluster) makeSocketDir(dir string) error {
	if dir == c.ownSocketDir() {
		return c.account.makeDir(dir)
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return c.account.makeDir(dir)
	}
	info, statErr := os.Lstat(dir)
	if statErr != nil {
		return errors.Join(err, statErr)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != c.account.uid || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is needed for the server's socket and belongs to somebody else: remove it", dir)
	}
	return nil
}

// arguments are the command line of the server. Settings travel there and not
// in postgresql.conf, so that a cluster follows the program it is used with.
func (c *cluster) arguments(sockets string) []string {
	settings := []string{
		"listen_addresses=",
		"unix_socket_directories=" + sockets,
		"unix_socket_permissions=0700",
		fmt.Sprintf("port=%d", port),
		"timezone=UTC",
		"log_timezone=UTC",
		"log_error_verbosity=terse", // details quote the values of rows
		"log_min_error_statement=panic",
		"log_checkpoints=off",
	}
	if c.guard == nil {
		settings = append(settings, "shared_buffers=128MB", "max_connections=60")
	} else {
		settings = append(settings, "shared_buffers=64MB", "max_connections=200",
			"fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=128MB")
	}
	args := []string{"-D", c.data()}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}
