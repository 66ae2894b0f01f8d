package layout

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// edge is a line at the top or bottom of a page, or a note in its margin, that
// may be furniture: a running head, a page number, a stamp.
type edge struct {
	mask  string       // its text with figures made alike; "" is never furniture
	y     float64      // of its base line
	gap   float64      // ems of white between it and what follows towards the middle of the page
	words map[int]bool // by index
	seen  bool         // at the same place of a page nearby
}

// edges are what may be furniture on a page, the outermost first.
type edges struct {
	top, bottom []edge
	margins     []edge // notes set in another direction than the page
}

// edgeBands is how many lines at either end of a page may be furniture.
const edgeBands = 4

// findEdges returns what may be furniture among the layers of a page.
func findEdges(layers [][]word) edges {
	var e edges
	for i, words := range layers {
		const longestStamp = 60
		if i > 0 && len(words) <= longestStamp {
			e.margins = append(e.margins, newEdge(words))
		}
	}
	if len(layers) == 0 {
		return e
	}
	bands := bandsOf(layers[0])
	for i := range min(edgeBands, len(bands)-1) {
		top := newEdge(bands[i].words)
		top.gap = gapBetween(bands[i], bands[i+1])
		e.top = append(e.top, top)
		last := len(bands) - 1 - i
		bottom := newEdge(bands[last].words)
		bottom.gap = gapBetween(bands[last-1], bands[last])
		e.bottom = append(e.bottom, bottom)
	}
	return e
}

// gapBetween is the height of the white space between two bands, in ems.
func gapBetween(upper, lower band) float64 {
	bottom, top, em := upper.words[0].bottom(), lower.words[0].top(), 0.0
	for _, w := range upper.words {
		bottom, em = max(bottom, w.bottom()), max(em, w.size)
	}
	for _, w := range lower.words {
		top, em = min(top, w.top()), max(em, w.size)
	}
	return (top - bottom) / em
}

func newEdge(words []word) edge {
	words = slices.Clone(words)
	slices.SortStableFunc(words, func(a, b word) int { return cmp.Compare(a.x0, b.x0) })
	e := edge{y: words[0].base, words: make(map[int]bool, len(words))}
	var b strings.Builder
	for _, w := range words {
		e.words[w.index] = true
		b.WriteString(w.text)
		b.WriteByte(' ')
	}
	e.mask = mask(b.String())
	return e
}

var (
	figures = regexp.MustCompile(`\p{Nd}+`)
	caption = regexp.MustCompile(`^(fig|tab|box|scheme|chart|plate)`)
)

// mask makes the running heads of two pages alike. Captions have none: they
// stand at the edges of many pages, differ in a figure only, and belong there.
func mask(s string) string {
	s = strings.Map(unicode.ToLower, figures.ReplaceAllString(s, "0"))
	if caption.MatchString(s) {
		return ""
	}
	return s
}

// compare marks what is at the same place on both pages.
func compare(a, b *edges) {
	mark := func(a, b []edge) {
		for i := range a {
			for j := range b {
				if a[i].mask != "" && a[i].mask == b[j].mask && abs(a[i].y-b[j].y) < 4 {
					a[i].seen, b[j].seen = true, true
				}
			}
		}
	}
	mark(a.top, b.top)
	mark(a.bottom, b.bottom)
	mark(a.margins, b.margins)
}

// strip removes the furniture that compare has found: in the margins, and from
// the edges inwards up to a white space that sets it off from the text.
func (p *Page) strip() {
	for _, side := range [][]edge{p.edges.top, p.edges.bottom} {
		const clear = 0.8
		n := 0
		for n < len(side) && side[n].seen {
			n++
		}
		for n > 0 && side[n-1].gap < clear {
			n--
		}
		for _, e := range side[:n] {
			p.layers[0] = without(p.layers[0], e.words)
		}
	}
	at := 0
	for i, words := range p.layers {
		const longestStamp = 60
		if i > 0 && len(words) <= longestStamp {
			if p.edges.margins[at].seen {
				p.layers[i] = nil
			}
			at++
		}
	}
}

func without(words []word, drop map[int]bool) []word {
	return slices.DeleteFunc(words, func(w word) bool { return drop[w.index] })
}
