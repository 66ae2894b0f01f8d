package layout

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// join adds the next line of a paragraph to it.
func (v vocabulary) join(text, next string, rows bool) string {
	last, _ := utf8.DecodeLastRuneInString(text)
	first, _ := utf8.DecodeRuneInString(next)
	switch {
	case rows:
		return text + "\n" + next
	case hyphenated(text) && unicode.IsLower(first) && !v.compound(text, next):
		return cutHyphen(text) + next
	case hyphenated(text):
		return text + next
	case ideographic(last) && ideographic(first):
		return text + next
	}
	return text + " " + next
}

// hyphenated reports whether a text ends in a hyphen after a letter or digit.
func hyphenated(s string) bool {
	cut := cutHyphen(s)
	if cut == s {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(cut)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func cutHyphen(s string) string {
	for _, h := range []string{"-", "\u00ad", "\u2010", "\u2011"} {
		if cut, ok := strings.CutSuffix(s, h); ok {
			return cut
		}
	}
	return s
}

// ideographic reports whether r belongs to a script that is written without
// spaces.
func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef
}
