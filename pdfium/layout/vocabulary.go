package layout

import (
	"slices"
	"strings"
	"unicode"
)

// wordSet is the set of a page's words, in lower case and without the punctuation
// around them.
type wordSet map[string]struct{}

// newWordSet returns the words of a page.
func newWordSet(layers [][]word) wordSet {
	const longest = 64 // bytes
	set := wordSet{}
	for _, words := range layers {
		for _, w := range words {
			if s := bare(w.text); len(s) <= longest {
				set[s] = struct{}{}
			}
		}
	}
	return set
}

// vocabulary is the words of some pages, which tell whether a hyphen at a line
// end splits a word or belongs to it.
type vocabulary []wordSet

// vocabularyOf returns the words of all of the pages.
func vocabularyOf(pages []*Page) vocabulary {
	v := make(vocabulary, len(pages))
	for i, p := range pages {
		v[i] = p.words
	}
	return v
}

func (v vocabulary) has(s string) bool {
	return slices.ContainsFunc(v, func(set wordSet) bool { _, ok := set[s]; return ok })
}

// compound reports whether the hyphen between two lines belongs to the word: it
// stands with one elsewhere, and nowhere without.
func (v vocabulary) compound(text, next string) bool {
	head := bare(cutHyphen(text[strings.LastIndexAny(text, " \n")+1:]))
	tail, _, _ := strings.Cut(next, " ")
	tail = bare(tail)
	return v.has(head+"-"+tail) && !v.has(head+tail)
}

// bare is a word in lower case, without the punctuation around it and with
// plain hyphens.
func bare(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return hyphens.Replace(strings.ToLower(s))
}

var hyphens = strings.NewReplacer("\u2010", "-", "\u2011", "-")
