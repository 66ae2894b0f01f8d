package prose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSentence is where a run without a full stop (a table, a list of names) is
// cut, in bytes, at the nearest white space.
const maxSentence = 1200

// Sentences returns the sentences of text, in order, without the white space
// between them. A paragraph's end always ends a sentence, and so does the line
// before an item of a list. A full stop does not when it belongs to an
// abbreviation ("e.g.", "Fig. 2"), a number or an initial ("J. Smith",
// "E. coli"). The time taken is linear in the length of text.
func Sentences(text string) []Span {
	var spans []Span
	for _, p := range Paragraphs(text) {
		for start := p.Start; start < p.End; {
			end := sentenceEnd(text[:p.End], start)
			s := trim(text, Span{start, end})
			if s.Len() > 0 {
				spans = append(spans, s)
			}
			start = skipSpace(text[:p.End], end)
		}
	}
	return spans
}

// sentenceEnd returns the end of the sentence that begins at start.
func sentenceEnd(text string, start int) int {
	for at := start; at < len(text); {
		r, n := utf8.DecodeRuneInString(text[at:])
		next := at + n
		switch {
		case strings.ContainsRune("。！？।؟۔", r):
			return skipClosers(text, next)
		case strings.ContainsRune(".!?…", r):
			closed := skipClosers(text, next)
			end := skipReferences(text, at, closed)
			if endsSentence(text, Span{start, at}, Span{next, closed}, end) {
				return end
			}
			next = closed // another stop among the closers ends no more than this one
		case r == '\n' && beginsItem(text[next:]):
			return next
		case at-start >= maxSentence && unicode.IsSpace(r), at-start >= 4*maxSentence:
			return at
		}
		at = next
	}
	return len(text)
}

// skipClosers skips what clings to a stop: further stops, and the quotes and
// brackets that it closes.
func skipClosers(text string, at int) int {
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if !strings.ContainsRune(`"')]}”’»」』）.!?…`, r) {
			break
		}
		at += n
	}
	return at
}

// maxReferences is the longest reference mark, in bytes.
const maxReferences = 24

// skipReferences skips the reference marks that journals set behind a stop:
// "study.[1,2] The", "study.12–14 The". A bare number is one only behind a
// word, else "0.05" would end a sentence.
func skipReferences(text string, stop, at int) int {
	before, _ := utf8.DecodeLastRuneInString(text[:stop])
	if at >= len(text) || text[at] != '[' && !unicode.IsLetter(before) {
		return at
	}
	rest := text[at:min(len(text), at+maxReferences)]
	marks := len(rest) - len(strings.TrimLeft(rest, "[0123456789,–-]"))
	if next, _ := utf8.DecodeRuneInString(text[at+marks:]); at+marks == len(text) || unicode.IsSpace(next) {
		return at + marks
	}
	return at
}

func skipSpace(text string, at int) int {
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if !unicode.IsSpace(r) {
			break
		}
		at += n
	}
	return at
}

// endsSentence reports whether a stop, of the sentence that said is what came
// before it, closers what clings to it and end what would be its end, is a
// full stop: white space and something that can begin a sentence follow, and
// the word before is no abbreviation, initial or numbering.
func endsSentence(text string, said, closers Span, end int) bool {
	if end >= len(text) {
		return true
	}
	next := skipSpace(text, end)
	if next == end {
		return false
	}
	after := strings.TrimLeft(text[next:min(len(text), next+longestWord)], `"'([{“‘«`)
	first, _ := utf8.DecodeRuneInString(after)
	if unicode.IsLower(first) {
		return false
	}
	if text[said.End] != '.' || strings.ContainsAny(closers.In(text), ".!?…") {
		return true
	}
	return !abbreviated(said.In(text), after)
}

// longestWord is how much of a text is looked at to know a word, in bytes.
const longestWord = 40

// abbreviated reports whether the full stop after said belongs to the last word
// of it, given what follows.
func abbreviated(said, after string) bool {
	word := lastWord(said)
	lower := strings.ToLower(word)
	first, _ := utf8.DecodeRuneInString(after)
	initial, n := utf8.DecodeRuneInString(word)
	switch {
	case word == "":
		return false
	case abbreviations[lower]:
		return true
	case doubtful[lower] || n == len(word) && unicode.IsUpper(initial):
		return !openers[strings.ToLower(firstWord(after))]
	case numberTakers[lower]:
		return unicode.IsDigit(first)
	}
	// The numbering of a heading or an item: "2. Methods".
	return len(word) <= 3 && len(word) == len(said) && strings.Trim(word, "0123456789") == ""
}

// lastWord returns the run of letters, digits and inner dots that s ends with,
// "" if that is too long for a word.
func lastWord(s string) string {
	from := max(0, len(s)-longestWord)
	i := strings.LastIndexFunc(s[from:], func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.'
	})
	if i < 0 && from > 0 {
		return ""
	}
	if i < 0 {
		return s
	}
	_, n := utf8.DecodeRuneInString(s[from+i:])
	return s[from+i+n:]
}

// firstWord returns the letters that s begins with.
func firstWord(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		return s
	}
	return s[:end]
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
