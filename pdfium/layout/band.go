package layout

import (
	"cmp"
	"slices"
)

// band is a strip of a region across its whole width, with white space above
// and below it that nothing reaches into: often one line.
type band struct {
	words []word
	free  []span // of x that none of the words covers, in order
}

// span is a range of x.
type span struct{ x0, x1 float64 }

func (s span) width() float64 { return s.x1 - s.x0 }

// bandsOf cuts the words at every white space across all of them, from top to
// bottom.
func bandsOf(words []word) []band {
	words = slices.Clone(words)
	slices.SortStableFunc(words, func(a, b word) int { return cmp.Compare(a.top(), b.top()) })
	var bands []band
	start, bottom := 0, 0.0
	for i, w := range words {
		if i > start && w.top() > bottom-0.05*w.size {
			bands = append(bands, band{words: words[start:i:i]})
			start = i
		}
		if i == start {
			bottom = w.bottom()
		}
		bottom = max(bottom, w.bottom())
	}
	if start < len(words) {
		bands = append(bands, band{words: words[start:]})
	}
	return bands
}

// freeSpans are the ranges of x between left and right of at least the given
// width that no word covers.
func freeSpans(words []word, left, right, width float64) []span {
	covered := make([]span, len(words))
	for i, w := range words {
		covered[i] = span{w.x0, w.x1}
	}
	slices.SortFunc(covered, func(a, b span) int { return cmp.Compare(a.x0, b.x0) })
	var free []span
	at := left
	for _, c := range covered {
		if c.x0-at >= width {
			free = append(free, span{at, c.x0})
		}
		at = max(at, c.x1)
	}
	if right-at >= width {
		free = append(free, span{at, right})
	}
	return free
}

// intersect returns what two lists of spans share, as far as it is wide enough.
func intersect(a, b []span, width float64) []span {
	var out []span
	for i, j := 0, 0; i < len(a) && j < len(b); {
		s := span{max(a[i].x0, b[j].x0), min(a[i].x1, b[j].x1)}
		if s.width() >= width {
			out = append(out, s)
		}
		if a[i].x1 < b[j].x1 {
			i++
		} else {
			j++
		}
	}
	return out
}
