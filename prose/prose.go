// Package prose finds paragraphs, headings and sentences in text as it is
// stored: paragraphs separated by an empty line. It works on byte offsets, so
// that what it finds can be told by position, and on the conventions of
// scientific English; other scripts are split at their own full stops.
package prose

import (
	"strings"
	"unicode"
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
