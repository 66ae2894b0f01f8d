package pdfium

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	voiceassist "github.com/voiceassist/backend"
)

// papers returns the PDFs of published papers beside which lies the text that
// their publishers gave, or skips the test.
func papers(tb testing.TB) []string {
	tb.Helper()
	dir := os.Getenv("SHARED_DATA")
	for up := ".."; dir == ""; up = filepath.Join("..", up) {
		if _, err := os.Stat(filepath.Join(up, "go.mod")); err == nil {
			dir = filepath.Join(up, "..", "shared", "data")
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "papers", "*.pdf"))
	if len(files) == 0 {
		tb.Skip("no papers: set SHARED_DATA")
	}
	return files
}

// TestPapersAreReadInOrder measures what share of the publisher's runs of five
// words the text has: columns read across, a running head in mid-sentence and
// words glued or split all cost there. pdftotext reaches .941 on the 30 papers
// that it was measured on, PDFium's own order of the page's text .866.
func TestPapersAreReadInOrder(t *testing.T) {
	t.Parallel()
	files := papers(t)
	e := newEngine(t, 0)
	sum := 0.0
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".pdf") + ".gt.txt")
		if err != nil {
			t.Fatal(err)
		}
		texts, _, err := extract(t.Context(), e, file)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		share := sharedRuns(string(want), strings.Join(texts, "\n"))
		if share < 0.7 {
			t.Errorf("%s: %.4f", filepath.Base(file), share)
		}
		sum += share
	}
	if mean := sum / float64(len(files)); mean < 0.95 {
		t.Errorf("mean = %.4f, want at least .95", mean)
	}
}

// TestPapersHaveTheirTitles compares with the publisher's titles. The files'
// own information has 23 of 30, nothing of use for 6 and a wrong one.
func TestPapersHaveTheirTitles(t *testing.T) {
	t.Parallel()
	files := papers(t)
	want := titles(t, filepath.Dir(files[0]))
	e := newEngine(t, 0)
	for _, file := range files {
		_, info, err := extract(t.Context(), e, file)
		if name := filepath.Base(file); err != nil || letterRuns(info.Title) != letterRuns(want[name]) {
			t.Errorf("%s: title %q, %v, want %q", name, info.Title, err, want[name])
		}
	}
}

// titles returns the titles by file that a folder's manifest tells.
func titles(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		var paper struct{ File, Title string }
		if err := json.Unmarshal([]byte(line), &paper); err != nil {
			tb.Fatal(err)
		}
		out[paper.File] = paper.Title
	}
	return out
}

// letterRuns is a text without case, space and punctuation.
func letterRuns(s string) string {
	return strings.Join(token.FindAllString(strings.ToLower(norm.NFKC.String(s)), -1), "")
}

var (
	lineEndHyphen = regexp.MustCompile(`([\p{L}\p{N}])[-‐‑]\s*([\p{L}\p{N}])`)
	token         = regexp.MustCompile(`[\p{L}\p{N}]+`)
)

// sharedRuns is the share of the runs of five words of want that got has.
func sharedRuns(want, got string) float64 {
	w, g := runs(want), runs(got)
	all, same := 0, 0
	for run, n := range w {
		all += n
		same += min(n, g[run])
	}
	return float64(same) / float64(max(1, all))
}

func runs(s string) map[string]int {
	s = strings.ToLower(norm.NFKC.String(strings.ReplaceAll(s, "\u00ad", "")))
	for range 2 { // a letter between two hyphens belongs to both matches
		s = lineEndHyphen.ReplaceAllString(s, "$1$2")
	}
	words := token.FindAllString(s, -1)
	count := map[string]int{}
	for i := 5; i <= len(words); i++ {
		count[strings.Join(words[i-5:i], " ")]++
	}
	return count
}

func BenchmarkPapers(b *testing.B) {
	files := papers(b)
	e, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	b.ReportAllocs()
	pages := 0
	for b.Loop() {
		for _, file := range files {
			if _, err := e.Extract(b.Context(), file, voiceassist.PageRange{}, func(voiceassist.Page) error { pages++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(pages)/b.Elapsed().Seconds(), "pages/s")
}
