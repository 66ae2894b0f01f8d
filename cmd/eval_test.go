package cmd

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScoresFollowTheirDefinitions(t *testing.T) {
	t.Parallel()
	got := score([]string{"x", "a", "y", "b"}, map[string]int{"a": 1, "b": 1, "c": 1, "x": 0})
	ideal := 1 + 1/math.Log2(3) + 1/math.Log2(4)
	want := evalScores{
		ndcg10:    (1/math.Log2(3) + 1/math.Log2(5)) / ideal,
		recall10:  2.0 / 3,
		recall100: 2.0 / 3,
		mrr10:     0.5,
	}
	for name, v := range map[string][2]float64{
		"nDCG@10":    {got.ndcg10, want.ndcg10},
		"Recall@10":  {got.recall10, want.recall10},
		"Recall@100": {got.recall100, want.recall100},
		"MRR@10":     {got.mrr10, want.mrr10},
	} {
		if math.Abs(v[0]-v[1]) > 1e-12 {
			t.Errorf("%s = %v, want %v", name, v[0], v[1])
		}
	}
}

func TestADocumentRanksWhereItsBestPassageDoes(t *testing.T) {
	t.Parallel()
	hits := []found{{DocumentID: "1"}, {DocumentID: "2"}, {DocumentID: "1"}, {DocumentID: "3"}}
	got := ranking(hits, map[string][]string{"1": {"a"}, "2": {"b", "same text as b"}, "3": {"c"}})
	if d := cmp.Diff([]string{"a", "b", "same text as b", "c"}, got); d != "" {
		t.Errorf("ranking differs (-want +got):\n%s", d)
	}
}
