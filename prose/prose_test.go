package prose

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSentencesEndWhereAReaderWouldEndThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"plain", "Aspirin helps. It thins the blood! Does it?", []string{"Aspirin helps.", "It thins the blood!", "Does it?"}},
		{"abbreviations with dots", "It held, e.g. in mice. i.e. nothing ended.", []string{"It held, e.g. in mice. i.e. nothing ended."}},
		{"et al. before an opener", "It was done by Smith et al. The samples were kept.", []string{"It was done by Smith et al.", "The samples were kept."}},
		{"in brackets", "It was known (Smith et al.) Aspirin or not.", []string{"It was known (Smith et al.) Aspirin or not."}},
		{"minutes", "It was heated for 30 min. The flask was closed.", []string{"It was heated for 30 min.", "The flask was closed."}},
		{"vitamins", "It was hepatitis C. The virus spread.", []string{"It was hepatitis C.", "The virus spread."}},
		{"species", "J. Smith grew E. coli and S. Aureus. They died.", []string{"J. Smith grew E. coli and S. Aureus.", "They died."}},
		{"number in front", "The dose was 3.5 mg. No. 5 was best.", []string{"The dose was 3.5 mg.", "No. 5 was best."}},
		{"bare reference marks", "Later it was not.12 Then (so.) It ended.3–5", []string{"Later it was not.12", "Then (so.)", "It ended.3–5"}},
		{"two lines", "A heading\n\nA sentence over\ntwo lines. More.", []string{"A heading", "A sentence over\ntwo lines.", "More."}},
		{"an ellipsis of one sign", "It went on… Then it stopped.", []string{"It went on…", "Then it stopped."}},
		{"a price", "It cost 5. 3 of them paid.", []string{"It cost 5.", "3 of them paid."}},
		{"abbreviations", "Smith et al. Found nothing, e.g. Aspirin vs. Placebo.", []string{"Smith et al. Found nothing, e.g. Aspirin vs. Placebo."}},
		{"figure", "See Fig. 3 and No. 4 for it. The answer is no. Patients left.", []string{"See Fig. 3 and No. 4 for it.", "The answer is no.", "Patients left."}},
		{"decimals", "The dose was 2.5 mg. It worked.", []string{"The dose was 2.5 mg.", "It worked."}},
		{"initials", "J. Smith wrote it. K. Jones read it.", []string{"J. Smith wrote it.", "K. Jones read it."}},
		{"reference marks", "It was shown.[12] Others agree.[3,4] Yes.", []string{"It was shown.[12]", "Others agree.[3,4]", "Yes."}},
		{"quotes", "He said “stop.” Then he left.", []string{"He said “stop.”", "Then he left."}},
		{"ellipsis", "It went on... Then it stopped.", []string{"It went on...", "Then it stopped."}},
		{"numbering", "2. Methods were used. 3. Results came.", []string{"2. Methods were used.", "3. Results came."}},
		{"lower case goes on", "The p. falciparum strain grew.", []string{"The p. falciparum strain grew."}},
		{"paragraphs", "Results\n\nWe found it.", []string{"Results", "We found it."}},
		{"list", "Take:\n- one pill\n- two pills", []string{"Take:", "- one pill", "- two pills"}},
		{"chinese", "头痛很常见。多喝水！", []string{"头痛很常见。", "多喝水！"}},
		{"empty", " \n\n ", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range Sentences(c.text) {
				got = append(got, s.In(c.text))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("Sentences(%q) differs (-want +got):\n%s", c.text, d)
			}
		})
	}
}

func TestSentencesAreCutWhereNoFullStopComes(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("word ", 2000)
	for _, s := range Sentences(text) {
		if s.Len() > maxSentence+10 {
			t.Errorf("a sentence of %d bytes, want at most about %d", s.Len(), maxSentence)
		}
	}
}

// TestSplittingIsLinear splits texts that once made it look at the same bytes
// again and again: 2 MB would take it hours.
func TestSplittingIsLinear(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{".", ".x", ". ", "\n", "\n ", "a", "a.[", "a. ", "A. ", "!)", "é", "\n1. ", "e.g. ", "…x", "\xff", "\r\n", "1.", ". a"} {
		text := strings.Repeat(unit, (2<<20)/len(unit))
		begun := time.Now()
		Sentences(text)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("2 MB of %q took %s", unit, took)
		}
	}
}

func BenchmarkSentences(b *testing.B) {
	text := strings.Repeat("The dose was 2.5 mg (Fig. 3). It worked in E. coli, e.g. strain K-12.[4,5]\n\n", 1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Sentences(text)
	}
}

func TestParagraphsAreSeparatedByEmptyLinesOnly(t *testing.T) {
	t.Parallel()
	text := "one\nline two\r\n \r\nthree\n\n\n\nfour\n"
	var got []string
	for _, p := range Paragraphs(text) {
		got = append(got, p.In(text))
	}
	if d := cmp.Diff([]string{"one\nline two", "three", "four"}, got); d != "" {
		t.Errorf("Paragraphs differs (-want +got):\n%s", d)
	}
}

func TestHeadingsAreToldFromSentences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Materials and Methods":              true,
		"2.1 Study population":               true,
		"How is asthma diagnosed?":           true,
		"The patients were treated at home.": false,
		"and then it went on":                false,
		"12.5 ± 3.1  14.2 ± 2.0":             false,
		"A line\nand another":                false,
		strings.Repeat("Word ", 30):          false,
	} {
		if got := IsHeading(text); got != want {
			t.Errorf("IsHeading(%q) = %v, want %v", text, got, want)
		}
	}
}

// FuzzSentences: whatever the text, the sentences come in order, do not
// overlap, lie on the bounds of code points, and leave out nothing but space.
func FuzzSentences(f *testing.F) {
	f.Add("A. B.\n\nC e.g. d.[1] “E.” 好。")
	f.Add("\xff.\xfe \n\n\r.")
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		for _, s := range Sentences(text) {
			if s.Start < at || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("span %v after %d in %q", s, at, text)
			}
			if left := strings.TrimSpace(text[at:s.Start]); left != "" {
				t.Fatalf("%q is in no sentence of %q", left, text)
			}
			if utf8.ValidString(text) && !utf8.ValidString(s.In(text)) {
				t.Fatalf("span %v of %q cuts a code point", s, text)
			}
			at = s.End
		}
		if left := strings.TrimSpace(text[at:]); left != "" {
			t.Fatalf("%q is in no sentence of %q", left, text)
		}
	})
}
