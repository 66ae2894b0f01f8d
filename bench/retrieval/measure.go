package main

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/bm25"
	"github.com/voiceassist/backend/qdrant"
)

// outcome is a line of the table: means over the questions.
type outcome struct {
	ndcg10, recall10, recall100, mrr10 float64

	thin     int     // questions that matched more, and got fewer than 100 documents
	rate     float64 // passages stored per second
	p50, p99 time.Duration
}

func measure(
	ctx context.Context, data dataset, passages []voiceassist.Point, encoder bm25.Encoder, limit int,
) (result outcome, err error) {
	err = withIndex(ctx, encoder, func(index *qdrant.Index) error {
		began := time.Now()
		if err := index.Upsert(ctx, passages, true); err != nil {
			return err
		}
		result.rate = float64(len(passages)) / time.Since(began).Seconds()
		return ask(ctx, index, data, limit, &result)
	})
	return result, err
}

func ask(ctx context.Context, index *qdrant.Index, data dataset, limit int, result *outcome) error {
	names := make(map[uuid.UUID]string, len(data.documents))
	for _, document := range data.documents {
		names[documentID(document.ID)] = document.ID
	}
	asked := 0.0
	var took []time.Duration
	for _, query := range data.queries {
		gains := data.relevant[query.ID]
		if len(gains) == 0 {
			continue
		}
		began := time.Now()
		matches, err := index.Search(ctx, qdrant.Query{Text: query.Text, Limit: limit})
		if err != nil {
			return err
		}
		took = append(took, time.Since(began))
		ranked := rank(matches, names)
		if len(matches) == limit && len(ranked) < 100 {
			result.thin++
		}
		asked++
		result.ndcg10 += ndcg(ranked, gains, 10)
		result.recall10 += recall(ranked, gains, 10)
		result.recall100 += recall(ranked, gains, 100)
		result.mrr10 += reciprocal(ranked, gains, 10)
	}
	for _, mean := range []*float64{&result.ndcg10, &result.recall10, &result.recall100, &result.mrr10} {
		*mean /= asked
	}
	slices.Sort(took)
	result.p50, result.p99 = took[len(took)/2], took[len(took)*99/100]
	return nil
}

// rank orders documents by their best passage, equal ones by name.
func rank(matches []qdrant.Match, names map[uuid.UUID]string) []string {
	best := make(map[string]float64)
	for _, m := range matches {
		name := names[m.DocumentID]
		best[name] = max(best[name], m.Score)
	}
	return slices.SortedFunc(maps.Keys(best), func(a, b string) int {
		return cmp.Or(cmp.Compare(best[b], best[a]), cmp.Compare(a, b))
	})
}

// ndcg is trec_eval's ndcg_cut: linear gains, the ideal from the judgments.
func ndcg(ranked []string, gains map[string]float64, k int) float64 {
	sum, ideal := 0.0, 0.0
	for i, name := range ranked[:min(k, len(ranked))] {
		sum += gains[name] / math.Log2(float64(i+2))
	}
	descending := slices.SortedFunc(maps.Values(gains), func(a, b float64) int { return cmp.Compare(b, a) })
	for i, gain := range descending[:min(k, len(descending))] {
		ideal += gain / math.Log2(float64(i+2))
	}
	return sum / ideal
}

func recall(ranked []string, gains map[string]float64, k int) float64 {
	found, wanted := 0.0, 0.0
	for name, gain := range gains {
		if gain <= 0 {
			continue
		}
		wanted++
		if slices.Contains(ranked[:min(k, len(ranked))], name) {
			found++
		}
	}
	return found / wanted
}

func reciprocal(ranked []string, gains map[string]float64, k int) float64 {
	for i, name := range ranked[:min(k, len(ranked))] {
		if gains[name] > 0 {
			return 1 / float64(i+1)
		}
	}
	return 0
}
