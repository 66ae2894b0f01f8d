// Command ingest measures how fast documents become findable: papers as PDF and
// a large set of short texts, each with an embedding service that answers at
// once and without one, and beside the papers what pdftotext alone takes for
// the same files on the same cores.
//
//	make build && go run ./bench/ingest -bin bin/voiceassist
//
// With -fanout it measures instead what parts gain: all papers joined into one
// PDF, whole and in parts, in turns.
//
// Each run has a system of its own, empty but for two documents that warm its
// readers up: the process types as the Procfile has them, each a process of its
// own; Postgres another; Redis, Qdrant, the embedding service and the clients in
// this one, and all on the same cores. Documents come from SHARED_DATA (default
// ../shared/data) and travel over HTTP. The clock runs from the first upload to
// the last document that is indexed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

// ingest is what the command line says.
type ingest struct {
	bin      string
	only     string
	docs     int
	clients  int
	dim      int
	cpus     int
	patience time.Duration
	profile  string
	fanOut   bool
}

func main() {
	var b ingest
	flag.StringVar(&b.bin, "bin", "bin/voiceassist", "the program; api, worker and scheduler lie beside it (make build)")
	flag.StringVar(&b.only, "only", "papers,papers-lexical,medquad,medquad-lexical", "which runs to make")
	flag.IntVar(&b.docs, "docs", 0, "how many of MedQuAD's 16,351 documents; 0 is all")
	flag.IntVar(&b.clients, "clients", 4, "how many uploads are under way at once")
	flag.IntVar(&b.dim, "dim", 384, "numbers in a vector")
	flag.IntVar(&b.cpus, "cpus", runtime.NumCPU(), "how many files pdftotext reads at once, and how many readers the worker has")
	flag.DurationVar(&b.patience, "patience", 8*time.Minute, "how long a run may take")
	flag.BoolVar(&b.fanOut, "fanout", false, "load the papers as one PDF, whole and in parts, instead of the other runs")
	flag.StringVar(&b.profile, "cpuprofile", "", "where to write a profile of this process: engines and clients")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := b.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

// aims, of which the report says whether they are met.
const (
	aimRatio     = 2.5 // of the papers' wall time to pdftotext's
	aimWorkerMB  = 300 // of a worker without its children
	aimPerSecond = 100 // documents of MedQuAD
)

// set is something to load.
type set struct {
	name string
	dim  int // of the vectors; 0: lexical only
	load func() ([]system.Document, error)
}

func (b ingest) run(ctx context.Context, out io.Writer) (err error) {
	data, err := system.SharedData("../shared/data")
	if err != nil {
		return err
	}
	if b.fanOut {
		return b.fan(ctx, out, data)
	}
	papers := func() ([]system.Document, error) { return system.Files(data, "papers", "*.pdf") }
	medquad := func() ([]system.Document, error) { return system.Medquad(data, b.docs) }
	only := strings.Split(b.only, ",")
	sets := slices.DeleteFunc([]set{
		{"papers", b.dim, papers}, {"papers-lexical", 0, papers}, {"medquad", b.dim, medquad}, {"medquad-lexical", 0, medquad},
	}, func(s set) bool { return !slices.Contains(only, s.name) })
	if len(sets) == 0 {
		return fmt.Errorf("-only %s names no run", b.only)
	}
	stopProfile, err := system.Profile(b.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	for _, s := range sets {
		documents, err := s.load()
		if err != nil {
			return err
		}
		got, err := b.measure(ctx, s, documents)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.report(out, s, got)
		if strings.HasPrefix(s.name, "papers") {
			if err := b.compare(ctx, out, documents, got); err != nil {
				return err
			}
		}
	}
	return nil
}

// report prints what a run came to.
func (b ingest) report(out io.Writer, s set, r result) {
	seconds := r.took.Seconds()
	fmt.Fprintf(out, "%s (%s)\n", s.name, s.model())
	fmt.Fprintf(out, "  %d documents, %d pages, %d passages (%s, with those that warmed up) in %.1f s; uploaded after %.1f s, %.1f s more to the last indexed\n",
		r.documents, r.pages, r.passages, r.fates(), seconds, r.uploaded.Seconds(), (r.took - r.uploaded).Seconds())
	fmt.Fprintf(out, "  %.0f documents/min (%.1f/s, aim for MedQuAD %d/s), %.1f pages/s, %.0f passages/s; %d texts embedded\n",
		60*float64(r.documents)/seconds, float64(r.documents)/seconds, aimPerSecond,
		float64(r.pages)/seconds, float64(r.passages)/seconds, r.embedded)
	fmt.Fprintf(out, "  %-20s %8s %6s %9s\n", "", "CPU s", "", "peak MB")
	total := r.cpu()
	for _, name := range r.order() {
		u := r.usage[name]
		aim := ""
		if name == "worker" {
			aim = fmt.Sprintf("   (aim %d)", aimWorkerMB)
		}
		fmt.Fprintf(out, "  %-20s %8.2f %5.0f%% %9d%s\n", name, u.CPU.Seconds(), 100*u.CPU.Seconds()/total.Seconds(), u.PeakMB, aim)
	}
}

func (s set) model() string {
	if s.dim == 0 {
		return "lexical only"
	}
	return fmt.Sprintf("vectors of %d numbers, at once", s.dim)
}

var errUnfinished = errors.New("not everything is indexed in time")
