// Command chaos loads documents while everything that can end does: it runs the
// process types as the Procfile has them, each a process of its own, kills api,
// workers and scheduler with -9 at random moments and starts them again at once,
// makes Redis forget everything, kills Postgres, and then holds the account:
// uploads against documents, documents against points, blobs and jobs.
//
//	make build && go run ./bench/chaos -bin bin/voiceassist
//
// Several clients upload all the while, and try again until they are answered.
// The documents are those of SHARED_DATA (default ../shared/data), each with a
// mark of its own. The engines outlive the processes: Postgres is one of its
// own, Redis, Qdrant and an embedding service that counts are in this one. It
// ends non-zero if anything is amiss, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

// chaos is what the command line says.
type chaos struct {
	bin         string
	data        string
	docs        int
	kills       int
	flushes     int
	restarts    int
	clients     int
	workers     int
	concurrency int           // jobs at once, of each worker
	pause       time.Duration // between two events, on average
	patience    time.Duration // until everything is settled, after the last upload
	seed        uint64
	keep        bool
}

func main() {
	var c chaos
	flag.StringVar(&c.bin, "bin", "bin/voiceassist", "the program; api, worker and scheduler lie beside it (make build)")
	flag.IntVar(&c.docs, "docs", 500, "how many documents to upload")
	flag.IntVar(&c.kills, "kills", 50, "how often to kill a process with -9")
	flag.IntVar(&c.flushes, "flushes", 2, "how often Redis forgets everything")
	flag.IntVar(&c.restarts, "restarts", 1, "how often Postgres is killed and started again")
	flag.IntVar(&c.clients, "clients", 4, "how many uploads are under way at once")
	flag.IntVar(&c.workers, "workers", 2, "how many worker processes")
	flag.IntVar(&c.concurrency, "concurrency", 4, "jobs at once, of each worker")
	flag.DurationVar(&c.pause, "pause", 2*time.Second, "between two events, on average")
	flag.DurationVar(&c.patience, "patience", 10*time.Minute, "until everything has to be settled, after the last upload")
	flag.Uint64Var(&c.seed, "seed", 0, "repeats the choices of a run; 0 takes one by chance")
	flag.BoolVar(&c.keep, "keep", false, "leave the directory, with what the processes printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if c.data, err = system.SharedData("../shared/data"); err == nil {
		err = c.run(ctx, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// errAmiss is a run whose account does not balance; the table says where.
var errAmiss = errors.New("something is amiss")

func (c chaos) run(ctx context.Context, out io.Writer) (err error) {
	if c.seed == 0 {
		c.seed = rand.Uint64()
	}
	fmt.Fprintf(out, "seed                   %d\n", c.seed)
	dir, err := system.MakeDir()
	if err != nil {
		return err
	}
	if c.keep {
		fmt.Fprintf(out, "directory              %s\n", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	documents, err := load(c.data, c.docs)
	if err != nil {
		return err
	}
	e, err := system.StartEngines(ctx, dir, vectorLength)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop(ctx)) }()
	f, err := system.StartFleet(ctx, c.bin, e, system.FleetOptions{
		Workers: c.workers, Schedulers: 1,
		Env: []string{fmt.Sprintf("WORKER_CONCURRENCY=%d", c.concurrency), "EXTRACTORS=1", "LOG_LEVEL=WARN"},
	})
	if err != nil {
		return err
	}
	r := &run{chaos: c, engines: e, fleet: f, out: out, random: rand.New(rand.NewPCG(c.seed, 0))}
	rows, err := r.through(ctx, documents)
	if err != nil {
		return errors.Join(err, fmt.Errorf("the processes said last:\n%s", f.LastLines()), f.Stop())
	}
	if err := f.Stop(); err != nil {
		return err
	}
	left, err := f.Leftovers()
	if err != nil {
		return err
	}
	rows = append(rows, none("processes left behind", len(left)))
	return tell(out, rows)
}

// vectorLength is short: vectors are counted here and not measured.
const vectorLength = 32
