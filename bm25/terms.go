package bm25

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
	"golang.org/x/text/unicode/norm"
)

// Term is a word of a text as the index knows it.
type Term struct {
	Stem  string // folded and stemmed; never empty
	Start int    // where the word begins in the text, bytes, inclusive
	End   int    // where it ends, bytes, exclusive
}

// maxWord is the longest word kept, in bytes. Longer runs are data (base64,
// sequences), which nobody searches for whole.
const maxWord = 128

// Terms returns the terms of text in reading order. A word is a run of letters
// and digits, compared without case, accents and ligatures; words of ASCII
// letters are stemmed as English. English stop words are no terms, but NO, OR
// and WHO in capitals are, unless all the text is. Scripts written without
// spaces give one term for each two neighbouring characters.
func Terms(text string) []Term {
	var terms []Term
	shouted := !strings.ContainsFunc(text, unicode.IsLower)
	for start := 0; start < len(text); {
		r, size := utf8.DecodeRuneInString(text[start:])
		switch {
		case unspaced(r):
			end := scan(text, start, unspaced)
			terms = appendPairs(terms, text, start, end)
			start = end
		case begins(r):
			end := scan(text, start, continues)
			if stem := stemOf(text[start:end], shouted); stem != "" {
				terms = append(terms, Term{Stem: stem, Start: start, End: end})
			}
			start = end
		default:
			start += size
		}
	}
	return terms
}

func scan(text string, start int, in func(rune) bool) int {
	for i, r := range text[start:] {
		if !in(r) {
			return start + i
		}
	}
	return len(text)
}

// appendPairs appends the pairs of neighbouring characters of text[start:end],
// or the character itself when it is alone.
func appendPairs(terms []Term, text string, start, end int) []Term {
	_, size := utf8.DecodeRuneInString(text[start:end])
	if start+size == end {
		return append(terms, Term{Stem: fold(text[start:end]), Start: start, End: end})
	}
	for start+size < end {
		_, next := utf8.DecodeRuneInString(text[start+size : end])
		stop := start + size + next
		terms = append(terms, Term{Stem: fold(text[start:stop]), Start: start, End: stop})
		start, size = start+size, next
	}
	return terms
}

func begins(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

// continues also accepts combining marks and invisible characters, such as the
// soft hyphen, which would otherwise split words.
func continues(r rune) bool {
	if r < utf8.RuneSelf {
		return begins(r)
	}
	return !unspaced(r) && (begins(r) || unicode.In(r, unicode.M, unicode.Cf))
}

var unspacedScripts = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

func unspaced(r rune) bool {
	const prolongedSound = 'ー' // Katakana's, which Unicode counts as common to several scripts
	return r >= 0x0E00 && (r == prolongedSound || unicode.In(r, unspacedScripts...))
}

// stemOf returns what a word is indexed as, "" if it is not. In a text that is
// shouted, capitals mean nothing.
func stemOf(word string, shouted bool) string {
	if len(word) > maxWord {
		return ""
	}
	folded := fold(word)
	if _, stop := stopWords[folded]; stop {
		if shouted || len(word) == 1 || strings.ToUpper(word) != word {
			return ""
		}
		return folded // NO is nitric oxide, OR the odds ratio
	}
	if !stemmable(folded) {
		return folded
	}
	env := snowballstem.NewEnv(folded)
	english.Stem(env)
	return env.Current()
}

// fold removes case, accents, ligatures and width.
func fold(word string) string {
	if ascii(word) {
		return strings.ToLower(word)
	}
	bare := strings.Map(func(r rune) rune {
		if '\u0300' <= r && r <= '\u036f' || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(word))
	return norm.NFC.String(strings.ToLower(bare))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// stemmable reports whether a folded word is of the letters a–z alone. Words of
// two have no ending to lose.
func stemmable(word string) bool {
	for i := range len(word) {
		if word[i] < 'a' || word[i] > 'z' {
			return false
		}
	}
	return len(word) > 2
}

// stopWords are Lucene's English ones and those that questions are made of:
// texts that answer a question seldom repeat its "what" and "how", which makes
// them look rare and telling.
var stopWords = func() map[string]struct{} {
	const lucene = `a an and are as at be but by for if in into is it no not of on or such
		that the their then there these they this to was will with`
	const questions = `what who whom whose which how when where why
		do does did doing done can could should would may might must shall
		has have had having been being am were i me my we us our you your he him his she her its them
		from about than so s t`
	set := make(map[string]struct{})
	for word := range strings.FieldsSeq(lucene + " " + questions) {
		set[word] = struct{}{}
	}
	return set
}()
