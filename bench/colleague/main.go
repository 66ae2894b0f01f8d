// Command colleague measures what a large load by one user costs another: it
// starts a program of its own (`voiceassist up`, on a free port), has a
// colleague's PDF indexed alone, then uploads thousands of small text files as one
// user, in the midst of them another copy of the PDF as the colleague, and prints
// by how much longer that takes to be indexed; and once more while everything is
// indexed anew in the bulk queue.
//
//	go run ./bench/colleague -bin bin/voiceassist
//
// The PDF is the first of the papers, found through SHARED_DATA (default
// ../shared/data), with a comment at its end that makes it a new one.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/voiceassist/backend/bench/internal/system"
)

// aim is by how much a load may delay a colleague.
const aim = 5 * time.Second

func main() {
	bin := flag.String("bin", "bin/voiceassist", "the program to measure")
	files := flag.Int("files", 5000, "text files in the load")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *files); err != nil {
		fmt.Fprintln(os.Stderr, "colleague:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, files int) (err error) {
	data, err := system.SharedData("../shared/data")
	if err != nil {
		return err
	}
	papers, err := system.Files(data, "papers", "*.pdf")
	if err != nil {
		return err
	}
	paper := papers[0].Content
	o, err := startOffice(ctx, bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := o.awaitIdle(ctx); err != nil { // the samples
		return err
	}
	if _, err := o.index(ctx, "warm.pdf", again(paper, 0)); err != nil { // starts the readers
		return err
	}
	alone, err := o.index(ctx, "alone.pdf", again(paper, 1))
	if err != nil {
		return err
	}
	fmt.Printf("alone       %.2f s\n", alone.Seconds())
	return errors.Join(
		o.amid(ctx, "uploads", files, alone, again(paper, 2), func(half chan<- struct{}) error { return o.load(ctx, files, half) }),
		o.amid(ctx, "reindexing", files, alone, again(paper, 3), func(half chan<- struct{}) error {
			defer close(half)
			return o.reindex(ctx)
		}))
}

// amid has the colleague's paper indexed in the middle of a load. load closes
// half when it is time, and returns when everything is uploaded.
func (o *office) amid(ctx context.Context, name string, files int, alone time.Duration, paper []byte, load func(half chan<- struct{}) error) error {
	began, half, loaded := time.Now(), make(chan struct{}), make(chan error, 1)
	go func() { loaded <- load(half) }()
	select {
	case <-half:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), <-loaded)
	}
	before, err := o.Metrics(ctx, "voiceassist_jobs_pending{")
	if err != nil {
		return errors.Join(err, <-loaded)
	}
	took, err := o.index(ctx, name+".pdf", paper)
	if err := errors.Join(err, <-loaded, o.awaitIdle(ctx)); err != nil {
		return err
	}
	all := time.Since(began)
	fmt.Printf("%-11s amid %d files, %.0f jobs pending: %.2f s, %.2f s more than alone; the load took %.1f s, %.0f documents/s\n",
		name, files, before, took.Seconds(), (took - alone).Seconds(), all.Seconds(), float64(files)/all.Seconds())
	if took-alone > aim {
		return fmt.Errorf("%s: the colleague waited %s longer than alone", name, took-alone)
	}
	return nil
}

// again returns the paper as a file of its own.
func again(paper []byte, n int) []byte {
	return fmt.Appendf(bytes.Clone(paper), "\n%%%% copy %d of %d\n", n, time.Now().UnixNano())
}

// load uploads n different small files, eight at a time, and closes half when
// half of them are.
func (o *office) load(ctx context.Context, n int, half chan<- struct{}) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	var done atomic.Int64
	for i := range n {
		g.Go(func() error {
			text := fmt.Sprintf("Note %d of %d.\n\nThe patient of bed %d takes aspirin in the morning and metformin at noon, and sleeps well.\n",
				i, time.Now().UnixNano(), i)
			_, err := o.Upload(ctx, fmt.Sprintf("note-%d.txt", i), "", strings.NewReader(text))
			if done.Add(1) == int64(n)/2 {
				close(half)
			}
			return err
		})
	}
	return g.Wait()
}
