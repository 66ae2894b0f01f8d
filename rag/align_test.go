package rag

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var alignEvery = flag.Int("align-every", 3, "of the other paragraphs of a paper, compare a claim with every so manieth")

// TestAlignmentTellsTheRightPassage takes sentences of the thirty papers as
// claims: reworded they must be proved by their own paragraph, and whole they
// must rarely be by other paragraphs of the same paper. Never is too much to
// ask: papers say their findings in the abstract and again in the text. With
// -align-every=1 all pairs are compared, which takes a while under the race
// detector.
func TestAlignmentTellsTheRightPassage(t *testing.T) {
	t.Parallel()
	var own, ownProved, other, otherProved int
	for _, paragraphs := range sharedPapers(t) {
		normal := make([]string, len(paragraphs))
		for i, p := range paragraphs {
			normal[i] = normalize(p)
		}
		for i := 0; i < len(paragraphs); i += 4 {
			paragraph := paragraphs[i]
			sentences := splitSentences(paragraph)
			if len(sentences) == 0 || !whole(sentences[0].Text) || !readable(sentences[0].Text) {
				continue
			}
			claim := sentences[0].Text
			normalClaim := normalize(claim)
			own++
			if _, ok := align(reworded(claim), paragraph); ok {
				ownProved++
			}
			for k, elsewhere := range paragraphs {
				if k == i || k%*alignEvery != 0 || strings.Contains(normal[k], normalClaim) {
					continue
				}
				other++
				if _, ok := align(claim, elsewhere); ok {
					otherProved++
				}
			}
		}
	}
	t.Logf("reworded claims proved: %d of %d; claims proved by another paragraph: %d of %d", ownProved, own, otherProved, other)
	if ownProved*100 < own*85 || otherProved*100 > other {
		t.Error("the alignment has moved")
	}
}

// reworded leaves out every sixth word and puts another in the place of the
// next but two.
func reworded(s string) string {
	var kept []string
	for i, word := range strings.Fields(s) {
		switch i % 6 {
		case 1:
		case 4:
			kept = append(kept, "otherwise")
		default:
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// sharedPapers returns the paragraphs of the papers of the shared test data.
func sharedPapers(t *testing.T) [][]string {
	t.Helper()
	dir := os.Getenv("SHARED_DATA")
	if dir == "" {
		dir = "../shared/data"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir) // from the root of the repository
	}
	files, err := filepath.Glob(filepath.Join(dir, "papers", "*.gt.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var papers [][]string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(file, ".floats.") {
			papers = append(papers, strings.Split(string(text), "\n"))
		}
	}
	if len(papers) == 0 {
		t.Skip("no shared test data: set SHARED_DATA")
	}
	return papers
}
