package layout

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// line is the words of a region that stand side by side.
type line struct {
	words       []word
	text        string // of the words, with single spaces
	x0, x1      float64
	base, size  float64 // of most of it
	left, right float64 // of the region that it is in
	leading     float64 // from line to line in this size, in the region that it is in
	bold        bool    // all of it
	rows        bool    // of a table
}

// lines returns the region's lines from top to bottom.
func (r region) lines() []line {
	words := slices.Clone(r.words)
	slices.SortStableFunc(words, func(a, b word) int { return cmp.Compare(a.base, b.base) })
	var lines []line
	for _, w := range words {
		if i := lineFor(lines, w); i >= 0 {
			lines[i].take(w)
			continue
		}
		lines = append(lines, line{words: []word{w}, base: w.base, size: w.size})
	}
	left, right := extent(r.words)
	for i := range lines {
		l := &lines[i]
		l.arrange()
		l.left, l.right, l.rows = left, right, r.rows
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.base, b.base) })
	if r.rows && drawnByRows(lines) {
		return r.rowLines()
	}
	setLeading(lines)
	return lines
}

// setLeading gives each line the distance that is most common between two
// neighbours of its size; the smaller of two that are equally common.
func setLeading(lines []line) {
	type key struct{ size, distance int } // points, tenths and halves
	count := map[key]int{}
	size := func(l line) int { return int(math.Round(l.size * 10)) }
	for i := 1; i < len(lines); i++ {
		if size(lines[i]) == size(lines[i-1]) {
			count[key{size(lines[i]), int(math.Round((lines[i].base - lines[i-1].base) * 2))}]++
		}
	}
	best := map[int]key{}
	for k, n := range count {
		if b, ok := best[k.size]; !ok || n > count[b] || n == count[b] && k.distance < b.distance {
			best[k.size] = k
		}
	}
	for i := range lines {
		lines[i].leading = 1.4 * lines[i].size
		if d := float64(best[size(lines[i])].distance) / 2; d > 0.7*lines[i].size && d < 2.2*lines[i].size {
			lines[i].leading = d
		}
	}
}

// drawnByRows reports whether a table was drawn row after row, so that the
// order of drawing keeps together the lines of a cell.
func drawnByRows(lines []line) bool {
	const most = 6 // words of other lines for each of its own between a line's first and last
	between, all := 0, 0
	for _, l := range lines {
		first, last := l.words[0].index, l.words[0].index
		for _, w := range l.words {
			first, last = min(first, w.index), max(last, w.index)
		}
		between += last - first + 1 - len(l.words)
		all += len(l.words)
	}
	return between <= most*all
}

// rowLines returns the rows of a table with the words of each in the order of
// drawing.
func (r region) rowLines() []line {
	words := slices.Clone(r.words)
	slices.SortFunc(words, byIndex)
	left, right := extent(words)
	var lines []line
	bottom := 0.0
	for _, w := range words {
		if len(lines) == 0 || startsRow(lines[len(lines)-1], w, bottom) {
			lines = append(lines, line{base: w.base, size: w.size, x0: w.x0, x1: w.x1, left: left, right: right, rows: true})
			bottom = w.base
		}
		l := &lines[len(lines)-1]
		l.words = append(l.words, w)
		l.x0, l.x1 = min(l.x0, w.x0), max(l.x1, w.x1)
		bottom = max(bottom, w.base)
	}
	for i := range lines {
		lines[i].text = textOf(lines[i].words)
	}
	return lines
}

// startsRow reports whether drawing went on below all of row, whose lowest base
// line is bottom, at its left; and that not just within its first cell.
func startsRow(row line, w word, bottom float64) bool {
	const firstCell = 0.4 // of the table's width, at most
	return w.base > bottom+0.5*w.size && w.x0 < row.x0+w.size &&
		(row.x1 > row.left+firstCell*(row.right-row.left) || w.base > bottom+1.5*w.size)
}

// lineFor returns the line that w stands in, of those begun; -1 if none.
func lineFor(lines []line, w word) int {
	for i := len(lines) - 1; i >= max(0, len(lines)-4); i-- {
		l := lines[i]
		top, bottom := max(l.base-capHeight*l.size, w.top()), min(l.base, w.bottom())
		if bottom-top > 0.4*capHeight*min(l.size, w.size) {
			return i
		}
	}
	return -1
}

// take adds a word. The line's base is that of its largest words: a raised
// figure does not lift it.
func (l *line) take(w word) {
	l.words = append(l.words, w)
	if w.size > l.size {
		l.base, l.size = w.base, w.size
	}
}

func (l *line) arrange() {
	rtl := 0
	for _, w := range l.words {
		if w.rtl {
			rtl++
		}
	}
	if rtl*2 > len(l.words) {
		// PDFium has put it in logical order, figures and Latin included.
		slices.SortStableFunc(l.words, func(a, b word) int { return cmp.Compare(a.index, b.index) })
	} else {
		slices.SortStableFunc(l.words, func(a, b word) int { return cmp.Compare(a.x0, b.x0) })
	}
	l.x0, l.x1 = extent(l.words)
	l.bold = true
	for _, w := range l.words {
		l.bold = l.bold && w.bold
	}
	l.text = textOf(l.words)
}

func textOf(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String()
}
