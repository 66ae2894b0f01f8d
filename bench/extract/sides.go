package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/pdfium"
)

// childArg makes this program a reader of documents, as it does the real one.
const childArg = "extract-child"

// cacheEnv tells a child where compiled code is kept.
const cacheEnv = "BENCH_PDFIUM_CACHE"

func serve(ctx context.Context) (err error) {
	engine, err := pdfium.New(pdfium.Options{CacheDir: os.Getenv(cacheEnv)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return extract.Serve(ctx, map[string]voiceassist.TextEngine{voiceassist.MediaPDF: engine}, os.Stdin, os.Stdout)
}

// pool is our side.
type pool struct {
	cpus  int
	cache string
}

func (p pool) read(ctx context.Context, files []string, dir string) (out outcome, err error) {
	children, err := extract.NewPool(extract.Options{
		Args: []string{childArg}, Env: []string{cacheEnv + "=" + p.cache, "GOMAXPROCS=1"}, Size: p.cpus,
	})
	if err != nil {
		return out, err
	}
	var pages, failed atomic.Int64
	err = each(ctx, p.cpus, files, func(ctx context.Context, file string) error {
		n, err := readOne(ctx, children, file, textFile(dir, file))
		if _, ok := errors.AsType[*voiceassist.Failure](err); ok {
			failed.Add(1)
			return nil
		}
		pages.Add(int64(n))
		return err
	})
	err = errors.Join(err, children.Close(ctx))
	return outcome{int(pages.Load()), int(failed.Load()), children.Stats().PeakRSS}, err
}

// readOne writes the text of a file as it is stored, pages separated by an empty
// line.
func readOne(ctx context.Context, children *extract.Pool, file, to string) (pages int, err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return 0, err
	}
	var texts []string
	info, _, err := children.Extract(ctx, voiceassist.MediaPDF, file, voiceassist.PageRange{}, func(p voiceassist.Page) error {
		texts = append(texts, p.Text)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", filepath.Base(file), err)
	}
	return info.Pages, os.WriteFile(to, []byte(strings.Join(texts, "\n\n")+"\n"), 0o600)
}

// poppler is the other side.
type poppler struct {
	cpus    int
	program string
}

func (p poppler) read(ctx context.Context, files []string, dir string) (outcome, error) {
	var failed atomic.Int64
	err := each(ctx, p.cpus, files, func(ctx context.Context, file string) error {
		err := exec.CommandContext(ctx, p.program, "-q", file, textFile(dir, file)).Run() //nolint:gosec // the files that were asked for
		if _, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
			failed.Add(1)
			return nil
		}
		return err
	})
	return outcome{failed: int(failed.Load())}, err
}

// each calls do for every file, n at once, until one fails.
func each(ctx context.Context, n int, files []string, do func(context.Context, string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(n)
	for _, file := range files {
		g.Go(func() error { return do(ctx, file) })
	}
	return g.Wait()
}

func textFile(dir, file string) string {
	return filepath.Join(dir, strings.TrimSuffix(filepath.Base(file), ".pdf")+".txt")
}
