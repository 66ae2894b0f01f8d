// Package prose finds paragraphs, headings and sentences in text as it is
// stored: paragraphs separated by an empty line. It works on byte offsets, so
// that what it finds can be told by position, and on the conventions of
// scientific English; other scripts are split at their own full stops.
package prose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is the half-open range of bytes [Start, End) of a text.
type Span struct{ Start, End int }

// In returns the part of text that the span stands for.
func (s Span) In(text string) string { return text[s.Start:s.End] }

// Len returns the span's length in bytes.
func (s Span) Len() int { return s.End - s.Start }

// Paragraphs returns the spans between empty lines, in order, without the
// white space around them.
func Paragraphs(text string) []Span {
	var spans []Span
	for at := 0; at < len(text); {
		end, next := blankLine(text, at)
		if s := trim(text, Span{at, end}); s.Len() > 0 {
			spans = append(spans, s)
		}
		at = next
	}
	return spans
}

// blankLine returns where the paragraph at from ends and where the search for
// the next one goes on.
func blankLine(text string, from int) (end, next int) {
	for at := from; ; {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text), len(text)
		}
		line := at + i + 1
		rest := strings.TrimLeft(text[line:], " \t\r")
		if rest == "" {
			return at + i, len(text)
		}
		if rest[0] == '\n' {
			return at + i, len(text) - len(rest) + 1
		}
		at = line
	}
}

func trim(text string, s Span) Span {
	part := s.In(text)
	left := len(part) - len(strings.TrimLeftFunc(part, unicode.IsSpace))
	right := len(strings.TrimRightFunc(part, unicode.IsSpace))
	if right <= left {
		return Span{s.Start, s.Start}
	}
	return Span{s.Start + left, s.Start + right}
}

// maxSentence is where a run without a full stop (a table, a list of names) is
// cut, in bytes, at the nearest white space.
const maxSentence = 1200

// Sentences returns the sentences of text, in order, without the white space
// between them. A paragraph's end always ends a sentence.
func Sentences(text string) []Span {
	var spans []Span
	for _, p := range Paragraphs(text) {
		for start := p.Start; start < p.End; {
			end := sentenceEnd(text[:p.End], start)
			if s := trim(text, Span{start, end}); s.Len() > 0 {
				spans = append(spans, s)
			}
			start = end
		}
	}
	return spans
}

// sentenceEnd returns the end of the sentence that begins at start.
func sentenceEnd(text string, start int) int {
	for i, r := range text[start:] {
		at := start + i
		switch {
		case r == '.' || r == '!' || r == '?':
			if end := afterClosers(text, at+1); endsSentence(text, start, at, end) {
				return end
			}
		case r == '。' || r == '！' || r == '？' || r == '।' || r == '؟' || r == '۔':
			return afterClosers(text, at+utf8.RuneLen(r))
		case r == '\n' && beginsItem(text[at+1:]):
			return at + 1
		case i >= maxSentence && unicode.IsSpace(r):
			return at
		}
	}
	return len(text)
}

// afterClosers skips what belongs to a full stop: quotes and brackets that it
// closes, and the reference marks that journals set behind it ("study.[12]",
// "study.1,2").
func afterClosers(text string, at int) int {
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if !strings.ContainsRune(`"')]}”’»」』）.!?`, r) {
			break
		}
		at += n
	}
	if at < len(text) && text[at] == '[' {
		if end := strings.IndexByte(text[at:], ']'); end > 0 && end < 24 && strings.Trim(text[at+1:at+end], "0123456789,–- ") == "" {
			at += end + 1
		}
	}
	return at
}

// endsSentence reports whether the mark at dot, whose sentence would end at
// end, is a full stop: white space and something that can begin a sentence
// follow, and the word before is no abbreviation, initial or numbering.
func endsSentence(text string, start, dot, end int) bool {
	if end >= len(text) {
		return true
	}
	next, n := utf8.DecodeRuneInString(text[end:])
	if !unicode.IsSpace(next) {
		return false
	}
	after := strings.TrimLeftFunc(text[end+n:], unicode.IsSpace)
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(after, `"'([{“‘«`))
	if unicode.IsLower(first) {
		return false
	}
	if text[dot] != '.' || end > dot+1 {
		return true
	}
	word := lastWord(text[start:dot])
	switch {
	case word == "":
		return true
	case abbreviations[strings.ToLower(word)]:
		return false
	case utf8.RuneCountInString(word) == 1 && unicode.IsUpper([]rune(word)[0]):
		return false // an initial
	case unicode.IsDigit(first) && numberTakers[strings.ToLower(word)]:
		return false // "Fig. 3", "No. 4"
	case len(word) <= 3 && strings.Trim(word, "0123456789") == "" && strings.TrimSpace(text[start:dot]) == word:
		return false // the numbering of a heading or an item: "2. Methods"
	}
	return true
}

// lastWord returns the run of letters, digits and inner dots that s ends with.
func lastWord(s string) string {
	i := strings.LastIndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.'
	})
	return s[i+1:]
}

// beginsItem reports whether a line begins an item of a list.
func beginsItem(line string) bool {
	line = strings.TrimLeft(line, " \t")
	for _, mark := range []string{"- ", "* ", "• ", "– ", "‣ ", "▪ "} {
		if strings.HasPrefix(line, mark) {
			return true
		}
	}
	digits := len(line) - len(strings.TrimLeft(line, "0123456789"))
	return digits > 0 && digits <= 3 && (strings.HasPrefix(line[digits:], ". ") || strings.HasPrefix(line[digits:], ") "))
}

// abbreviations never end a sentence, in lower case and without their last dot.
var abbreviations = set(
	"e.g", "i.e", "eg", "ie", "cf", "viz", "vs", "v.s", "ca", "approx", "al", "resp", "incl", "excl", "esp",
	"dr", "prof", "mr", "mrs", "ms", "st", "jr", "sr", "ph.d", "m.d", "dept", "univ", "inc", "ltd", "corp",
	"fig", "figs", "eq", "eqs", "ref", "refs", "tab", "sec", "vol", "pp", "ed", "eds", "suppl", "ser", "nos",
	"sp", "spp", "subsp", "var", "gen", "nov", "i.v", "i.p", "s.c", "i.m", "p.o", "b.i.d", "t.i.d", "q.i.d", "a.m", "p.m",
	"u.s", "u.k", "wt", "vol", "temp", "max", "min", "avg", "std", "conc", "aq", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "dec",
)

// numberTakers are abbreviations only in front of a number.
var numberTakers = set("no", "p", "n", "art", "ch", "chap", "par")

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}
