package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// PostgresOptions say where a server keeps its things.
type PostgresOptions struct {
	// DataDir holds the cluster, its log and its socket; it is made if there
	// is none. The caller holds its Lock, or that of a directory above.
	DataDir string
	// CacheDir keeps binaries that had to be fetched; "" is voiceassist in the
	// user's cache directory.
	CacheDir string
	// BinDirs are the directories to look for PostgreSQL in; nil is the PATH
	// and the usual places, empty is nowhere.
	BinDirs []string
	// Repository is the Maven repository to fetch PostgreSQL from when BinDirs
	// has none that fits; "" is Maven Central.
	Repository string
	// Ephemeral makes an empty cluster in a temporary directory, without any
	// care for its durability; DataDir is ignored. Server and directory go
	// when it is stopped or when this process ends, however it ends.
	Ephemeral bool
	Log       *slog.Logger // nil discards
}

// Postgres is a running server.
type Postgres struct {
	cluster *cluster
	process postmaster
	version string

	done    chan struct{}      // closed when the server has ended
	serving atomic.Bool        // it has answered and nobody has stopped it
	untend  context.CancelFunc // ends keepLogShort
	wg      sync.WaitGroup
}

// StartPostgres returns the server of o.DataDir, which answers: the one that a
// process before us left running, or one that it starts. When it ends before
// it answers, the error carries the end of its log. Making a cluster takes half
// a second, starting one a tenth of that, recovery after a crash as long as
// it takes.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	c, err := o.cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	p, err := c.server(ctx, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Postgres: %w", err), c.discard())
	}
	tending, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.untend = stop
	p.wg.Go(func() { c.keepLogShort(tending) })
	return p, nil
}

func (o PostgresOptions) cluster(ctx context.Context) (*cluster, error) {
	if o.Ephemeral {
		return ephemeralCluster(o)
	}
	if o.DataDir == "" {
		return nil, errors.New("no data directory")
	}
	return openCluster(ctx, o.DataDir, o.Log)
}

// server adopts the cluster's server or starts one, on a new cluster if need
// be.
func (c *cluster) server(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	if p, err := c.adopt(ctx); p != nil || err != nil {
		return p, err
	}
	major, err := c.major()
	if err != nil {
		return nil, err
	}
	bin, err := c.binaries(ctx, o, major)
	if err != nil {
		return nil, err
	}
	if major == 0 {
		if err := c.initdb(ctx, bin); err != nil {
			return nil, err
		}
	}
	return c.start(ctx, bin)
}

// URL is a connection string that pgx and libpq understand. Its role may do
// everything.
func (p *Postgres) URL() string { return p.process.url() }

// Version is the server's version, such as "15.13".
func (p *Postgres) Version() string { return p.version }

// Done is closed when the server has ended, whether stopped or by itself.
func (p *Postgres) Done() <-chan struct{} { return p.done }

// killGrace is how long an immediate shutdown may take. The server itself
// kills what has not ended after five seconds.
const killGrace = 10 * time.Second

// Stop ends the server, an adopted one too: it breaks its connections off,
// writes everything down and ends. When ctx ends first, the server ends at
// once and the next start recovers. An error means that it is still there.
func (p *Postgres) Stop(ctx context.Context) error {
	p.serving.Store(false)
	if err := p.end(ctx); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	p.untend()
	p.wg.Wait()
	return p.cluster.discard()
}

func (p *Postgres) end(ctx context.Context) error {
	if p.cluster.guard != nil {
		p.cluster.guard.end()
		return p.awaitEnd()
	}
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.cluster.log.WarnContext(ctx, "postgres stops without a checkpoint", slog.Int("pid", p.process.pid))
	if err := p.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	return p.awaitEnd()
}

// awaitEnd waits for an immediate shutdown.
func (p *Postgres) awaitEnd() error {
	timeout := time.NewTimer(killGrace)
	defer timeout.Stop()
	select {
	case <-p.done:
		return nil
	case <-timeout.C:
		return fmt.Errorf("process %d has not ended within %s of SIGQUIT", p.process.pid, killGrace)
	}
}

func (p *Postgres) signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := syscall.Kill(p.process.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.process.pid, err)
	}
	return nil
}

// discard removes what only a running server needs.
func (c *cluster) discard() error {
	if dir := c.socketDir(); dir != c.ownSocketDir() {
		// Not empty while a server is still using it, which is as it should be.
		_ = os.Remove(dir)
	}
	if c.guard == nil {
		return nil
	}
	c.guard.end()
	return c.guard.remove()
}

// binaries finds or fetches an installation for a cluster of the given major
// version, 0 for a new one.
func (c *cluster) binaries(ctx context.Context, o PostgresOptions, major int) (binaries, error) {
	dirs := o.BinDirs
	if dirs == nil {
		dirs = ownBinDirs()
	}
	bin, others, ok := c.account.installed(ctx, dirs, major)
	if ok {
		return bin, nil
	}
	bin, err := fetch(ctx, o.Repository, c.cacheDir(o.CacheDir), cmp.Or(major, publishedMajor), c.log)
	if err == nil {
		bin, err = c.account.inspect(ctx, bin.dir)
	}
	if err != nil {
		return bin, noBinaries(c.data(), o.Repository, major, others, err)
	}
	return bin, nil
}

// cacheDir is where fetched binaries go: where the caller said, unless the
// server's account cannot reach it.
func (c *cluster) cacheDir(wanted string) string {
	if wanted == "" {
		if user, err := os.UserCacheDir(); err == nil {
			wanted = filepath.Join(user, "voiceassist")
		}
	}
	if wanted != "" && c.account.canEnter(wanted) {
		return wanted
	}
	return filepath.Join("/var/cache", "voiceassist")
}

// noBinaries tells what is missing and how to get it.
func noBinaries(data, repository string, major int, others []string, cause error) error {
	name, missing := "PostgreSQL", fmt.Sprintf("this machine has no PostgreSQL %d or later", oldestMajor)
	if major > 0 {
		name = fmt.Sprintf("PostgreSQL %d", major)
		missing = fmt.Sprintf("the database in %s was made by %s, which this machine does not have", data, name)
	}
	if len(others) > 0 {
		missing += " (it has " + strings.Join(others, ", ") + ")"
	}
	return fmt.Errorf("%s, and fetching it did not work: %w. Three ways out: install %s (apt install postgresql, dnf install postgresql-server, "+
		"brew install postgresql), set DATABASE_URL to a server that is running, or let this machine reach %s", missing, cause, name, cmp.Or(repository, "Maven Central"))
}
