package layout

import (
	"iter"
	"math"
	"slices"
	"strings"
)

// layers parts words that are printed over one another: a text and a draft of
// it left below, a scan with its recognised text twice.
func layers(words []word) [][]word {
	if collisions(words)*20 < len(words) {
		return [][]word{words}
	}
	var parts []*layer
	at := 0
	for _, w := range words {
		if len(parts) == 0 {
			parts = append(parts, newLayer())
		}
		if parts[at].hit(w) {
			if at = free(parts, w); at == len(parts) {
				parts = append(parts, newLayer())
			}
		}
		parts[at].put(w)
	}
	out := make([][]word, len(parts))
	for i, p := range parts {
		out[i] = p.words
	}
	return out
}

// free returns the number of the first layer where w hits nothing, at most
// maxLayers-1; it may be that of one to be made.
func free(parts []*layer, w word) int {
	const maxLayers = 6
	for i, p := range parts {
		if !p.hit(w) {
			return i
		}
	}
	return min(len(parts), maxLayers-1)
}

// collisions counts the words that are printed over another.
func collisions(words []word) (n int) {
	l := newLayer()
	for _, w := range words {
		if l.hit(w) {
			n++
		}
		l.put(w)
	}
	return n
}

// covered drops the paragraphs that a layer drawn later, and so over them, says
// again.
func covered(layers [][]string) [][]string {
	seen := map[[3]string]bool{}
	for i := len(layers) - 1; i >= 0; i-- {
		layers[i] = slices.DeleteFunc(layers[i], func(p string) bool { return repeats(p, seen) })
		for _, p := range layers[i] {
			for t := range triples(p) {
				seen[t] = true
			}
		}
	}
	return layers
}

// repeats reports whether four of five runs of three words have been seen.
func repeats(p string, seen map[[3]string]bool) bool {
	all, same := 0, 0
	for t := range triples(p) {
		all++
		if seen[t] {
			same++
		}
	}
	return all > 0 && same*5 >= all*4
}

// triples yields every run of three words; of a shorter text, all of it.
func triples(p string) iter.Seq[[3]string] {
	return func(yield func([3]string) bool) {
		f := strings.Fields(p)
		for len(f) > 0 && len(f) < 3 {
			f = append(f, "")
		}
		for i := 2; i < len(f); i++ {
			if !yield([3]string{f[i-2], f[i-1], f[i]}) {
				return
			}
		}
	}
}

// layer is a set of words with an index by where they are.
type layer struct {
	words []word
	rows  map[int][]word // by height on the page, in steps of rowHeight
}

const (
	rowHeight  = 12  // points
	longestRow = 500 // words of a row that are looked at: no honest row has so many
)

func newLayer() *layer { return &layer{rows: map[int][]word{}} }

func rowOf(y float64) int { return int(math.Floor(y / rowHeight)) }

func (l *layer) put(w word) {
	l.words = append(l.words, w)
	for r := rowOf(w.top()); r <= min(rowOf(w.bottom()), rowOf(w.top())+20); r++ {
		l.rows[r] = append(l.rows[r], w)
	}
}

// hit reports whether w lies over one of the layer's words, by more than half
// of the smaller of the two in both directions.
func (l *layer) hit(w word) bool {
	for r := rowOf(w.top()); r <= min(rowOf(w.bottom()), rowOf(w.top())+20); r++ {
		row := l.rows[r]
		for _, o := range row[max(0, len(row)-longestRow):] {
			x := min(w.x1, o.x1) - max(w.x0, o.x0)
			y := min(w.bottom(), o.bottom()) - max(w.top(), o.top())
			if x > 0.5*min(w.x1-w.x0, o.x1-o.x0) && y > 0.5*capHeight*min(w.size, o.size) {
				return true
			}
		}
	}
	return false
}
