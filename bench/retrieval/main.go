// Command retrieval measures how well passages are found, through the real
// client and the embedded index.
//
//	go run ./bench/retrieval [flags] DIR...
//
// Each DIR is a data set in BEIR form: corpus.jsonl (_id, title, text),
// queries.jsonl (_id, text) and qrels.tsv. Documents are cut into passages at
// sentence ends; a document scores what its best passage scores. Flags take
// lists, and every combination is a line of the table:
//
//	go run ./bench/retrieval -words 100,200,400 -b 0.2,0.4 ../shared/data/retrieval/medquad
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/bm25"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/qdrant"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	plan, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = plan.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "retrieval:", err)
		return 1
	}
	return 0
}

// plan is what to measure.
type plan struct {
	dirs   []string
	words  []int
	titles []int
	k1, b  []float64
	avgLen float64
	limit  int
}

func parseFlags(args []string) (plan, error) {
	var p plan
	flags := flag.NewFlagSet("retrieval", flag.ContinueOnError)
	words := flags.String("words", "150", "longest passages, in words; 0: whole documents")
	titles := flags.String("titles", "3", "how often a passage repeats the title")
	k1 := flags.String("k1", strconv.FormatFloat(bm25.DefaultK1, 'g', -1, 64), "BM25's k1")
	b := flags.String("b", strconv.FormatFloat(bm25.DefaultB, 'g', -1, 64), "BM25's b")
	flags.Float64Var(&p.avgLen, "avglen", bm25.DefaultAvgLen, "BM25's average length; 0: that of the passages")
	flags.IntVar(&p.limit, "limit", 200, "passages asked for, to find 100 documents")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	p.dirs = flags.Args()
	if len(p.dirs) == 0 {
		flags.Usage()
		return p, errors.New("no data set given")
	}
	var errs [4]error
	p.words, errs[0] = list(*words, strconv.Atoi)
	p.titles, errs[1] = list(*titles, strconv.Atoi)
	p.k1, errs[2] = list(*k1, parseFloat)
	p.b, errs[3] = list(*b, parseFloat)
	return p, errors.Join(errs[:]...)
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func list[T any](s string, parse func(string) (T, error)) ([]T, error) {
	var values []T
	for field := range strings.SplitSeq(s, ",") {
		v, err := parse(field)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func (p plan) run(ctx context.Context) error {
	for _, dir := range p.dirs {
		data, err := load(dir)
		if err != nil {
			return err
		}
		for _, words := range p.words {
			for _, titles := range p.titles {
				fmt.Printf("%s, passages of %d words, title %d times\n"+header, filepath.Base(dir), words, titles)
				if err := p.weigh(ctx, data, data.cut(words, titles)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// weigh measures the same passages with every weight.
func (p plan) weigh(ctx context.Context, data dataset, passages []voiceassist.Point) error {
	avgLen := p.avgLen
	if avgLen == 0 {
		avgLen = averageLength(passages)
	}
	for _, k1 := range p.k1 {
		for _, b := range p.b {
			encoder := bm25.Encoder{K1: k1, B: b, AvgLen: avgLen}
			if b == 0 {
				encoder.B = -1 // zero stands for the default
			}
			r, err := measure(ctx, data, passages, encoder, p.limit)
			if err != nil {
				return err
			}
			fmt.Printf(row, k1, b, avgLen, len(passages), r.ndcg10, r.recall10, r.recall100, r.mrr10, r.thin, r.rate, ms(r.p50), ms(r.p99))
		}
	}
	return nil
}

const (
	header = "  k1    b avglen passages nDCG@10 recall@10 recall@100 mrr@10 docs<100 upsert/s p50-ms p99-ms\n"
	row    = "%4.2g %4.2g %6.0f %8d %7.4f %9.4f %10.4f %6.4f %8d %8.0f %6.2f %6.2f\n"
)

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// withIndex runs fn on an empty index that ends with it.
func withIndex(ctx context.Context, encoder bm25.Encoder, fn func(*qdrant.Index) error) (err error) {
	server, err := qdrantserver.New(qdrantserver.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	if err := server.Start("127.0.0.1:0"); err != nil {
		return err
	}
	index, err := qdrant.Open(server.URL(), qdrant.Options{Encoder: encoder})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	if err := index.Ensure(ctx); err != nil {
		return err
	}
	return fn(index)
}
