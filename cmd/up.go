package cmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/embedded/qdrantserver"
)

// Up runs all three components in this process, on embedded engines where cfg
// names no others, until ctx ends. It tells out, once all is ready, where it is
// and how to sign in.
func Up(ctx context.Context, cfg Config, out io.Writer, log *slog.Logger) error {
	return up(ctx, cfg, log, func(ctx context.Context, s *system) error {
		return s.welcome(ctx, out)
	})
}

// system is a running `up`.
type system struct {
	*engines
	cfg      Config
	log      *slog.Logger
	url      string // where the API answers
	password string // of a newly made administrator; "" if there was one
}

// up starts a system and calls ready beside it. It ends when ctx does or when
// something fails; everything it started is stopped in order.
func up(ctx context.Context, cfg Config, log *slog.Logger, ready func(context.Context, *system) error) (err error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	cfg.DataDir, cfg.embedded = dir, true
	lock, err := embedded.Lock(dir)
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.addr())
	if err != nil {
		return fmt.Errorf("PORT: %w", err)
	}
	defer ln.Close() // again, when something fails before it serves

	local, cfg, err := startLocal(ctx, cfg, log)
	defer func() { err = errors.Join(err, local.stop(ctx)) }()
	if err != nil {
		return err
	}
	e, err := openEngines(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s := &system{engines: e, cfg: cfg, log: log, url: localURL(ln.Addr())}
	if err := s.prepare(ctx, local); err != nil {
		return err
	}
	return s.run(ctx, ln, local, ready)
}

// prepare brings ledger and index to a state from which work can go on,
// whatever the last run left.
func (s *system) prepare(ctx context.Context, local *local) (err error) {
	if err := s.ledger.Migrate(ctx); err != nil {
		return err
	}
	if local.redis != nil {
		// The queue is empty and was ours alone: nothing is published, and
		// nobody works.
		if _, err := s.ledger.ReclaimLapsed(ctx, true); err != nil {
			return err
		}
		if err := s.ledger.UnpublishAll(ctx); err != nil {
			return err
		}
		if _, err := s.ledger.FailAbandonedAnswers(ctx, 0); err != nil {
			return err
		}
	}
	if err := s.reconcile(ctx, s.log); err != nil {
		return err
	}
	s.password, err = s.firstAdmin(ctx)
	return err
}

func (s *system) run(ctx context.Context, ln net.Listener, local *local, ready func(context.Context, *system) error) (err error) {
	withdraw, err := s.admitOperator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeWithin(ctx, cleanUpTimeout, withdraw)) }()
	return beside(ctx,
		func(ctx context.Context) error { return serveAPI(ctx, s.cfg, s.engines, ln, s.log) },
		func(ctx context.Context) error { return work(ctx, s.cfg, s.engines, s.log) },
		func(ctx context.Context) error { return schedule(ctx, s.cfg, s.engines, s.log) },
		local.watch,
		func(ctx context.Context) error { return ready(ctx, s) })
}

// firstAdmin makes an administrator if there is none and returns the password,
// which is generated unless ADMIN_PASSWORD gives it.
func (s *system) firstAdmin(ctx context.Context) (password string, err error) {
	if _, err := s.ledger.FirstAdmin(ctx); voiceassist.CodeOf(err) != voiceassist.NotFound {
		return "", err
	}
	password = s.cfg.AdminPassword
	if password == "" {
		password = strings.ToLower(rand.Text()[:20])
	}
	service, err := s.accounts(s.cfg, nil)
	if err != nil {
		return "", err
	}
	_, _, err = service.CreateAdmin(ctx, s.cfg.AdminEmail, password)
	return password, err
}

func localURL(addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String())
	return "http://localhost:" + port
}

// local is the engines that this process runs itself; a nil one is elsewhere.
type local struct {
	postgres *embedded.Postgres
	redis    *embedded.Redis
	qdrant   *qdrantserver.Server
}

// startLocal starts an engine for every URL that cfg lacks, and returns cfg
// with the URLs. What has been started is to be stopped, error or not.
func startLocal(ctx context.Context, cfg Config, log *slog.Logger) (*local, Config, error) {
	l := &local{}
	if cfg.DatabaseURL == "" {
		pg, err := embedded.StartPostgres(ctx, postgresOptions(cfg, log))
		if err != nil {
			return l, cfg, fmt.Errorf("start Postgres: %w", err)
		}
		l.postgres, cfg.DatabaseURL = pg, pg.URL()
	}
	if cfg.RedisURL == "" {
		rd, err := embedded.StartRedis(ctx, embedded.RedisOptions{})
		if err != nil {
			return l, cfg, err
		}
		l.redis, cfg.RedisURL = rd, rd.URL()
	}
	if cfg.QdrantURL == "" {
		if err := l.startQdrant(filepath.Join(cfg.DataDir, "qdrant"), log); err != nil {
			return l, cfg, fmt.Errorf("start the index: %w", err)
		}
		cfg.QdrantURL = "http://" + l.qdrant.Addr()
	}
	cfg.tempDir = filepath.Join(cfg.DataDir, "tmp")
	if err := errors.Join(os.RemoveAll(cfg.tempDir), os.Mkdir(cfg.tempDir, 0o700)); err != nil {
		return l, cfg, fmt.Errorf("DATA_DIR: %w", err)
	}
	if cfg.BlobURL == "" {
		cfg.BlobURL = (&url.URL{Scheme: "file", Path: filepath.Join(cfg.DataDir, "blobs")}).String()
	}
	if len(cfg.JWTSecrets) == 0 {
		secret, err := keptSecret(filepath.Join(cfg.DataDir, "jwt_secret"))
		if err != nil {
			return l, cfg, fmt.Errorf("JWT_SECRET: %w", err)
		}
		cfg.JWTSecrets = []string{secret}
	}
	if cfg.Registration == "" {
		cfg.Registration = "open"
	}
	cfg.development = true
	return l, cfg, nil
}

func (l *local) startQdrant(dir string, log *slog.Logger) (err error) {
	if l.qdrant, err = qdrantserver.New(qdrantserver.Options{Dir: dir, Log: log}); err != nil {
		return err
	}
	return l.qdrant.Start("127.0.0.1:0")
}

// watch returns an error when Postgres ends before ctx does.
func (l *local) watch(ctx context.Context) error {
	if l.postgres == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-l.postgres.Done():
		return errors.New("Postgres ended; its log in DATA_DIR says why")
	}
}

// cleanUpTimeout bounds what is done in the ledger while stopping.
const cleanUpTimeout = 5 * time.Second

// stopTimeout is how long an engine may take to stop.
const stopTimeout = 20 * time.Second

// stop stops the engines, the ledger last.
func (l *local) stop(ctx context.Context) error {
	var errs []error
	if l.qdrant != nil {
		errs = append(errs, closeWithin(ctx, stopTimeout, l.qdrant.Close))
	}
	if l.redis != nil {
		l.redis.Close()
	}
	if l.postgres != nil {
		errs = append(errs, closeWithin(ctx, stopTimeout, l.postgres.Stop))
	}
	return errors.Join(errs...)
}

// keptSecret returns the secret in a file, which it makes if there is none.
func keptSecret(name string) (string, error) {
	kept, err := os.ReadFile(name)
	if err == nil && len(kept) >= 32 {
		return string(kept), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	secret := rand.Text() + rand.Text()
	return secret, os.WriteFile(name, []byte(secret), 0o600)
}

// welcome loads the samples at the first start and then tells out what a new
// user needs to know.
func (s *system) welcome(ctx context.Context, out io.Writer) error {
	n, err := s.loadSamples(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "samples", slog.Any("error", err))
	}
	login := s.cfg.AdminEmail + ", with the password from the first start (`voiceassist admin create` makes another)"
	switch {
	case s.password != "" && s.cfg.AdminPassword == "":
		login = s.cfg.AdminEmail + " / " + s.password + "   (shown only now)"
	case s.cfg.AdminPassword != "":
		login = s.cfg.AdminEmail + " / the ADMIN_PASSWORD you set"
	}
	fmt.Fprintf(out, "\nVoiceAssist %s is ready at %s\n\n", voiceassist.Version, s.url)
	fmt.Fprintf(out, "  sign in as  %s\n", login)
	if n > 0 {
		fmt.Fprintf(out, "  samples     %d documents loaded\n", n)
	}
	fmt.Fprintf(out, "  try         %s ask %q\n", os.Args[0], sampleQuestion)
	fmt.Fprintf(out, "  see         %s/openapi.json   %s/api/admin/jobs/   %s/metrics\n\n", s.url, s.url, s.url)
	return nil
}
