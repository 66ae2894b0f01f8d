package prose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Headings are short. These bounds hold for the section titles of journals and
// of guidelines; what is longer is a sentence.
const (
	maxHeadingWords = 14
	maxHeadingRunes = 110
)

// IsHeading reports whether a paragraph reads as the title of a section: one
// short line that begins with a capital or a number, has no full stop, and is
// mostly letters.
func IsHeading(paragraph string) bool {
	if strings.Contains(paragraph, "\n") || utf8.RuneCountInString(paragraph) > maxHeadingRunes {
		return false
	}
	if len(strings.Fields(paragraph)) > maxHeadingWords {
		return false
	}
	first, _ := utf8.DecodeRuneInString(paragraph)
	last, _ := utf8.DecodeLastRuneInString(paragraph)
	if !unicode.IsUpper(first) && !unicode.IsDigit(first) || strings.ContainsRune(".,;!=", last) {
		return false
	}
	letters, others := 0, 0
	for _, r := range paragraph {
		switch {
		case unicode.IsLetter(r):
			letters++
		case !unicode.IsSpace(r):
			others++
		}
	}
	return letters >= 3 && letters > 3*others
}
