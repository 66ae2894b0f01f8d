package pipeline

import (
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/prose"
)

// Passages have up to about targetWords words, those of one page as even in
// size as its sentences allow. On MedQuAD shorter passages rank better, longer
// ones say more; docs/decisions.md has the figures. A rest of fewer than minWords joins the passage before.
const (
	targetWords = 150
	minWords    = 30
)

// ChunkerName names the way passages are cut; it changes whenever the same
// pages would give other passages.
const ChunkerName = "sentences/2"

// Chunker cuts the pages of one document into passages, page by page. A
// passage never crosses the end of a page, begins and ends with a sentence,
// and begins anew at a heading where there is enough before it. The last
// heading seen is the passage's section.
type Chunker struct {
	document   uuid.UUID
	generation int
	ordinal    int
	section    string
}

// NewChunker returns a chunker for a generation of a document.
func NewChunker(document uuid.UUID, generation int) *Chunker {
	return &Chunker{document: document, generation: generation}
}

// Chunk returns the passages of the next page, in reading order. Every word of
// the page is in at least one of them.
func (c *Chunker) Chunk(page voiceassist.Page) []voiceassist.Passage {
	cuts := c.cut(page.Text)
	passages := make([]voiceassist.Passage, 0, len(cuts))
	at, runes := 0, 0 // of the text before the passage
	for _, cut := range cuts {
		runes += utf8.RuneCountInString(page.Text[at:cut.Start])
		at = cut.Start
		text := cut.In(page.Text)
		passages = append(passages, voiceassist.Passage{
			ID:         voiceassist.PassageID(c.document, c.generation, c.ordinal, text),
			DocumentID: c.document,
			Generation: c.generation,
			Ordinal:    c.ordinal,
			Page:       page.Number,
			CharStart:  runes,
			CharEnd:    runes + utf8.RuneCountInString(text),
			Section:    cut.section,
			Text:       text,
			Tokens:     voiceassist.CountTokens(text),
		})
		c.ordinal++
	}
	return passages
}

// piece is a passage in the making.
type piece struct {
	prose.Span
	section string
	words   int
}

// cut returns where the passages of a page's text lie.
func (c *Chunker) cut(text string) []piece {
	var pieces []piece
	var open piece
	flush := func() {
		if open.words > 0 {
			pieces = append(pieces, open)
		}
		open = piece{}
	}
	size := evenSize(countWords(text))
	for _, paragraph := range prose.Paragraphs(text) {
		if heading := paragraph.In(text); prose.IsHeading(heading) {
			if open.words >= minWords {
				flush()
			}
			c.section = voiceassist.Preview(heading, 200)
		}
		for _, sentence := range prose.Sentences(paragraph.In(text)) {
			s := prose.Span{Start: paragraph.Start + sentence.Start, End: paragraph.Start + sentence.End}
			words := countWords(s.In(text))
			if open.words > 0 && open.words+words/2 > size {
				flush()
			}
			open = extend(open, s, words, c.section)
		}
	}
	flush()
	return joinShort(pieces)
}

// evenSize returns the size, in words, of the parts that so many words are best
// cut into.
func evenSize(words int) int {
	parts := (words + targetWords - 1) / targetWords
	return (words + parts - 1) / max(parts, 1)
}

// longestWord is how many bytes without white space count as one word: sequences
// and encoded data would make passages without end.
const longestWord = 20

// countWords counts runs without white space, and each sign of a script that
// writes without spaces.
func countWords(s string) int {
	n := len(strings.Fields(s))
	for _, r := range s {
		if voiceassist.IsIdeographic(r) {
			n++
		}
	}
	return max(n, len(s)/longestWord)
}

func extend(p piece, s prose.Span, words int, section string) piece {
	if p.words == 0 {
		return piece{Span: s, section: section, words: words}
	}
	p.End = s.End
	p.words += words
	if p.words-words < minWords { // still among the headings it began with
		p.section = section
	}
	return p
}

// joinShort joins a piece that is too short to stand alone to the one before.
func joinShort(pieces []piece) []piece {
	joined := pieces[:0]
	for _, p := range pieces {
		if n := len(joined); n > 0 && p.words < minWords {
			joined[n-1].End = p.End
			joined[n-1].words += p.words
			continue
		}
		joined = append(joined, p)
	}
	return joined
}
