// Package layout makes text of characters and the places where they stand on a
// page.
//
// Characters become words; words that repeat at the same place on the pages
// around (running heads, page numbers) are dropped; bands of white space tell
// columns from what spans them, which gives the reading order; words become
// lines, lines paragraphs. Where a caption or a footnote interrupts a sentence,
// the sentence goes first.
package layout

import (
	"math"
	"slices"
	"strings"
)

// Glyph is one character of a page. Lengths are in points, y grows upwards.
type Glyph struct {
	Rune                     rune
	Left, Top, Right, Bottom float64 // its cell: the advance width by the font's height
	X, Y                     float64 // where it starts on its base line
	Size                     float64 // of the font
	Angle                    float64 // of the base line, in radians, counter-clockwise
	Bold                     bool
}

// Page is a page whose words are known and whose order is not yet.
type Page struct {
	layers [][]word // what lies on one another; each has lines of its own
	edges  edges    // what may be furniture
	words  wordSet
}

// Read takes the characters of a page in the order in which they are drawn.
func Read(glyphs []Glyph) *Page {
	p := &Page{}
	for _, g := range orient(glyphs) {
		if words := splitWords(g); len(words) > 0 {
			p.layers = append(p.layers, layers(words)...)
		}
	}
	p.edges, p.words = findEdges(p.layers), newWordSet(p.layers)
	return p
}

// text returns the page's paragraphs in reading order, separated by one empty
// line; each is one line, those of tables are one for each row.
func (p *Page) text(v vocabulary) string {
	paragraphs := make([][]string, len(p.layers))
	for i, words := range p.layers {
		paragraphs[i] = flow(words, v)
	}
	if len(paragraphs) > 1 {
		paragraphs = covered(paragraphs)
	}
	return strings.Join(slices.Concat(paragraphs...), "\n\n")
}

// flow puts words set in one direction into paragraphs.
func flow(words []word, v vocabulary) []string {
	var lines []line
	for _, r := range readingOrder(words) {
		lines = append(lines, r.lines()...)
	}
	return texts(resume(paragraphs(lines, v), v))
}

// orient splits the glyphs by direction, to the nearest quarter turn, and turns
// each group upright, y growing downwards. The direction of most comes first.
func orient(glyphs []Glyph) [][]Glyph {
	groups := make([][]Glyph, 4)
	last := 0
	for _, g := range glyphs {
		if g.Right > g.Left || g.Top > g.Bottom { // what has no extent goes with the glyph before it
			last = quarters(g.Angle)
		}
		groups[last] = append(groups[last], upright(g, last))
	}
	most := 0
	for i := range groups {
		if len(groups[i]) > len(groups[most]) {
			most = i
		}
	}
	groups[0], groups[most] = groups[most], groups[0]
	return groups
}

// quarters is the number of quarter turns, 0 to 3, nearest to an angle.
func quarters(angle float64) int {
	turns := math.Round(angle / (math.Pi / 2))
	if !finite(turns) {
		return 0
	}
	return (int(turns)%4 + 4) % 4
}

// upright turns a glyph back by so many quarter turns and flips the page.
func upright(g Glyph, quarters int) Glyph {
	turn := func(x, y float64) (float64, float64) {
		switch quarters {
		case 1:
			return y, x
		case 2:
			return -x, y
		case 3:
			return -y, -x
		}
		return x, -y
	}
	x0, y0 := turn(g.Left, g.Top)
	x1, y1 := turn(g.Right, g.Bottom)
	g.Left, g.Right = min(x0, x1), max(x0, x1)
	g.Top, g.Bottom = min(y0, y1), max(y0, y1)
	g.X, g.Y = turn(g.X, g.Y)
	return g
}
