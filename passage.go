package voiceassist

import (
	"strconv"
	"unicode"

	"github.com/google/uuid"
)

// Passage is a run of sentences of one page: what is searched for and cited.
// Text is exactly the code points [CharStart, CharEnd) of the page's text.
type Passage struct {
	ID         uuid.UUID
	DocumentID uuid.UUID
	Generation int
	Ordinal    int // from 0, in reading order
	Page       int // from 1
	CharStart  int // code points, inclusive
	CharEnd    int // code points, exclusive
	Section    string
	Text       string
	Tokens     int // by CountTokens
}

// passageSpace is the UUIDv5 namespace of passage ids.
var passageSpace = uuid.MustParse("8f0f3c1e-59a5-5d6e-9b44-6f2c1d0a7b11")

// PassageID returns the id that the same passage of the same generation always
// has, so that publishing it twice is publishing it once.
func PassageID(document uuid.UUID, generation, ordinal int, text string) uuid.UUID {
	key := document.String() + "/" + strconv.Itoa(generation) + "/" + strconv.Itoa(ordinal) + "/" + text
	return uuid.NewSHA1(passageSpace, []byte(key))
}

// CountTokens estimates how many tokens a language model sees in s: a word
// costs one token for each five letters begun, an ideograph or any other mark
// one. It is for budgets, not for bills.
func CountTokens(s string) int {
	n, run := 0, 0
	for _, r := range s {
		if IsIdeographic(r) {
			n++
			run = 0
			continue
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			if run%5 == 0 {
				n++
			}
			run++
			continue
		}
		run = 0
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// IsIdeographic reports whether r belongs to a script that writes words without
// spaces between them, each sign a word or a syllable.
func IsIdeographic(r rune) bool {
	return r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

// Point is a passage as the index takes it.
type Point struct {
	ID         uuid.UUID
	DocumentID uuid.UUID
	Generation int
	SourceType string
	Specialty  string
	Category   string
	Text       string    // what is searched: title, section and the passage
	Dense      []float32 // nil without an embedding profile
}

// SearchFilter narrows a search; zero fields let everything through.
type SearchFilter struct {
	DocumentIDs []uuid.UUID
	SourceType  string
	Specialty   string
	Category    string
}

// Hit is a passage that a search found, with its document.
type Hit struct {
	Passage  Passage
	Document Document
	Score    float64 // higher is better; only comparable within one search
}
