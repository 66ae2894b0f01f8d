package layout

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// paragraph is text that belongs together.
type paragraph struct {
	text string
	size float64
	rows bool
}

// paragraphs groups lines in reading order.
func paragraphs(lines []line, v vocabulary) []paragraph {
	var out []paragraph
	var prev line
	for i, l := range lines {
		if len(out) == 0 || starts(lines, i, prev) {
			out = append(out, paragraph{text: l.text, size: l.size, rows: l.rows})
		} else {
			last := &out[len(out)-1]
			last.text = v.join(last.text, l.text, l.rows)
		}
		prev = l
	}
	return out
}

// starts reports whether line i starts a paragraph rather than going on with
// the one that ends in prev.
func starts(lines []line, i int, prev line) bool {
	l := lines[i]
	switch {
	case l.rows != prev.rows:
		return true
	case abs(l.size-prev.size) > 0.08*max(l.size, prev.size):
		return true
	case l.bold != prev.bold && startsCapital(l.text) && (ended(prev.text) || prev.short()):
		return true
	case l.left != prev.left || l.right != prev.right || l.base < prev.base:
		return !goesOn(prev, l)
	case l.rows:
		return false
	}
	gap := l.base - prev.base
	em := l.size
	switch {
	case gap > 1.25*l.leading+0.1*em:
		return true
	case listItem(l.words, prev) || leaders.MatchString(prev.text):
		return true
	case indented(lines, i) && ended(prev.text):
		return true
	case prev.short() && ended(prev.text):
		return true
	}
	return false
}

// short reports whether a line ends well before the right edge of its region.
func (l *line) short() bool { return l.x1 < l.right-0.15*(l.right-l.left) }

// leaders match the end of a line of a table of contents.
var leaders = regexp.MustCompile(`(\. ?){5,}\s*[\dA-Za-z.–-]{0,8}$`)

var (
	bullet   = regexp.MustCompile(`^[•●○◦▪■□▶►‣⁃∙·*–—-]$`)
	numbered = regexp.MustCompile(`^(\d{1,3}[.)]|\[\d{1,3}\]|\(?[a-z0-9]{1,3}\)|[A-Za-z]\.|\d{1,2}(\.\d{1,2}){1,3}\.?)$`)
)

// listItem reports whether a line starts with the bullet or number of a list. A
// number may open any line of a text, so the line before has to have ended a
// sentence, or early.
func listItem(words []word, prev line) bool {
	switch {
	case len(words) < 2:
		return false
	case bullet.MatchString(words[0].text):
		return words[1].x0-words[0].x1 > 0.25*words[0].size
	case numbered.MatchString(words[0].text):
		return ended(prev.text) || prev.x1 < prev.right-2*prev.size
	}
	return false
}

// indented reports whether line i starts to the right of the lines around it.
func indented(lines []line, i int) bool {
	l := lines[i]
	in := func(o line) bool { return o.left == l.left && l.x0-o.x0 > 0.6*l.size && l.x0-o.x0 < 5*l.size }
	if i > 0 && !in(lines[i-1]) {
		return false
	}
	return i+1 >= len(lines) || lines[i+1].left != l.left || in(lines[i+1])
}

// goesOn reports whether a line in another region goes on with the sentence
// that prev leaves open.
func goesOn(prev, l line) bool {
	return open(prev.text) && !startsCapital(l.text) || hyphenated(prev.text) && startsLower(l.text)
}

// resume puts a paragraph that was interrupted by a caption, a footnote or a
// table back together: what interrupted it goes after it.
func resume(ps []paragraph, v vocabulary) []paragraph {
	const reach = 6
	for i := 0; i < len(ps); i++ {
		p := &ps[i]
		if p.rows || utf8.RuneCountInString(p.text) < 60 || !open(p.text) {
			continue
		}
		for j := i + 1; j < min(len(ps), i+1+reach); j++ {
			if q := ps[j]; !q.rows && abs(q.size-p.size) < 0.04*p.size && startsLower(q.text) && utf8.RuneCountInString(q.text) > 20 {
				p.text = v.join(p.text, q.text, false)
				ps = append(ps[:j], ps[j+1:]...)
				i--
				break
			}
		}
	}
	return ps
}

// dots match the dots that lead the eye to a page number.
var dots = regexp.MustCompile(`(\. ?){5,}`)

// texts returns the paragraphs as they are stored.
func texts(ps []paragraph) []string {
	out := make([]string, 0, len(ps))
	for _, p := range ps {
		if s := strings.TrimSpace(dots.ReplaceAllString(p.text, "… ")); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ended reports whether a text ends as a sentence does.
func ended(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(strings.TrimRight(s, ")]}\"'”’»0123456789,–- "))
	return strings.ContainsRune(".!?:;。！？।", r)
}

// open reports whether a text ends in the middle of a sentence.
func open(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return !strings.ContainsRune(".!?:。！？।", r) && !(unicode.IsDigit(r) && ended(s))
}

func startsLower(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLower(r)
}

func startsCapital(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) || unicode.IsDigit(r)
}
