package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/voiceassist/backend/bench/internal/system"
)

// result is what a run came to.
type result struct {
	documents, pages, passages int
	states                     []system.Count // of all documents, those that warmed up among them
	embedded                   int            // texts
	uploaded, took             time.Duration  // from the first upload to the last reply, and to the last indexed
	usage                      map[string]system.Usage
}

func (r result) fates() string {
	var parts []string
	for _, s := range r.states {
		parts = append(parts, fmt.Sprintf("%d %s", s.N, s.Of))
	}
	return strings.Join(parts, ", ")
}

// cpu is the processor time of all processes.
func (r result) cpu() (sum time.Duration) {
	for _, u := range r.usage {
		sum += u.CPU
	}
	return sum
}

// order lists those who used processor time, the busiest first.
func (r result) order() []string {
	return slices.SortedFunc(maps.Keys(r.usage), func(a, b string) int { return cmp.Compare(r.usage[b].CPU, r.usage[a].CPU) })
}

// site is a system of its own, signed in to.
type site struct {
	dir     string
	engines *system.Engines
	fleet   *system.Fleet
	client  *system.Client
}

// start starts a system with vectors of dim numbers, 0 being none, whose
// processes get env besides.
func (b ingest) start(ctx context.Context, dim int, env ...string) (s *site, err error) {
	s = &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(ctx))
		}
	}()
	if s.dir, err = system.MakeDir(); err != nil {
		return s, err
	}
	if s.engines, err = system.StartEngines(ctx, s.dir, dim); err != nil {
		return s, err
	}
	env = append(env, fmt.Sprintf("EXTRACTORS=%d", b.cpus), "LOG_LEVEL=WARN")
	if s.fleet, err = system.StartFleet(ctx, b.bin, s.engines, system.FleetOptions{Workers: 1, Schedulers: 1, Env: env}); err != nil {
		return s, err
	}
	s.client = &system.Client{URL: s.fleet.URL}
	return s, s.client.SignIn(ctx, system.Email, system.Password)
}

// stop ends the system and forgets it.
func (s *site) stop(ctx context.Context) error {
	var errs []error
	if s.fleet != nil {
		errs = append(errs, s.fleet.Stop())
	}
	if s.engines != nil {
		errs = append(errs, s.engines.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// measure loads documents into a system of its own.
func (b ingest) measure(ctx context.Context, s set, documents []system.Document) (r result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.patience, errUnfinished)
	defer cancel()
	on, err := b.start(ctx, s.dim)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, on.stop(ctx)) }()
	if err := b.warmUp(ctx, on, documents[0]); err != nil {
		return r, err
	}
	return b.timed(ctx, on, documents)
}

// warmUp has each reader read a document, and forgets them.
func (b ingest) warmUp(ctx context.Context, on *site, d system.Document) error {
	var copies []system.Document
	for i := range b.cpus {
		copies = append(copies, d.WithNonce(fmt.Sprint(i)))
	}
	if err := b.upload(ctx, on.client, copies); err != nil {
		return err
	}
	return on.engines.AwaitSettled(ctx)
}

func (b ingest) timed(ctx context.Context, on *site, documents []system.Document) (r result, err error) {
	e := on.engines
	ledger, err := e.Ledger(ctx)
	if err != nil {
		return r, err
	}
	defer ledger.Close(ctx)
	warm, err := figures(ctx, ledger)
	if err != nil {
		return r, err
	}
	warm.embedded = embedded(e)
	families, err := families(e, on.fleet)
	if err != nil {
		return r, err
	}
	meter := system.StartMeter(ctx, families...)
	begun := time.Now()
	err = b.upload(ctx, on.client, documents)
	uploaded := time.Since(begun)
	if err == nil {
		err = e.AwaitSettled(ctx)
	}
	took := time.Since(begun)
	usage := meter.Stop()
	if err != nil {
		return r, err
	}
	if r, err = figures(ctx, ledger); err != nil {
		return r, err
	}
	r.documents, r.pages, r.passages = r.documents-warm.documents, r.pages-warm.pages, r.passages-warm.passages
	r.embedded = embedded(e) - warm.embedded
	r.uploaded, r.took, r.usage = uploaded, took, usage
	return r, nil
}

// families are the processes to measure.
func families(e *system.Engines, f *system.Fleet) ([]system.Family, error) {
	postgres, err := e.PostgresPID()
	if err != nil {
		return nil, err
	}
	all := []system.Family{{Name: system.PostgresFamily, PID: postgres}, {Name: "engines and clients", PID: os.Getpid(), Alone: true}}
	for _, m := range f.Members() {
		all = append(all, system.Family{Name: m.Type, PID: m.PID()})
	}
	return all, nil
}

func (b ingest) upload(ctx context.Context, client *system.Client, documents []system.Document) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.clients)
	for _, d := range documents {
		g.Go(func() error {
			if _, err := client.Upload(ctx, d.Name, d.Title, bytes.NewReader(d.Content)); err != nil {
				return fmt.Errorf("upload %s: %w", d.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// figures asks the ledger what there is.
func figures(ctx context.Context, ledger *system.Ledger) (r result, err error) {
	for sql, to := range map[string]*int{
		`SELECT count(*) FROM documents`:                        &r.documents,
		`SELECT coalesce(sum(page_count), 0) FROM documents`:    &r.pages,
		`SELECT coalesce(sum(passage_count), 0) FROM documents`: &r.passages,
	} {
		if *to, err = ledger.Number(ctx, sql); err != nil {
			return r, err
		}
	}
	r.states, err = ledger.Counts(ctx, `SELECT trim(state || ' ' || error_code), count(*) FROM documents GROUP BY 1 ORDER BY 2 DESC`)
	return r, err
}

func embedded(e *system.Engines) int {
	if e.Embedder == nil {
		return 0
	}
	return e.Embedder.Account().Texts
}
