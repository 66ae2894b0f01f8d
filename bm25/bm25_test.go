package bm25_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/voiceassist/backend/bm25"
)

func stems(text string) []string {
	var all []string
	for _, term := range bm25.Terms(text) {
		all = append(all, term.Stem)
	}
	return all
}

func TestTermsAreTheWordsThatTellTextsApart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{" \n\t.,;", ""},
		{"The patients were treated with antibiotics.", "patient treat antibiot"},
		{"What are the symptoms of Alzheimer's disease?", "symptom alzheim diseas"},
		{"COVID-19, 2.5 mg/kg", "covid 19 2 5 mg kg"},
		{"β-blockers and α2-agonists", "β blocker α2 agonist"},
		{"Ménière Ménière MENIERE", "menier menier menier"},
		{"ﬁbrosis ﬂuid", "fibrosi fluid"},
		{"anti\u00adbiotic", "antibiot"},
		{"２００ｍｇ", "200mg"},
		{"H₂O CO²", "h2o co2"},
		{"ГИПЕРТОНИЯ гипертония", "гипертония гипертония"},
		{"ارتفاع ضغط الدم", "ارتفاع ضغط الدم"},
		{"糖尿病", "糖尿 尿病"},
		{"癌", "癌"},
		{"2型糖尿病 type", "2 型糖 糖尿 尿病 type"},
		{"ビタミンB12", "ビタ タミ ミン b12"},
		{"ไข้", "ไข ข้"},
		{"WHO advises that NO or nitric oxide", "who advis no nitric oxid"},
		{"WHAT IS THE DOSE", "dose"},
		{"a A", ""},
		{"\xff\xfeabc\xff", "abc"},
		{strings.Repeat("x", 129), ""},
	} {
		if got := strings.Join(stems(test.text), " "); got != test.want {
			t.Errorf("Terms(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

func TestTermsSayWhereTheirWordsStand(t *testing.T) {
	t.Parallel()
	text := "Das Ödem: swelling of 糖尿病"
	var words []string
	for _, term := range bm25.Terms(text) {
		words = append(words, text[term.Start:term.End])
	}
	want := []string{"Das", "Ödem", "swelling", "糖尿", "尿病"}
	if diff := cmp.Diff(want, words); diff != "" {
		t.Errorf("words of Terms(%q) (-want +got):\n%s", text, diff)
	}
}

func TestDocumentWeighsTermsByBM25(t *testing.T) {
	t.Parallel()
	encoder := bm25.Encoder{K1: 1.2, B: 0.75, AvgLen: 4}
	indices, values := encoder.Document("fever and fever, cough") // three terms
	if !slices.IsSorted(indices) || len(indices) != 2 {
		t.Fatalf("Document indices = %v, want two ascending", indices)
	}
	norm := 1.2 * (1 - 0.75 + 0.75*3/4)
	for word, tf := range map[string]float64{"fever": 2, "cough": 1} {
		got := float64(values[slices.Index(indices, bm25.TermID(word))])
		want := tf * 2.2 / (tf + norm)
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("weight of %s = %v, want %v", word, got, want)
		}
	}
}

func TestQueryCountsTerms(t *testing.T) {
	t.Parallel()
	indices, values := bm25.Encoder{}.Query("fever, cough or fever?")
	got := make(map[uint32]float32)
	for i, index := range indices {
		got[index] = values[i]
	}
	want := map[uint32]float32{bm25.TermID("fever"): 2, bm25.TermID("cough"): 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Query (-want +got):\n%s", diff)
	}
}

func TestNegativeBLeavesLengthsOut(t *testing.T) {
	t.Parallel()
	encoder := bm25.Encoder{B: -1}
	_, short := encoder.Document("fever")
	_, long := encoder.Document("fever" + strings.Repeat(" cough", 50))
	if !slices.Contains(long, short[0]) {
		t.Errorf("weight of fever is %v in a short text and none of %v in a long one", short[0], long)
	}
}

// The numbers are in every stored vector: if this test fails, Profile must
// change.
func TestTermIDsNeverChange(t *testing.T) {
	t.Parallel()
	got := []uint32{bm25.TermID(""), bm25.TermID("fever"), bm25.TermID("糖尿"), bm25.TermID("b12")}
	want := []uint32{2872998923, 2837234268, 684675789, 2832691565}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("TermID (-want +got):\n%s", diff)
	}
}

func TestTermIDsOfEnglishMedicineDoNotClash(t *testing.T) {
	t.Parallel()
	names := make(map[uint32]string)
	clashes := 0
	for stem := range vocabulary(t) {
		id := bm25.TermID(stem)
		if other, taken := names[id]; taken && other != stem {
			clashes++
		}
		names[id] = stem
	}
	if len(names) < 10_000 || clashes > 3 {
		t.Errorf("%d clashes among %d stems, want at most 3 of 10,000 or more", clashes, len(names))
	}
}

// vocabulary is the stems of the articles in the shared test data.
func vocabulary(t *testing.T) map[string]struct{} {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(sharedData(t), "txt", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Skip("no shared test data: set SHARED_DATA")
	}
	all := make(map[string]struct{})
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, term := range bm25.Terms(string(content)) {
			all[term.Stem] = struct{}{}
		}
	}
	return all
}

func sharedData(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("SHARED_DATA"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "shared", "data")
}

func FuzzTerms(f *testing.F) {
	for _, seed := range []string{"", "The heart's β-blocker", "糖尿病 12", "\xff\u00adx", "NO ﬁ ２ e\u0301"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, term := range bm25.Terms(text) {
			if term.Stem == "" || term.Start >= term.End || term.End < end || term.End > len(text) {
				t.Fatalf("Terms(%q) has %+v after one that ends at %d", text, term, end)
			}
			if utf8.ValidString(text) && !utf8.ValidString(term.Stem) {
				t.Fatalf("Terms(%q) has invalid stem %q", text, term.Stem)
			}
			end = term.End
		}
		indices, values := bm25.Encoder{}.Document(text)
		if len(indices) != len(values) || !slices.IsSorted(indices) || len(slices.Compact(indices)) != len(values) {
			t.Fatalf("Document(%q) = %v, %v", text, indices, values)
		}
		for _, v := range values {
			if !(v > 0 && v < bm25.DefaultK1+1) {
				t.Fatalf("Document(%q) weighs %v", text, v)
			}
		}
	})
}

func BenchmarkDocument(b *testing.B) {
	text := strings.Repeat("Hypertension is treated with angiotensin-converting enzyme inhibitors. ", 25) // 200 words
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		bm25.Encoder{}.Document(text)
	}
}

func ExampleTerms() {
	text := "Does metformin lower blood sugar?"
	for _, term := range bm25.Terms(text) {
		fmt.Println(term.Stem, "from", text[term.Start:term.End])
	}
	// Output:
	// metformin from metformin
	// lower from lower
	// blood from blood
	// sugar from sugar
}

func ExampleEncoder() {
	indices, values := bm25.Encoder{}.Query("fever, chills or fever?")
	fmt.Println(len(indices), "terms, the second", values[1], "times")
	// Output: 2 terms, the second 2 times
}
