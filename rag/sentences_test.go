package rag

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSentencesEndWhereAReaderPauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"One two. Three four.", []string{"One two.", "Three four."}},
		{"Shown by Smith et al. in 2010. It held, e.g. in mice.", []string{"Shown by Smith et al. in 2010.", "It held, e.g. in mice."}},
		{"See Fig. 2 and Dr. House. Next.", []string{"See Fig. 2 and Dr. House.", "Next."}},
		{"The dose was 3.5 mg. No. 5 was best.", []string{"The dose was 3.5 mg.", "No. 5 was best."}},
		{"The answer is no. The rest is silence.", []string{"The answer is no.", "The rest is silence."}},
		{"J. Smith grew E. coli and S. Aureus. They died.", []string{"J. Smith grew E. coli and S. Aureus.", "They died."}},
		{"It was hepatitis C. The virus spread.", []string{"It was hepatitis C.", "The virus spread."}},
		{"A drug vs. Placebo trial. Done?  Yes!", []string{"A drug vs. Placebo trial.", "Done?", "Yes!"}},
		{"It is known.[3,4] Later it was not.12 Then (so.) It ended.", []string{"It is known.[3,4]", "Later it was not.12", "Then (so.)", "It ended."}},
		{"A heading\n\nA sentence over\ntwo lines. More.", []string{"A heading", "A sentence over\ntwo lines.", "More."}},
		{"血压下降。没有副作用。", []string{"血压下降。", "没有副作用。"}},
		{"i.e. nothing ends here", []string{"i.e. nothing ends here"}},
		{"", nil},
		{" \n\n ", nil},
	} {
		var got []string
		for _, s := range splitSentences(c.text) {
			got = append(got, s.Text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("splitSentences(%q): %s", c.text, diff)
		}
	}
}

func FuzzSentencesKeepTheirPlaces(f *testing.F) {
	f.Add("One. Two.\n\nThree é. Ünder α. \xff [1] end")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "")
		runes := []rune(text)
		last := 0
		for _, s := range splitSentences(text) {
			if s.Start < last || s.End <= s.Start || s.End > utf8.RuneCountInString(text) {
				t.Fatalf("[%d:%d) after %d of %q", s.Start, s.End, last, text)
			}
			if string(runes[s.Start:s.End]) != s.Text {
				t.Fatalf("[%d:%d) of %q is not %q", s.Start, s.End, text, s.Text)
			}
			last = s.End
		}
	})
}

func TestWholeTellsSentencesFromHeadings(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"The treatment lowered blood pressure in rats.":       true,
		"The treatment lowered blood pressure in rats [3].":   true,
		"The treatment lowered blood pressure in rats.12":     true,
		"“The treatment lowered blood pressure,” they wrote.": true,
		"Materials and methods":                               false,
		"lowered blood pressure in rats by a third.":          false,
		"The treatment lowered blood pressure in":             false,
		"Results.": false,
	} {
		if whole(s) != want {
			t.Errorf("whole(%q) = %v", s, !want)
		}
	}
}
