package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

// fanOutTurns is how often the document is loaded whole and how often in parts;
// the medians count.
const fanOutTurns = 5

// way is how a large document is read.
type way struct {
	name string
	env  []string
	on   *site

	pages, jobs int
	extracted   []time.Duration // from the start of the job to its last page, each time
	indexed     []time.Duration // to its end
	cpu         []time.Duration // of all processes
}

// fan loads the papers as one document, whole and in parts. Both systems are
// there all the time, and one at a time has something to do.
func (b ingest) fan(ctx context.Context, out io.Writer, data string) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.patience, errUnfinished)
	defer cancel()
	joined, err := joinedPapers(ctx, data)
	if err != nil {
		return err
	}
	ways := []*way{
		{name: "whole", env: []string{fmt.Sprintf("EXTRACT_PART_PAGES=%d", math.MaxInt32), fmt.Sprintf("EMBED_PART_PASSAGES=%d", math.MaxInt32)}},
		{name: "in parts"},
	}
	for _, w := range ways {
		if w.on, err = b.start(ctx, b.dim, w.env...); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.on.stop(ctx)) }()
		if err := b.warmUp(ctx, w.on, joined); err != nil {
			return err
		}
	}
	for turn := range fanOutTurns {
		for _, w := range ways {
			if err := b.once(ctx, w, joined.WithNonce(fmt.Sprint("turn", turn))); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	reportFan(out, ways)
	return nil
}

// joinedPapers makes one PDF of the papers, with poppler's pdfunite.
func joinedPapers(ctx context.Context, data string) (d system.Document, err error) {
	names, err := filepath.Glob(filepath.Join(data, "papers", "*.pdf"))
	if err != nil {
		return d, err
	}
	dir, err := os.MkdirTemp("", "voiceassist-joined-")
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d.Name = "joined.pdf"
	file := filepath.Join(dir, d.Name)
	if said, err := exec.CommandContext(ctx, "pdfunite", append(names, file)...).CombinedOutput(); err != nil {
		return d, fmt.Errorf("pdfunite (package poppler-utils): %w\n%s", err, said)
	}
	d.Content, err = os.ReadFile(file)
	return d, err
}

// once loads a document and notes how long it took.
func (b ingest) once(ctx context.Context, w *way, d system.Document) error {
	ledger, err := w.on.engines.Ledger(ctx)
	if err != nil {
		return err
	}
	defer ledger.Close(ctx)
	all, err := families(w.on.engines, w.on.fleet)
	if err != nil {
		return err
	}
	meter := system.StartMeter(ctx, all...)
	err = b.upload(ctx, w.on.client, []system.Document{d})
	if err == nil {
		err = w.on.engines.AwaitSettled(ctx)
	}
	w.cpu = append(w.cpu, result{usage: meter.Stop()}.cpu())
	if err != nil {
		return err
	}
	return w.note(ctx, ledger)
}

// lastJob is the index job of the document that came last, with its parts.
const lastJob = `
	FROM jobs j
	JOIN documents d ON d.id = j.document_id AND d.created_at = (SELECT max(created_at) FROM documents)
	LEFT JOIN job_events e ON e.job_id = j.id AND e.stage = 'extract'
	WHERE d.state = 'indexed'`

// note takes from the ledger how the last document went.
func (w *way) note(ctx context.Context, ledger *system.Ledger) error {
	var extracted, indexed int // ms
	for sql, to := range map[string]*int{
		`SELECT (1000 * extract(epoch FROM max(e.at) - min(j.started_at)))::integer ` + lastJob:           &extracted,
		`SELECT (1000 * extract(epoch FROM max(j.completed_at) - min(j.started_at)))::integer ` + lastJob: &indexed,
		`SELECT max(d.page_count) ` + lastJob:                                                             &w.pages,
		`SELECT count(DISTINCT j.id) ` + lastJob:                                                          &w.jobs,
	} {
		var err error
		if *to, err = ledger.Number(ctx, sql); err != nil {
			return err
		}
	}
	w.extracted = append(w.extracted, time.Duration(extracted)*time.Millisecond)
	w.indexed = append(w.indexed, time.Duration(indexed)*time.Millisecond)
	return nil
}

func reportFan(out io.Writer, ways []*way) {
	fmt.Fprintf(out, "%-12s %6s %6s %12s %10s %8s   medians of %d, s\n", "", "pages", "jobs", "extraction", "all", "CPU", fanOutTurns)
	for _, w := range ways {
		fmt.Fprintf(out, "%-12s %6d %6d %12.2f %10.2f %8.2f   extraction %v\n", w.name, w.pages, w.jobs,
			median(w.extracted).Seconds(), median(w.indexed).Seconds(), median(w.cpu).Seconds(), slices.Sorted(slices.Values(w.extracted)))
	}
	whole, parts := ways[0], ways[1]
	fmt.Fprintf(out, "in parts the extraction is %.2f times as fast, all of it %.2f times\n",
		median(whole.extracted).Seconds()/median(parts.extracted).Seconds(), median(whole.indexed).Seconds()/median(parts.indexed).Seconds())
}
