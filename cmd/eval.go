package cmd

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	voiceassist "github.com/voiceassist/backend"
)

// A set in BEIR form: corpus.jsonl ({_id,title,text}), queries.jsonl
// ({_id,text}) and qrels.tsv (query, document, grade).
type evalSet struct {
	docs    []evalDoc
	queries []evalQuery
	grades  map[string]map[string]int // by query and document
}

type evalDoc struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

type evalQuery struct {
	ID   string `json:"_id"`
	Text string `json:"text"`
}

// evalLimit is how many passages are asked for, so that 100 different
// documents are among them.
const evalLimit = 100

// Eval loads the set in dir through the pipeline of a system of its own, which
// is empty and goes away afterwards, asks its questions through the search
// endpoint, and prints how good the ranking is and how fast the load was.
func Eval(ctx context.Context, cfg Config, dir string, out io.Writer, log *slog.Logger) error {
	set, err := readEvalSet(dir)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "voiceassist-eval-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	cfg.DataDir, cfg.Port, cfg.Host, cfg.ephemeral = temp, 0, "127.0.0.1", true
	cfg.DatabaseURL, cfg.RedisURL, cfg.QdrantURL, cfg.BlobURL = "", "", "", ""
	cfg.LimitSession = voiceassist.Rate{} // a load is not an attack
	if err := os.WriteFile(filepath.Join(temp, samplesMarker), nil, 0o600); err != nil {
		return err
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	return up(ctx, cfg, log, func(ctx context.Context, s *system) error {
		defer done()
		c := newClient(s.url)
		if err := c.login(ctx, cfg.AdminEmail, s.password); err != nil {
			return err
		}
		return c.eval(ctx, set, out)
	})
}

func (c *client) eval(ctx context.Context, set evalSet, out io.Writer) error {
	begun := time.Now()
	ids, err := c.load(ctx, set.docs)
	if err != nil {
		return err
	}
	if err := c.awaitIdle(ctx, func(int) {}); err != nil {
		return err
	}
	took := time.Since(begun)
	failed, err := c.documentsIn(ctx, "failed")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "loaded     %d documents in %.1f s, %.0f documents/s, %d failed\n",
		len(set.docs), took.Seconds(), float64(len(set.docs))/took.Seconds(), failed)
	begun = time.Now()
	scores, err := c.rank(ctx, set, ids)
	if err != nil {
		return err
	}
	took = time.Since(begun)
	fmt.Fprintf(out, "asked      %d queries, %.0f queries/s\n", len(set.queries), float64(len(set.queries))/took.Seconds())
	fmt.Fprintf(out, "nDCG@10 %.4f  Recall@10 %.4f  Recall@100 %.4f  MRR@10 %.4f\n",
		scores.ndcg10, scores.recall10, scores.recall100, scores.mrr10)
	return nil
}

// evalParallel is how many uploads or searches are under way at once.
const evalParallel = 8

// load uploads the documents and returns, by the API's document id, the ids
// that the set has for it: several where texts are the same.
func (c *client) load(ctx context.Context, docs []evalDoc) (map[string][]string, error) {
	var mu sync.Mutex
	ids := make(map[string][]string, len(docs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(evalParallel)
	for _, d := range docs {
		g.Go(func() error {
			// The title is in the text too: some documents differ in nothing else.
			content := []byte(strings.TrimSpace(d.Title + "\n\n" + d.Text))
			up, err := c.upload(ctx, d.ID+".txt", content, map[string]string{"title": d.Title})
			if err != nil {
				return fmt.Errorf("upload %s: %w", d.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[up.ID] = append(ids[up.ID], d.ID)
			return nil
		})
	}
	return ids, g.Wait()
}

type evalScores struct{ ndcg10, recall10, recall100, mrr10 float64 }

func (c *client) rank(ctx context.Context, set evalSet, ids map[string][]string) (evalScores, error) {
	var mu sync.Mutex
	var sum evalScores
	graded := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(evalParallel)
	for _, q := range set.queries {
		grades := set.grades[q.ID]
		if len(grades) == 0 {
			continue
		}
		graded++
		g.Go(func() error {
			hits, err := c.search(ctx, q.Text, evalLimit)
			if err != nil {
				return fmt.Errorf("search %s: %w", q.ID, err)
			}
			s := score(ranking(hits, ids), grades)
			mu.Lock()
			defer mu.Unlock()
			sum.ndcg10 += s.ndcg10
			sum.recall10 += s.recall10
			sum.recall100 += s.recall100
			sum.mrr10 += s.mrr10
			return nil
		})
	}
	err := g.Wait()
	n := float64(max(graded, 1))
	return evalScores{sum.ndcg10 / n, sum.recall10 / n, sum.recall100 / n, sum.mrr10 / n}, err
}

// ranking returns the set's document ids in the order of the hits, each once;
// a document stands where its best passage does.
func ranking(hits []found, ids map[string][]string) []string {
	var ranked []string
	seen := make(map[string]bool)
	for _, h := range hits {
		if seen[h.DocumentID] {
			continue
		}
		seen[h.DocumentID] = true
		ranked = append(ranked, ids[h.DocumentID]...)
	}
	return ranked
}

// score computes the metrics of one query: gain 2^grade-1, discount log2(rank+1).
func score(ranked []string, grades map[string]int) evalScores {
	var s evalScores
	var dcg float64
	relevant := 0
	for _, g := range grades {
		if g > 0 {
			relevant++
		}
	}
	for i, id := range ranked[:min(len(ranked), 100)] {
		g := grades[id]
		if g <= 0 {
			continue
		}
		s.recall100 += 1 / float64(relevant)
		if i < 10 {
			s.recall10 += 1 / float64(relevant)
			dcg += (math.Exp2(float64(g)) - 1) / math.Log2(float64(i)+2)
			if s.mrr10 == 0 {
				s.mrr10 = 1 / float64(i+1)
			}
		}
	}
	if ideal := idealDCG(grades); ideal > 0 {
		s.ndcg10 = dcg / ideal
	}
	return s
}

func idealDCG(grades map[string]int) (dcg float64) {
	var best []int
	for _, g := range grades {
		best = append(best, g)
	}
	slices.SortFunc(best, func(a, b int) int { return cmp.Compare(b, a) })
	for i, g := range best[:min(len(best), 10)] {
		dcg += (math.Exp2(float64(max(g, 0))) - 1) / math.Log2(float64(i)+2)
	}
	return dcg
}

func readEvalSet(dir string) (set evalSet, err error) {
	if set.docs, err = readLines[evalDoc](filepath.Join(dir, "corpus.jsonl")); err != nil {
		return set, err
	}
	if set.queries, err = readLines[evalQuery](filepath.Join(dir, "queries.jsonl")); err != nil {
		return set, err
	}
	set.grades, err = readGrades(filepath.Join(dir, "qrels.tsv"))
	return set, err
}

func readLines[T any](name string) ([]T, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var all []T
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var one T
		switch err := d.Decode(&one); err {
		case nil:
			all = append(all, one)
		case io.EOF:
			return all, nil
		default:
			return nil, fmt.Errorf("%s, record %d: %w", name, len(all)+1, err)
		}
	}
}

// readGrades reads lines of query, document and grade; a heading is skipped,
// and so is TREC's second column.
func readGrades(name string) (map[string]map[string]int, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	grades := make(map[string]map[string]int)
	for n, line := range strings.Split(string(b), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		grade, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			if n == 0 {
				continue
			}
			return nil, fmt.Errorf("%s, line %d: %w", name, n+1, err)
		}
		query, document := fields[0], fields[len(fields)-2]
		if grades[query] == nil {
			grades[query] = make(map[string]int)
		}
		grades[query][document] = grade
	}
	return grades, nil
}
