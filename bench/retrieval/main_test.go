package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/voiceassist/backend/bm25"
)

func TestAbstractsAreFoundByTheirQuestions(t *testing.T) {
	t.Parallel()
	shared := os.Getenv("SHARED_DATA")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(shared, "retrieval", "pubmedqa")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared test data: set SHARED_DATA")
	}
	data, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	result, err := measure(t.Context(), data, data.cut(150, 3), bm25.Encoder{}, 200)
	if err != nil {
		t.Fatal(err)
	}
	if result.ndcg10 < 0.975 || result.recall100 < 0.99 {
		t.Errorf("nDCG@10 = %.4f, recall@100 = %.4f, want at least 0.975 and 0.99", result.ndcg10, result.recall100)
	}
}

func TestMetricsAreTrecEvals(t *testing.T) {
	t.Parallel()
	gains := map[string]float64{"a": 1, "b": 1, "no": 0}
	ranked := []string{"x", "a", "no", "b"}
	for name, test := range map[string]struct{ got, want float64 }{
		"nDCG@10":  {ndcg(ranked, gains, 10), (0.63093 + 0.43068) / (1 + 0.63093)},
		"nDCG@2":   {ndcg(ranked, gains, 2), 0.63093 / (1 + 0.63093)},
		"recall@2": {recall(ranked, gains, 2), 0.5},
		"MRR":      {reciprocal(ranked, gains, 10), 0.5},
		"none":     {ndcg(nil, gains, 10), 0},
	} {
		if diff := test.got - test.want; diff > 1e-4 || diff < -1e-4 {
			t.Errorf("%s = %v, want %v", name, test.got, test.want)
		}
	}
}

func TestCutKeepsEveryWordInPassagesOfWholeSentences(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("One two three four. Five six seven? ", 30) + strings.Repeat("long ", 80)
	cut := cutText(text, 50)
	if strings.Join(cut, "") != text {
		t.Errorf("passages are not the text again")
	}
	for _, passage := range cut[:len(cut)-1] {
		if n := len(strings.Fields(passage)); n > 50 || n < 10 {
			t.Errorf("passage of %d words, want at most 50: %q", n, passage)
		}
	}
}
