package rag

import (
	"slices"
	"strings"
	"unicode"
)

// sentence is a run of text that ends where a reader would pause.
type sentence struct {
	Text       string
	Start, End int // code points of the text it was split from, half open
}

// splitSentences cuts text into sentences, in order, without the white space
// between them. A blank line always ends one. A full stop does not when it
// belongs to an abbreviation ("e.g.", "et al.", "Fig. 2"), a number or an
// initial ("J. Smith", "E. coli").
func splitSentences(text string) []sentence {
	runes := []rune(text)
	var found []sentence
	start := 0
	for i := 0; i < len(runes); i++ {
		end := sentenceEnd(runes, i)
		if end < 0 {
			continue
		}
		found = appendTrimmed(found, runes, start, end)
		start, i = end, end-1
	}
	return appendTrimmed(found, runes, start, len(runes))
}

func appendTrimmed(found []sentence, runes []rune, start, end int) []sentence {
	for start < end && unicode.IsSpace(runes[start]) {
		start++
	}
	for end > start && unicode.IsSpace(runes[end-1]) {
		end--
	}
	if start == end {
		return found
	}
	return append(found, sentence{Text: string(runes[start:end]), Start: start, End: end})
}

// sentenceEnd returns where the sentence ends that runes[i] ends, or -1.
func sentenceEnd(runes []rune, i int) int {
	switch runes[i] {
	case '\n':
		if next := skipSpace(runes, i+1); slices.Contains(runes[i+1:next], '\n') {
			return i + 1
		}
		return -1
	case '。', '！', '？':
		return i + 1
	case '.', '!', '?', '…':
	default:
		return -1
	}
	end := skipMarks(runes, i)
	if end < len(runes) && !unicode.IsSpace(runes[end]) {
		return -1
	}
	next := skipSpace(runes, end)
	if next == len(runes) {
		return end
	}
	if !opensSentence(runes[next]) || runes[i] == '.' && abbreviates(runes, i, next) {
		return -1
	}
	return end
}

func skipSpace(runes []rune, i int) int {
	for i < len(runes) && unicode.IsSpace(runes[i]) {
		i++
	}
	return i
}

// skipMarks returns the place after the stop at i and what clings to it:
// further stops, closing quotes and brackets, and reference numbers, which
// publishers set as "[3,4]" or bare behind a word ("disease.12 The").
func skipMarks(runes []rune, i int) int {
	j := i + 1
	for j < len(runes) && strings.ContainsRune(`.!?…"'”’»)]`, runes[j]) {
		j++
	}
	k := j
	if k < len(runes) && (runes[k] == '[' || i > 0 && unicode.IsLetter(runes[i-1]) && unicode.IsDigit(runes[k])) {
		for k < len(runes) && (unicode.IsDigit(runes[k]) || strings.ContainsRune("[],–-", runes[k])) {
			k++
		}
		if k == len(runes) || unicode.IsSpace(runes[k]) {
			return k
		}
	}
	return j
}

func opensSentence(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsTitle(r) || unicode.IsDigit(r) || unicode.Is(unicode.Lo, r) ||
		strings.ContainsRune(`"'“‘«([•–—-*`, r)
}

// abbreviates reports whether the full stop at i belongs to the word before
// it, given that the next word begins at next.
func abbreviates(runes []rune, i, next int) bool {
	start := i
	for start > 0 && (unicode.IsLetter(runes[start-1]) || runes[start-1] == '.' && start < i) {
		start--
	}
	word := string(runes[start:i])
	lower := strings.ToLower(word)
	switch {
	case abbreviations[lower]:
		return true
	case numberAbbreviations[lower]:
		return unicode.IsDigit(runes[next]) || runes[next] == '('
	case i-start == 1 && unicode.IsUpper(runes[start]):
		return !sentenceOpeners[strings.ToLower(wordAt(runes, next))]
	}
	return false
}

func wordAt(runes []rune, i int) string {
	end := i
	for end < len(runes) && unicode.IsLetter(runes[end]) {
		end++
	}
	return string(runes[i:end])
}

var (
	// abbreviations never end a sentence.
	abbreviations = wordSet(`al approx ca cf dr e.g eg i.e ie fig figs eq eqs mr mrs ms prof resp sp spp ssp subsp var viz vs st
		incl excl esp`)
	// numberAbbreviations do not when a number follows.
	numberAbbreviations = wordSet(`no nos vol vols p pp ref refs tab sec ch chap ed eds art suppl cat lot`)
	// sentenceOpeners are words that follow an initial only when it was the
	// last of its sentence ("hepatitis C. The virus …").
	sentenceOpeners = wordSet(`the a an this these that those it its they we our in on at for from with however although while when
		our as if both all there moreover furthermore further therefore thus patients participants results`)
)

func wordSet(list string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// whole reports whether s reads as a complete sentence rather than a heading,
// a table row or the torn half of one.
func whole(s string) bool {
	runes := []rune(strings.TrimRight(s, `"'”’»)]0123456789,–-[`))
	if len(runes) == 0 || !strings.ContainsRune(".!…。！", runes[len(runes)-1]) {
		return false
	}
	first := runes[0]
	return (opensSentence(first) || strings.ContainsRune(s, '。')) && len(strings.Fields(s)) >= minSentenceWords ||
		unicode.Is(unicode.Lo, first)
}

// minSentenceWords is the fewest words a sentence worth quoting has.
const minSentenceWords = 5
