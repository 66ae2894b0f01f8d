package layout

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

// word is a run of characters without space. y grows downwards.
type word struct {
	text   string
	x0, x1 float64
	base   float64 // y of the base line, raised and lowered figures aside
	size   float64 // of the largest font in it
	index  int     // position in the order of drawing
	bold   bool
	rtl    bool
}

// top and bottom bound the part of a word that its line certainly has to
// itself: about the height of a capital letter above the base line.
func (w word) top() float64    { return w.base - capHeight*w.size }
func (w word) bottom() float64 { return w.base }

const capHeight = 0.7

// splitWords makes words of glyphs that are upright. Spaces that were drawn or
// that PDFium has inserted end a word, and so does a jump.
func splitWords(glyphs []Glyph) []word {
	s := splitter{}
	for _, g := range glyphs {
		s.add(g)
	}
	s.end()
	return s.words
}

type splitter struct {
	words  []word
	text   strings.Builder
	cur    word    // without its text
	prev   Glyph   // last of cur
	widest float64 // gap between two glyphs of cur
	wide   bool    // the first glyph of cur is wider than any asterisk
}

// wideAsterisk is the width from which an asterisk is none, in ems. Fonts with
// a ligature for "Th", which has no code point, may have it in that place.
const wideAsterisk = 0.8

func (s *splitter) add(g Glyph) {
	if unicode.IsSpace(g.Rune) || g.Rune == zeroWidthSpace {
		s.end()
		return
	}
	text := spelled(g)
	if text == "" || !finite(g.Left, g.Right, g.X, g.Y, g.Size) {
		return
	}
	if g.Size <= 0 {
		g.Size = max(1, (g.Bottom-g.Top)*0.75)
	}
	if s.text.Len() > 0 && s.apart(g) {
		s.end()
	}
	if s.text.Len() == 0 {
		s.cur = word{x0: g.Left, x1: g.Right, base: g.Y, size: g.Size, index: len(s.words), bold: g.Bold}
		s.widest = 0
		s.wide = g.Right-g.Left > wideAsterisk*g.Size
	} else {
		s.widest = max(s.widest, g.Left-s.prev.Right)
	}
	if g.Size > s.cur.size {
		s.cur.base, s.cur.size = g.Y, g.Size
	}
	s.cur.x0, s.cur.x1 = min(s.cur.x0, g.Left), max(s.cur.x1, g.Right)
	s.cur.rtl = s.cur.rtl || unicode.In(g.Rune, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana)
	s.text.WriteString(text)
	s.prev = g
}

const zeroWidthSpace = 0x200b

// spelled returns what a glyph stands for in text; "" for nothing.
func spelled(g Glyph) string {
	switch r := g.Rune; {
	case r == 0x02 || r == 0xfffe: // PDFium's signs for a hyphen that splits a word
		return "-"
	case unicode.IsControl(r), utf16.IsSurrogate(r), r < 0, r > unicode.MaxRune:
		return ""
	case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef, r == 0xfeff: // no characters; a byte order mark
		return ""
	default:
		return string(r)
	}
}

// apart reports whether g cannot belong to the word in the works: it is more
// than a space away, on another line or of quite another size. A raised or
// lowered figure belongs to the word that it touches.
func (s *splitter) apart(g Glyph) bool {
	small, em := min(g.Size, s.prev.Size), max(g.Size, s.prev.Size)
	gap := max(g.Left-s.prev.Right, s.prev.Left-g.Right)
	if gap > thinSpace*em && gap < 0.4*em && s.widest < 0.04*em && s.text.Len() > 1 && inWord(s.prev.Rune) && inWord(g.Rune) {
		return true
	}
	return gap > 0.6*em || overlapAhead(s.prev, g) > 0.6*em || abs(g.Y-s.prev.Y) > 0.6*em || em > 2*small
}

// thinSpace is the least gap, in ems, that separates words where PDFium has seen
// no space ("5 mm" set with a thin space), provided that the word before it is
// not letter-spaced. A gap of 0.4 em and more without a space is more likely a
// glyph without a code point.
const thinSpace = 0.11

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// overlapAhead is how far a glyph starts before the end of the one before it,
// when it is not to the left of it as in right-to-left script.
func overlapAhead(prev, g Glyph) float64 {
	if g.Right <= prev.Left+0.1*g.Size {
		return 0
	}
	return prev.Right - g.Left - (prev.Right-prev.Left)*0.5
}

func (s *splitter) end() {
	if s.text.Len() == 0 {
		return
	}
	s.cur.text = ligatures(s.text.String())
	if rest, ok := strings.CutPrefix(s.cur.text, "*"); ok && s.wide && startsLower(rest) {
		s.cur.text = "Th" + rest
	}
	s.words = append(s.words, s.cur)
	s.text.Reset()
}

// ligatures spells out the compatibility ligatures and presentation forms
// (U+FB00–U+FDFF, U+FE70–U+FEFF), makes plain letters of those of mathematics
// (U+1D400–U+1D7FF) and composes accents; other compatibility characters mean
// something and stay.
func ligatures(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r >= 0xfb00 && r <= 0xfdcf || r >= 0xfdf0 && r <= 0xfdff || r >= 0xfe70 && r <= 0xfefc || r >= 0x1d400 && r <= 0x1d7ff {
			b.WriteString(norm.NFKC.String(string(r)))
			continue
		}
		b.WriteRune(r)
	}
	return norm.NFC.String(b.String())
}

// finite reports whether all are numbers of a page that could exist.
func finite(xs ...float64) bool {
	for _, x := range xs {
		if !(abs(x) < 1e7) {
			return false
		}
	}
	return true
}

func abs(x float64) float64 { return max(x, -x) }
