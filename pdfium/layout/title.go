package layout

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Title returns the title that the first page of a document shows: what is set
// in the largest type of its upper half, names of journals, kinds of article
// and logos aside. It is 15–300 code points in three words or more, or "" where
// nothing is sure to be a title. Running heads tell which is the journal's name,
// so Title is asked before the page is added to a Document.
func (p *Page) Title() string {
	if len(p.layers) == 0 {
		return ""
	}
	var lines []line
	for _, r := range readingOrder(p.layers[0]) {
		lines = append(lines, r.lines()...)
	}
	text := medianSize(p.layers[0])
	found := headlines(lines)
	slices.SortStableFunc(found, func(a, b headline) int { return cmp.Compare(b.size, a.size) })
	larger, words := 1.15, 3
	for _, h := range found {
		switch {
		case h.size < larger*text:
			return ""
		case masthead.MatchString(h.text) || cited(lines, h.text):
			continue
		case titled(h.text, words):
			return h.text
		}
		larger, words = 1.3, 5 // h was a logo, or a short title above the names of its authors
	}
	return ""
}

// headline is lines of one size, one below the other.
type headline struct {
	text string
	size float64
}

// headlines returns those of the upper half of a page, in reading order.
func headlines(lines []line) []headline {
	middle := middleOf(lines)
	var out []headline
	var prev line
	for _, l := range lines {
		if l.base > middle || !even(l) || kind.MatchString(squeezed(l.text)) {
			continue
		}
		if last := len(out) - 1; last >= 0 && continues(prev, l) {
			out[last].text = joinTitle(out[last].text, l.text)
		} else {
			out = append(out, headline{text: l.text, size: l.size})
		}
		prev = l
	}
	for i := range out {
		out[i].text = strings.TrimRight(out[i].text, " *∗†‡§¶")
	}
	return out
}

// middleOf is the height halfway between the first base line and the last.
func middleOf(lines []line) float64 {
	top, bottom := lines[0].base, lines[0].base
	for _, l := range lines {
		top, bottom = min(top, l.base), max(bottom, l.base)
	}
	return (top + bottom) / 2
}

// even reports whether most words of a line are of its size: not so where it
// has a drop cap or a logo.
func even(l line) bool {
	n := 0
	for _, w := range l.words {
		if w.size > 0.9*l.size {
			n++
		}
	}
	return n*2 > len(l.words)
}

// continues reports whether a headline that ends in prev goes on in l.
func continues(prev, l line) bool {
	const widest = 1.9 // from line to line, in ems
	gap := l.base - prev.base
	return abs(l.size-prev.size) < 0.04*l.size && gap > 0 && gap < widest*l.size &&
		!(l.bold && !anyBold(prev) || prev.bold && !anyBold(l))
}

func anyBold(l line) bool {
	return slices.ContainsFunc(l.words, func(w word) bool { return w.bold })
}

// joinTitle adds a line to a title. Words of a title are not split: a hyphen
// at the end of its line is that of a compound.
func joinTitle(text, next string) string {
	if hyphenated(text) {
		return text + next
	}
	return vocabulary(nil).join(text, next, false)
}

var (
	// kind matches what journals print above a title, without its spaces: some
	// set it letter by letter.
	kind = regexp.MustCompile(`(?i)^((original|research|review|reviewed|mini|full|length|short|brief|rapid|case|clinical|trial|study|protocol|technical|data|systematic|invited|nano|regular|special|article|paper|report|communication|note|series|letter|editorial|commentary|perspective|opinion|guideline|statement|investigation|contribution|featured|peer|open|access|free)s?|[^\p{L}])+$`)
	// masthead matches the names of journals and what stands around them.
	masthead = regexp.MustCompile(`(?i)\b(journal|annals|archives|proceedings|transactions|bulletin|frontiers in|issn|volume|et al|doi|homepage|available (at|online)|https?:|www\.)|[®™©@]`)
	// figuresAfter matches what follows the name of a journal in a reference.
	figuresAfter = regexp.MustCompile(`^[\s,.;:(]*\d`)
	// section matches the number of a heading.
	section = regexp.MustCompile(`^(\d+(\.\d+)*|[IVX]+)\.?\s`)
)

func squeezed(s string) string { return strings.ReplaceAll(s, " ", "") }

// cited reports whether one of the lines has the text with a volume or a year
// after it, as the name of a journal has.
func cited(lines []line, text string) bool {
	return slices.ContainsFunc(lines, func(l line) bool {
		_, after, ok := strings.Cut(l.text, text)
		return ok && figuresAfter.MatchString(after)
	})
}

// titled reports whether a text may be a title of at least so many words.
func titled(s string, words int) bool {
	letters := 0
	for _, r := range s {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	n := utf8.RuneCountInString(s)
	return n >= 15 && n <= 300 && letters*3 > n*2 && len(strings.Fields(s)) >= words &&
		!section.MatchString(s) && !strings.ContainsAny(s, "*∗⇤†‡§¶") // those mark authors
}
