package layout

import (
	"cmp"
	"regexp"
	"slices"
)

// region is a part of a page that is read line by line, from left to right.
type region struct {
	words []word
	rows  bool // a table or the like: its lines are not wrapped text
}

// gutter is the least width of white space between two columns, in ems of the
// text. The widest spaces of justified text stay below it nearly always, and
// two of them rarely stand one above the other.
const gutter = 0.9

// minColumnWords is how many words the lines of a column have on average, at
// least. Below it, the columns are those of a table, which is read by rows.
const minColumnWords = 2.7

// readingOrder cuts words into regions and puts them in the order in which a
// person reads them: what spans columns before and after them, columns from
// left to right.
func readingOrder(words []word) []region {
	return cut(words, 6)
}

// cut splits by columns, at most depth times.
func cut(words []word, depth int) []region {
	if len(words) == 0 {
		return nil
	}
	if depth == 0 {
		return []region{{words: words}}
	}
	em := medianSize(words)
	var out []region
	var single []word // bands not in columns, in the works
	flush := func() {
		if len(single) > 0 {
			out = append(out, region{words: single})
			single = nil
		}
	}
	bands := bandsOf(words)
	left, right := extent(words)
	for i := range bands {
		bands[i].free = freeSpans(bands[i].words, left, right, gutter*em)
	}
	for i := 0; i < len(bands); {
		n, gutters := columnRun(bands[i:], gutter*em)
		if n == 0 {
			single = append(single, bands[i].words...)
			i++
			continue
		}
		run := joinBands(bands[i : i+n])
		i += n
		columns := splitAt(run, gutters)
		if table(columns) {
			flush()
			out = append(out, region{words: run, rows: true})
			continue
		}
		if columns = absorbLabels(columns); len(columns) == 1 {
			single = append(single, run...)
			continue
		}
		flush()
		for _, c := range columns {
			out = append(out, cut(c, depth-1)...)
		}
	}
	flush()
	return out
}

// longestRun bounds how many bands are tried together. A page of text has some
// sixty; one made to keep us busy has more.
const longestRun = 500

// columnRun returns how many of the first bands can be read as columns
// together, and the white spaces between those; 0 if the first cannot.
func columnRun(bands []band, width float64) (n int, gutters []span) {
	free := bands[0].free
	left, right := extent(bands[0].words)
	for i, b := range bands[:min(len(bands), longestRun)] {
		next := intersect(free, b.free, width)
		if len(next) == 0 {
			break
		}
		free = next
		l, r := extent(b.words)
		left, right = min(left, l), max(right, r)
		if inner := interior(free, left, right); len(inner) > 0 {
			n, gutters = i+1, inner
		} else if n > 0 {
			break
		}
	}
	if n == 0 || !supported(joinBands(bands[:n]), gutters, width) {
		return 0, nil
	}
	return n, gutters
}

// supported reports whether white space is seen beside enough lines not to be
// chance: four, or two when it is wide.
func supported(words []word, gutters []span, width float64) bool {
	rows := make([]int, 0, len(gutters)+1)
	for _, c := range splitAt(words, gutters) {
		rows = append(rows, len(bandsOf(c)))
	}
	slices.Sort(rows)
	second := rows[len(rows)-2]
	widest := 0.0
	for _, g := range gutters {
		widest = max(widest, g.width())
	}
	return second >= 4 || second >= 2 && widest >= 1.6*width
}

// interior returns the spans that have words on both sides, which reach from
// left to right.
func interior(free []span, left, right float64) []span {
	return slices.DeleteFunc(slices.Clone(free), func(s span) bool { return s.x0 <= left || s.x1 >= right })
}

func joinBands(bands []band) []word {
	var words []word
	for _, b := range bands {
		words = append(words, b.words...)
	}
	return words
}

func splitAt(words []word, gutters []span) [][]word {
	columns := make([][]word, len(gutters)+1)
	for _, w := range words {
		i := 0
		for i < len(gutters) && (w.x0+w.x1)/2 > gutters[i].x0 {
			i++
		}
		columns[i] = append(columns[i], w)
	}
	return columns
}

// absorbLabels joins a column of labels (the numbers and bullets of a list, the
// page numbers of a table of contents) with the text that they belong to: each
// of its lines is one, beside a line of the column next to it.
func absorbLabels(columns [][]word) [][]word {
	out := columns[:1]
	for _, c := range columns[1:] {
		last := len(out) - 1
		if labels(out[last], c) || labels(c, out[last]) {
			out[last] = append(out[last], c...)
			continue
		}
		out = append(out, c)
	}
	return out
}

// labels reports whether a is a column of labels for the lines of b.
func labels(a, b []word) bool {
	if float64(len(b)) < minColumnWords*float64(len(bandsOf(b))) {
		return false // then it is a table
	}
	bases := make([]float64, len(b))
	for i, w := range b {
		bases[i] = w.base
	}
	slices.Sort(bases)
	const raised = 0.8 // by how much a label may stand above its line, in ems
	beside := 0
	for _, w := range a {
		i, _ := slices.BinarySearch(bases, w.base-0.2*w.size)
		if i < len(bases) && bases[i] < w.base+raised*w.size && label.MatchString(w.text) {
			beside++
		}
	}
	return beside*10 >= len(a)*9
}

// label matches the numbers and bullets of lists and contents.
var label = regexp.MustCompile(`^([•●○◦▪■□▶►‣⁃∙·*–—-]|[(\[]?([A-Z]\.)?(\d{1,4}|[a-z]|[ivxlc]+)([.-]\d{1,3})*[.)\]]?)$`)

// table reports whether the columns are those of a table: they are too narrow,
// in words, to be text, or the page was drawn cell by cell, each with lines of
// its own.
func table(columns [][]word) bool {
	all, narrow, rows, lines := 0, 0, 0, 0
	var words []word
	for _, c := range columns {
		n := len(bandsOf(c))
		rows = max(rows, n)
		lines += n
		all += len(c)
		words = append(words, c...)
		if float64(len(c)) < minColumnWords*float64(n) {
			narrow += len(c)
		}
	}
	if narrow*4 > all {
		return true
	}
	ups := upwardMoves(words)
	return ups > len(columns)+1 && ups*4 > rows && float64(all) < 2*minColumnWords*float64(lines)
}

// upwardMoves counts how often drawing went on above where it was.
func upwardMoves(words []word) (n int) {
	slices.SortFunc(words, byIndex)
	for i := 1; i < len(words); i++ {
		if words[i-1].base-words[i].base > 0.8*max(words[i-1].size, words[i].size) {
			n++
		}
	}
	return n
}

func byIndex(a, b word) int { return cmp.Compare(a.index, b.index) }

func extent(words []word) (left, right float64) {
	left, right = words[0].x0, words[0].x1
	for _, w := range words {
		left, right = min(left, w.x0), max(right, w.x1)
	}
	return left, right
}

// medianSize is the font size that half of the words do not exceed.
func medianSize(words []word) float64 {
	sizes := make([]float64, len(words))
	for i, w := range words {
		sizes[i] = w.size
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}
