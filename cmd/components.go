package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/flags"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/machine"
	"github.com/voiceassist/backend/mail"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/redis"
)

// What the separate process types cannot do without.
var (
	NeedsAPI       = []string{"DATABASE_URL", "REDIS_URL", "QDRANT_URL", "BLOB_URL", "JWT_SECRET"}
	NeedsWorker    = []string{"DATABASE_URL", "REDIS_URL", "QDRANT_URL", "BLOB_URL"}
	NeedsScheduler = []string{"DATABASE_URL", "REDIS_URL", "QDRANT_URL", "BLOB_URL"}
)

// RunAPI runs the api process type until ctx ends.
func RunAPI(ctx context.Context, cfg Config, log *slog.Logger) error {
	return withEngines(ctx, cfg, func(ctx context.Context, e *engines) error {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.addr())
		if err != nil {
			return fmt.Errorf("PORT: %w", err)
		}
		return serveAPI(ctx, cfg, e, ln, log)
	})
}

// RunWorker runs the worker process type until ctx ends.
func RunWorker(ctx context.Context, cfg Config, log *slog.Logger) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(workerGC)
	}
	return withEngines(ctx, cfg, func(ctx context.Context, e *engines) error {
		return beside(ctx,
			func(ctx context.Context) error { return work(ctx, cfg, e, log) },
			func(ctx context.Context) error { return serveMetrics(ctx, cfg, e, "127.0.0.1:9101", log) })
	})
}

// workerGC is the GOGC of a worker: little of what it holds lives for long, and
// with Go's 100 a sixth of its processor time went into collecting.
const workerGC = 300

// RunScheduler runs the scheduler process type until ctx ends.
func RunScheduler(ctx context.Context, cfg Config, log *slog.Logger) error {
	return withEngines(ctx, cfg, func(ctx context.Context, e *engines) error {
		return beside(ctx,
			func(ctx context.Context) error { return schedule(ctx, cfg, e, log) },
			func(ctx context.Context) error { return serveMetrics(ctx, cfg, e, "127.0.0.1:9102", log) })
	})
}

// withEngines opens the engines, checks that the ledger is migrated, and runs f.
func withEngines(ctx context.Context, cfg Config, f func(context.Context, *engines) error) (err error) {
	e, err := openEngines(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	missing, err := e.ledger.MissingMigrations(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("the database lacks %d migrations, first %s: run `voiceassist migrate`", len(missing), missing[0])
	}
	return f(ctx, e)
}

// beside runs all parts until ctx ends or one of them fails, which ends the
// others.
func beside(ctx context.Context, parts ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		g.Go(func() error { return part(ctx) })
	}
	return g.Wait()
}

// mailGrace is how long mails that wait may take when the process ends.
const mailGrace = 10 * time.Second

// serveAPI answers requests from ln until ctx ends.
func serveAPI(ctx context.Context, cfg Config, e *engines, ln net.Listener, log *slog.Logger) error {
	proxies, err := cfg.proxies()
	if err != nil {
		return err
	}
	mails, err := mail.New(mail.Options{URL: cfg.SMTPURL, From: cfg.MailFrom, Console: cfg.development, Log: log, Registry: e.registry})
	if err != nil {
		return fmt.Errorf("SMTP_URL: %w", err)
	}
	defer func() {
		if err := closeWithin(ctx, mailGrace, mails.Close); err != nil {
			log.WarnContext(ctx, "mail", slog.Any("error", err))
		}
	}()
	bus := e.redis.NewBus(log, e.registry)
	kept := e.openCaches(bus, log)
	defer kept.Close()
	hashers, err := openHashers(cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := hashers.Close(); err != nil {
			log.WarnContext(ctx, "hashers of passwords", slog.Any("error", err))
		}
	}()
	people, err := newAccounts(peopleStore{e.ledger, kept.sessions}, cfg, mails, hashers)
	if err != nil {
		return err
	}
	switches, err := flags.Open(ctx, e.ledger, flags.Options{Environment: cfg.Environment, Bus: bus, Log: log})
	if err != nil {
		return err
	}
	reader, err := openFileReader(cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := closeWithin(ctx, cfg.ShutdownGrace, reader.Close); err != nil {
			log.WarnContext(ctx, "reader of files", slog.Any("error", err))
		}
	}()
	answers := e.searcher(kept, switches.Allows, log)
	server := httpapi.New(httpapi.Options{
		Log:      log,
		Registry: e.registry,
		Accounts: people,
		Ledger:   e.ledger,
		Library:  e.intake(cfg, log),
		Searcher: answers,

		Undelete:       e.ledger,
		UndeleteWindow: cfg.UndeleteWindow,
		Verifier:       e.ledger,

		Batches:      e.ledger,
		CheckWebhook: webhookCheck(cfg),
		MailReady:    mails.Ready,

		Users:      e.ledger,
		Figures:    kept.figures,
		EraseAfter: cfg.EraseAfter,

		Assistant: answers,
		Chats:     e.ledger,
		Folders:   e.ledger,
		Shares:    e.ledger,
		Secrets:   people,

		Files:    e.files(cfg, reader, log),
		FileRows: e.ledger,
		Clinical: e.ledger,
		Reports:  e.ledger,
		Settings: e.ledger,

		Flags:    switches,
		Bus:      bus,
		Presence: e.redis.NewPresence(),
		Activity: e.ledger,
		Pools:    e.pools,

		Cache:   kept,
		Auditor: e.ledger,

		Limits:       e.redis.NewLimits(log, e.registry),
		JobsUI:       e.queue.Monitor("/api/admin/jobs"),
		Audit:        e.ledger,
		Machine:      machine.New(places(cfg)...),
		Services:     e.services(),
		Backlogs:     e.ledger.Backlogs,
		IndexFigures: e.indexFigures,
		Checks: map[string]func(context.Context) error{
			"postgres":  e.ledger.Ping,
			"redis":     e.redis.Ping,
			"qdrant":    e.pingIndex,
			"nextcloud": func(context.Context) error { return nil }, // true when not configured, as the contract has it
		},
		Optional: []string{"nextcloud"},
		Rates: httpapi.Rates{
			Register: cfg.LimitRegister, Login: cfg.LimitLogin, Reset: cfg.LimitReset, Health: cfg.LimitHealth,
			Anonymous: cfg.LimitAnonymous, Session: cfg.LimitSession, Refresh: cfg.LimitRefresh,
			AdminActions: cfg.LimitAdminActions,
		},
		CORSOrigins:    cfg.CORSOrigins,
		TrustedProxies: proxies,
		SecureCookies:  cfg.SecureCookies,
		MaxUploadBytes: cfg.MaxUploadMB << 20,
	})
	log.InfoContext(ctx, "listening", slog.String("addr", ln.Addr().String()))
	return beside(ctx,
		func(ctx context.Context) error { return server.Serve(ctx, ln) },
		func(ctx context.Context) error { bus.Run(ctx); return nil },
		func(ctx context.Context) error { e.hearOfSessions(ctx, log); return nil },
		func(ctx context.Context) error { switches.Run(ctx); return nil })
}

// pools are what the admin panel shows of the connections of this process.
func (e *engines) pools() httpapi.Pools {
	db, rd := e.ledger.Stat(), e.redis.Redis().PoolStats()
	return httpapi.Pools{
		Database: httpapi.Pool{Max: int(db.MaxConns()), Open: int(db.TotalConns()), InUse: int(db.AcquiredConns()), Idle: int(db.IdleConns())},
		Redis: httpapi.Pool{
			Max: e.redis.Redis().Options().PoolSize, Open: int(rd.TotalConns), InUse: int(rd.TotalConns - rd.IdleConns), Idle: int(rd.IdleConns),
		},
	}
}

// accounts returns the accounts; mails may be nil where none are sent.
func (e *engines) accounts(cfg Config, mails accounts.Mailer) (*accounts.Service, error) {
	return newAccounts(e.ledger, cfg, mails, nil)
}

// openHashers returns what hashes passwords beside a process that answers
// requests.
func openHashers(cfg Config, log *slog.Logger) (*accounts.Hashers, error) {
	program := cfg.readerProgram
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		program = self
	}
	return accounts.NewHashers(log, program, hasherArg), nil
}

func newAccounts(store accounts.Store, cfg Config, mails accounts.Mailer, hashers *accounts.Hashers) (*accounts.Service, error) {
	return accounts.New(store, accounts.Options{
		Secrets: cfg.JWTSecrets, AccessTTL: cfg.AccessTTL, RefreshTTL: cfg.RefreshTTL, SessionTTL: cfg.SessionTTL,
		Registration: accounts.Mode(cfg.Registration), Mailer: mails, PublicURL: cfg.PublicURL, Hashers: hashers,
	})
}

func (e *engines) pingIndex(ctx context.Context) error {
	_, err := e.index.Health(ctx)
	return err
}

// indexFigures are what the statistics say of the index.
func (e *engines) indexFigures(ctx context.Context) (httpapi.IndexFigures, error) {
	active, _, err := e.index.Count(ctx)
	f := httpapi.IndexFigures{Points: active}
	if e.embedder != nil {
		f.Profile = e.embedder.Profile()
	}
	return f, err
}

func (e *engines) intake(cfg Config, log *slog.Logger) *pipeline.Intake {
	return &pipeline.Intake{Ledger: e.ledger, Blobs: e.blobs, MaxSize: cfg.MaxUploadMB << 20, Log: log}
}

// work takes jobs from the queue until ctx ends, and then waits for those
// under way.
func work(ctx context.Context, cfg Config, e *engines, log *slog.Logger) error {
	reader, err := openReader(cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := closeWithin(ctx, cfg.ShutdownGrace, reader.Close); err != nil {
			log.WarnContext(ctx, "readers", slog.Any("error", err))
		}
	}()
	e.registry.MustRegister(readerCollector{reader})
	switches, err := flags.Open(ctx, e.ledger, flags.Options{Environment: cfg.Environment, Log: log})
	if err != nil {
		return err
	}
	worker := &pipeline.Worker{
		Ledger: e.ledger, Index: e.index, Reader: reader, Blobs: e.blobs, Embedder: e.embedder,
		MayEmbed: func() bool { return switches.Enabled(voiceassist.FlagOutsideModels, voiceassist.User{}) },
		TempDir:  cfg.tempDir, MaxBadPages: cfg.ExtractMaxBad, MaxText: cfg.ExtractMaxTextMB << 20,
		PartPages: cfg.ExtractPartPages, PartPassages: cfg.EmbedPartPassages,
		Metrics: pipeline.NewMetrics(e.registry), Log: log,
	}
	stop, err := e.queue.Consume(worker.Handle, redis.ConsumerOptions{
		Concurrency: cfg.WorkerConcurrency, Weights: cfg.QueueWeights, Grace: cfg.ShutdownGrace, Log: log,
	})
	if err != nil {
		return err
	}
	switches.Run(ctx)
	stop()
	return nil
}

// schedule feeds the queue from the ledger, and sweeps, until ctx ends.
func schedule(ctx context.Context, cfg Config, e *engines, log *slog.Logger) error {
	e.registry.MustRegister(
		backlogCollector{e.ledger}, gateCollector{e.ledger}, noticeCollector{e.ledger},
		auditCollector{e.ledger}, verifyCollector{e.ledger},
	)
	notifier, closeMails, err := e.notifier(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer closeMails()
	relay := &pipeline.Relay{Ledger: e.ledger, Queue: e.queue, Window: cfg.RelayWindow, Log: log}
	sweeper := &pipeline.Sweeper{Ledger: e.ledger, Queue: e.queue, Log: log}
	return beside(ctx,
		func(ctx context.Context) error { relay.Run(ctx); return nil },
		func(ctx context.Context) error { sweeper.Run(ctx); return nil },
		func(ctx context.Context) error {
			return keepHouse(ctx, append(chores(cfg, e, log), batchChores(e, notifier)...), log)
		})
}

// closeWithin calls f with a context of its own that lasts d.
func closeWithin(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	return f(ctx)
}
