package rag

import (
	"strings"
	"testing"
	"unicode/utf8"
)

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
