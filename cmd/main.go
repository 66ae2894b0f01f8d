package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/pdfium"
	"github.com/voiceassist/backend/unipdf"
)

// Exit statuses of every process.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or the configuration is wrong

	exitTrouble = 2 // of commands whose failure is a finding: it could not be looked for

	exitInterrupted = 130 // as shells report SIGINT
)

// Process runs one process type until a signal ends it, and returns its exit
// status. needs names the environment variables it cannot do without.
func Process(run func(context.Context, Config, *slog.Logger) error, needs ...string) int {
	if code, ok := Child(); ok {
		return code
	}
	cfg, err := ReadConfig(os.Environ())
	if err == nil {
		err = cfg.required(needs...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	log := cfg.logger(os.Stderr)
	if err := untilSignal(func(ctx context.Context) error { return run(ctx, cfg, log) }); err != nil {
		log.Error("ended", slog.Any("error", err))
		return exitFailed
	}
	return exitOK
}

// untilSignal runs f with a context that ends at SIGINT or SIGTERM. A second
// SIGINT, a person's who will not wait, ends the process at once; a second
// SIGTERM does not, because supervisors and make may send it twice.
func untilSignal(f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	var watching sync.WaitGroup
	defer watching.Wait()
	defer close(done)
	watching.Go(func() {
		for impatient := false; ; {
			select {
			case <-done:
				signal.Stop(signals)
				return
			case sig := <-signals:
				if sig == os.Interrupt && impatient {
					os.Exit(exitInterrupted)
				}
				impatient = sig == os.Interrupt || impatient
				cancel()
			}
		}
	})
	if err := f(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// childArg makes this program a reader of documents: a child of extract.Pool.
const childArg = "extract-child"

// hasherArg makes this program a child of accounts.Hashers.
const hasherArg = "hash-child"

// Variables that configure a child.
const (
	childCacheDir = "VOICEASSIST_PDFIUM_CACHE"
	childUnipdf   = "UNIPDF_LICENSE_KEY"
)

// Child serves as a reader of documents, or hashes passwords, if this process
// was started to; ok says whether it was.
func Child() (code int, ok bool) {
	if len(os.Args) < 2 {
		return 0, false
	}
	var err error
	switch os.Args[1] {
	case childArg:
		err = serveChild(context.Background())
	case hasherArg:
		signal.Ignore(os.Interrupt) // the parent ends us when it has done
		err = accounts.ServeHashes(os.Stdin, os.Stdout)
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed, true
	}
	return exitOK, true
}

func serveChild(ctx context.Context) error {
	engines := extract.Engines()
	pdf, err := pdfEngine()
	if err != nil {
		return err
	}
	engines[voiceassist.MediaPDF] = pdf
	return extract.Serve(ctx, engines, os.Stdin, os.Stdout)
}

func pdfEngine() (voiceassist.TextEngine, error) {
	if key := os.Getenv(childUnipdf); key != "" {
		return unipdf.New(key)
	}
	return pdfium.New(pdfium.Options{CacheDir: os.Getenv(childCacheDir)})
}
