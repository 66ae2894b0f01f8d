package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/voiceassist/backend/bench/internal/system"
)

// row is a line of the table.
type row struct {
	name  string
	value string
	amiss bool
}

func figure(name string, value any) row { return row{name: name, value: fmt.Sprint(value)} }

// none is a figure that has to be 0.
func none(name string, n int) row { return row{name, fmt.Sprint(n), n != 0} }

// tell prints the table, and is errAmiss if a row is.
func tell(out io.Writer, rows []row) error {
	var amiss error
	for _, r := range rows {
		mark := ""
		if r.amiss {
			mark, amiss = "   <- amiss", errAmiss
		}
		fmt.Fprintf(out, "%-34s %s%s\n", r.name, r.value, mark)
	}
	return amiss
}

// account compares everything with everything, once nothing is in flight.
func (r *run) account(ctx context.Context) ([]row, error) {
	ledger, err := r.engines.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	defer ledger.Close(ctx)
	rows := r.happened()
	for _, part := range []func(context.Context, *system.Ledger) ([]row, error){
		r.documents, r.points, r.blobs, r.texts, r.leftovers, r.verify,
	} {
		more, err := part(ctx, ledger)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// happened is what the documents went through.
func (r *run) happened() []row {
	kills, ends := make(map[string]int), 0
	for _, m := range r.fleet.Members() {
		k, e := m.Figures()
		kills[m.Type] += k
		ends += e
	}
	return []row{
		figure("killed with -9", fmt.Sprintf("%d: api %d, workers %d, scheduler %d",
			r.kills, kills["api"], kills["worker"], kills["scheduler"])),
		figure("Redis flushed, Postgres killed", fmt.Sprintf("%d, %d", r.flushes, r.restarts)),
		figure("processes that ended by themselves", ends),
		figure("uploads broken off and repeated", fmt.Sprintf("%d, of which %d had been taken", r.brokenOff, r.duplicates)),
	}
}

// documents holds the uploads that were answered against the ledger.
func (r *run) documents(ctx context.Context, ledger *system.Ledger) ([]row, error) {
	ids, err := ledger.Strings(ctx, `SELECT id::text FROM documents WHERE deleted_at IS NULL`)
	if err != nil {
		return nil, err
	}
	lost, unknown := 0, 0
	for id := range r.accepted {
		if !slices.Contains(ids, id) {
			lost++
		}
	}
	for _, id := range ids {
		if r.accepted[id] == "" {
			unknown++
		}
	}
	fates, err := ledger.Counts(ctx, `
		SELECT trim(state || ' ' || error_code), count(*) FROM documents WHERE deleted_at IS NULL GROUP BY 1 ORDER BY 2 DESC`)
	if err != nil {
		return nil, err
	}
	rows := []row{
		{"uploads answered, documents", fmt.Sprintf("%d, %d", len(r.accepted), len(ids)), len(r.accepted) != r.docs || len(ids) != r.docs},
		none("lost", lost),
		none("documents that nobody was told of", unknown),
	}
	for _, fate := range fates {
		settled := fate.Of == "indexed" || strings.HasPrefix(fate.Of, "failed ")
		rows = append(rows, row{"  " + fate.Of, fmt.Sprint(fate.N), !settled})
	}
	interrupted, err := ledger.Number(ctx, `SELECT count(*) FROM job_events WHERE result = 'interrupted'`)
	if err != nil {
		return nil, err
	}
	most, err := ledger.Number(ctx, `SELECT max(attempts - given_back) FROM jobs`)
	if err != nil {
		return nil, err
	}
	rows = append(rows, figure("attempts interrupted, most of a job", fmt.Sprintf("%d, %d", interrupted, most)))
	return rows, nil
}

// points holds the passages of active generations against the index.
func (r *run) points(ctx context.Context, ledger *system.Ledger) ([]row, error) {
	passages, err := ledger.Strings(ctx, `
		SELECT p.id::text
		FROM passages p
		JOIN documents d ON d.id = p.document_id AND d.generation = p.generation AND d.deleted_at IS NULL`)
	if err != nil {
		return nil, err
	}
	miscounted, err := ledger.Number(ctx, `
		SELECT count(*)
		FROM documents d
		WHERE d.generation > 0 AND d.passage_count <> (
			SELECT count(*) FROM passages p WHERE p.document_id = d.id AND p.generation = d.generation)`)
	if err != nil {
		return nil, err
	}
	given, err := ledger.Number(ctx, `
		SELECT count(*)
		FROM passages p
		JOIN documents d ON d.id = p.document_id
		WHERE p.generation <> d.generation`)
	if err != nil {
		return nil, err
	}
	index, err := r.engines.Index()
	if err != nil {
		return nil, err
	}
	defer index.Close()
	missing := make(map[string]bool, len(passages))
	for _, id := range passages {
		missing[id] = true
	}
	documents := make(map[string]bool, len(r.accepted))
	for id := range r.accepted {
		documents[id] = true
	}
	points, unseen, duplicates, orphans := 0, 0, 0, 0
	for point, err := range index.Scroll(ctx, uuid.Nil) {
		if err != nil {
			return nil, err
		}
		points++
		known := missing[point.PassageID.String()]
		delete(missing, point.PassageID.String())
		switch {
		case known && !point.Active:
			unseen++
		case !known && documents[point.DocumentID.String()]:
			duplicates++
		case !known:
			orphans++
		}
	}
	return []row{
		figure("passages, points", fmt.Sprintf("%d, %d", len(passages), points)),
		none("  passages without their point", len(missing)),
		none("  points that searches cannot see", unseen),
		none("  points of another generation", duplicates),
		none("  points of no document", orphans),
		none("documents with a wrong count", miscounted),
		figure("passages of given-up generations", given),
	}, nil
}

// blobs holds the documents against the blob store. A crash between blob and
// commit leaves a blob of no document, and one amid a blob an unfinished file;
// both wait for the collector.
func (r *run) blobs(ctx context.Context, ledger *system.Ledger) ([]row, error) {
	keys, err := ledger.Strings(ctx, `SELECT blob_key FROM documents WHERE deleted_at IS NULL`)
	if err != nil {
		return nil, err
	}
	missing := make(map[string]bool, len(keys))
	for _, key := range keys {
		missing[key] = true
	}
	orphans, unfinished := 0, 0
	root := r.engines.BlobDir()
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(root, name)
		_, uuidErr := uuid.Parse(filepath.Base(name))
		switch {
		case missing[key]:
			delete(missing, key)
		case uuidErr != nil:
			unfinished++
		default:
			orphans++
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return []row{
		none("documents without their blob", len(missing)),
		figure("blobs of no document, unfinished", fmt.Sprintf("%d, %d (the collector's)", orphans, unfinished)),
	}, nil
}

// texts holds what was embedded against what had to be. Whatever ended a worker
// or took its ledger away may have cost it the batches in flight.
func (r *run) texts(ctx context.Context, ledger *system.Ledger) ([]row, error) {
	stored, err := ledger.Number(ctx, `SELECT count(*) FROM vectors`)
	if err != nil {
		return nil, err
	}
	lost := r.restarts * r.workers
	for _, m := range r.fleet.Members() {
		if k, e := m.Figures(); m.Type == "worker" {
			lost += k + e
		}
	}
	got := r.engines.Embedder.Account()
	bound := got.Distinct + lost*r.concurrency*got.Largest
	return []row{
		{"texts embedded", fmt.Sprintf("%d, of which %d distinct; at most %d (%d batches of %d may have been lost)",
			got.Texts, got.Distinct, bound, lost*r.concurrency, got.Largest), got.Texts > bound},
		{"vectors stored", fmt.Sprint(stored), stored > got.Distinct},
	}, nil
}

// leftovers counts the temporary files of workers that were killed.
func (r *run) leftovers(context.Context, *system.Ledger) ([]row, error) {
	files, err := os.ReadDir(r.engines.TempDir())
	return []row{figure("temporary files left behind", len(files))}, err
}

// verify asks the program itself, if it can tell.
func (r *run) verify(ctx context.Context, _ *system.Ledger) ([]row, error) {
	const usage = 2 // the exit status of a command line that makes no sense
	out, err := r.fleet.Command(ctx, "verify", "--json").Output()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case failed && exit.ExitCode() == usage:
		return []row{figure("voiceassist verify", "does not know --json: not asked")}, nil
	case failed:
		return []row{{"voiceassist verify", strings.TrimSpace(string(out) + string(exit.Stderr)), true}}, nil
	case err != nil:
		return nil, err
	}
	return []row{figure("voiceassist verify", "clean")}, nil
}
