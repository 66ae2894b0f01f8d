package pdfium

import (
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// junkTitle matches what programs write where nobody gave a title.
var junkTitle = regexp.MustCompile(`(?i)^(untitled.*|(microsoft )?(word|powerpoint|excel)( document)?( ?- ?.*)?|(new )?document ?\d*|title|no title|slide \d+|layout \d+|print|full ?page photo|pii: ?.*|doi: ?.*|.* \d+\.\.\d+|.*\.(docx?|pdf|tex|dvi|indd|qxd|qxp|rtf|txt|xlsx?|pptx?|ps|eps|odt|fm|p65|3d|xml|html?))$`)

// title returns the title that a file claims, or "" when it is none: a file
// name, a program's filler, a number.
func title(s, path string) string {
	s = oneLine(s)
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if junkTitle.MatchString(s) || strings.EqualFold(s, stem) || letters(s) < 4 || !strings.Contains(s, " ") && strings.ContainsAny(s, "_/\\0123456789") {
		return ""
	}
	return s
}

// says reports whether a text has most of the words of a title. It has not those
// of none.
func says(text, title string) bool {
	text = strings.ToLower(text)
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	n := 0
	for _, w := range words {
		if strings.Contains(text, w) {
			n++
		}
	}
	return n*2 > len(words)
}

// junkAuthor matches accounts that are nobody's name.
var junkAuthor = regexp.MustCompile(`(?i)^(user|admin(istrator)?|author|owner|unknown|anonymous|root|default|none|n/?a|pc|test|windows user|microsoft office user)$`)

func author(s string) string {
	s = oneLine(s)
	if junkAuthor.MatchString(s) || letters(s) < 2 {
		return ""
	}
	return s
}

func letters(s string) (n int) {
	for _, r := range s {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

// oneLine drops control characters and joins runs of space.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
