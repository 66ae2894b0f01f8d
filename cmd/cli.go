package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/postgres"
)

// command is one of the operator's.
type command struct {
	name  string
	args  string // as usage shows them
	about string
	run   func(ctx context.Context, c call) error
}

// call is what a command is called with.
type call struct {
	cfg  Config
	args []string
	out  io.Writer
	log  *slog.Logger
}

var commands = []command{
	{"up", "", "run everything in one process, on embedded engines", func(ctx context.Context, c call) error { return Up(ctx, c.cfg, c.out, c.log) }},
	{"migrate", "", "bring the database at DATABASE_URL up to date", migrate},
	{"admin", "create [-email ADDRESS] | unlock ADDRESS", "make an administrator, or give one a new password; unlock an account", admin},
	{"verify", "[--repair] [--deep] [--json] | --audit", "compare ledger, index, files and queue; check the chain of the audit log", verify},
	{"import", "FILE|DIR...", "upload files as a batch and wait until each is indexed; again to go on", importFiles},
	{"search", "QUERY", "find passages", search},
	{"ask", "QUESTION", "ask the library", ask},
	{"eval", "DIR", "measure retrieval on a set in BEIR form, on a system of its own", eval},
}

// errUsage is a command line that makes no sense.
var errUsage = errors.New("usage")

// Main runs the operator's command and returns its exit status.
func Main(args []string) int {
	if code, ok := Child(); ok {
		return code
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(os.Stdout)
		return exitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.main(args[1:])
		}
	}
	fmt.Fprintf(os.Stderr, "voiceassist: no command %q\n\n", args[0])
	usage(os.Stderr)
	return exitUsage
}

func usage(out io.Writer) {
	fmt.Fprintln(out, "voiceassist COMMAND, configured by environment variables (README.md, Configuration)")
	fmt.Fprintln(out)
	for _, c := range commands {
		fmt.Fprintf(out, "  %-52s %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
	}
}

func (c command) main(args []string) int {
	cfg, err := ReadConfig(os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	if _, set := os.LookupEnv("LOG_LEVEL"); !set {
		cfg.LogLevel = slog.LevelWarn // a person reads along
	}
	err = untilSignal(func(ctx context.Context) error {
		return c.run(ctx, call{cfg: cfg, args: args, out: os.Stdout, log: cfg.logger(os.Stderr)})
	})
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(os.Stderr, "voiceassist %s %s\n    %s\n", c.name, c.args, c.about)
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "voiceassist %s: %v\n", c.name, err)
	if _, ok := errors.AsType[trouble](err); ok {
		return exitTrouble
	}
	return exitFailed
}

func migrate(ctx context.Context, c call) error {
	if err := c.cfg.required("DATABASE_URL"); err != nil {
		return err
	}
	return withLedger(ctx, c.cfg, func(db *postgres.DB) error {
		missing, err := db.MissingMigrations(ctx)
		if err != nil {
			return err
		}
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "the database is up to date; %d migrations applied\n", len(missing))
		return nil
	})
}

func withLedger(ctx context.Context, cfg Config, f func(*postgres.DB) error) error {
	db, err := postgres.Open(ctx, cfg.DatabaseURL, postgres.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	return f(db)
}

// admin looks after accounts in the database at DATABASE_URL, or in that of the
// system that runs on DATA_DIR.
func admin(ctx context.Context, c call) error {
	switch {
	case len(c.args) == 0:
		return errUsage
	case c.args[0] == "create":
		return createAdmin(ctx, c)
	case c.args[0] == "unlock" && len(c.args) == 2:
		return unlockAccount(ctx, c, c.args[1])
	}
	return errUsage
}

// withAccounts calls f with the accounts of a database that is up to date.
func withAccounts(ctx context.Context, cfg Config, f func(*accounts.Service) error) error {
	return withLedger(ctx, cfg, func(db *postgres.DB) error {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		service, err := accounts.New(db, accounts.Options{Secrets: []string{strings.Repeat("-", 32)}}) // signs nothing here
		if err != nil {
			return err
		}
		return f(service)
	})
}

func unlockAccount(ctx context.Context, c call, email string) error {
	cfg, release, err := reachLedger(ctx, c.cfg, c.log)
	if err != nil {
		return err
	}
	defer release()
	return withAccounts(ctx, cfg, func(service *accounts.Service) error {
		locked, err := service.Unlock(ctx, email)
		if err != nil {
			return err
		}
		done := "was not locked; its failed sign-ins are forgotten"
		if locked {
			done = "is no longer locked"
		}
		fmt.Fprintf(c.out, "%s %s\n", email, done)
		return nil
	})
}

// createAdmin makes an administrator. The password is ADMIN_PASSWORD or asked
// for.
func createAdmin(ctx context.Context, c call) error {
	flags := flag.NewFlagSet("admin create", flag.ContinueOnError)
	email := flags.String("email", c.cfg.AdminEmail, "the administrator's address")
	if err := flags.Parse(c.args[1:]); err != nil {
		return errUsage
	}
	cfg, release, err := reachLedger(ctx, c.cfg, c.log)
	if err != nil {
		return err
	}
	defer release()
	password := cfg.AdminPassword
	if password == "" {
		if password, err = askPassword(c.out); err != nil {
			return err
		}
	}
	return withAccounts(ctx, cfg, func(service *accounts.Service) error {
		user, created, err := service.CreateAdmin(ctx, *email, password)
		if err != nil {
			return err
		}
		done := "is an administrator with a new password"
		if created {
			done = "was created as an administrator"
		}
		fmt.Fprintf(c.out, "%s %s\n", user.Email, done)
		return nil
	})
}

func askPassword(out io.Writer) (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", errors.New("ADMIN_PASSWORD is not set, and there is no terminal to ask for it")
	}
	fmt.Fprint(out, "Password: ")
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(out)
	return string(b), err
}

// connect returns a client that is signed in: to -url with -email and
// ADMIN_PASSWORD, or to the system that runs on DATA_DIR. rest is what follows
// the flags.
func connect(ctx context.Context, c call) (cl *client, rest []string, err error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	base := flags.String("url", "", "where the API is; default: the one that runs on DATA_DIR")
	email := flags.String("email", c.cfg.AdminEmail, "whom to sign in as, with ADMIN_PASSWORD")
	if err := flags.Parse(c.args); err != nil || flags.NArg() == 0 {
		return nil, nil, errUsage
	}
	if *base == "" {
		cl, err = operatorClient(c.cfg)
		return cl, flags.Args(), err
	}
	cl = newClient(*base)
	return cl, flags.Args(), cl.login(ctx, *email, c.cfg.AdminPassword)
}

func search(ctx context.Context, c call) error {
	cl, words, err := connect(ctx, c)
	if err != nil {
		return err
	}
	hits, err := cl.search(ctx, strings.Join(words, " "), 10)
	if err != nil {
		return err
	}
	if len(hits) == 0 {
		fmt.Fprintln(c.out, "nothing found")
	}
	for i, h := range hits {
		fmt.Fprintf(c.out, "%2d. %s, page %d (%.2f)\n    %s\n", i+1, h.Title, h.Page, h.Score, strings.ReplaceAll(h.Excerpt, "\n", " "))
	}
	return nil
}

func ask(ctx context.Context, c call) error {
	cl, words, err := connect(ctx, c)
	if err != nil {
		return err
	}
	a, err := cl.ask(ctx, strings.Join(words, " "), func(text string) { fmt.Fprint(c.out, text) })
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	for _, each := range a.Citations {
		fmt.Fprintf(c.out, "\n[%d] %s, page %d\n    “%s”\n", each.Index, each.Title, each.Page, each.Quote)
	}
	return nil
}

func eval(ctx context.Context, c call) error {
	if len(c.args) != 1 {
		return errUsage
	}
	return Eval(ctx, c.cfg, c.args[0], c.out, c.log)
}
