package rag

import (
	"unicode/utf8"

	"github.com/voiceassist/backend/prose"
)

// sentence is a run of text that ends where a reader would pause.
type sentence struct {
	Text       string
	Start, End int // code points of the text it was split from, half open
}

// splitSentences cuts text into sentences as package prose does.
func splitSentences(text string) []sentence {
	spans := prose.Sentences(text)
	found := make([]sentence, 0, len(spans))
	at, runes := 0, 0
	for _, span := range spans {
		part := span.In(text)
		start := runes + utf8.RuneCountInString(text[at:span.Start])
		at, runes = span.End, start+utf8.RuneCountInString(part)
		found = append(found, sentence{Text: part, Start: start, End: runes})
	}
	return found
}
