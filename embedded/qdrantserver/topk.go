package qdrantserver

import (
	"container/heap"
	"slices"
)

// scored is a point that a query found.
type scored struct {
	slot  int32
	score float32
	id    pointID
}

// better orders by score, higher first, then by id, so that equal scores come
// in the same order every time.
func better(a, b scored) int {
	switch {
	case a.score > b.score:
		return -1
	case a.score < b.score:
		return 1
	default:
		return a.id.compare(b.id)
	}
}

// topK keeps the best points offered to it.
type topK struct {
	limit     int
	threshold *float32
	worst     worstFirst
}

// offer considers a living point that passes the filter, which is asked last.
func (t *topK) offer(c *collection, f filter, slot int32, score float32) {
	p := c.points[slot]
	if p == nil || t.threshold != nil && score < *t.threshold || t.limit == 0 {
		return
	}
	candidate := scored{slot: slot, score: score, id: p.id}
	full := len(t.worst) == t.limit
	if full && better(candidate, t.worst[0]) > 0 || !f.accepts(p) {
		return
	}
	if full {
		t.worst[0] = candidate
		heap.Fix(&t.worst, 0)
		return
	}
	heap.Push(&t.worst, candidate)
}

// best returns what was kept, the best first.
func (t *topK) best() []scored {
	slices.SortFunc(t.worst, better)
	return t.worst
}

// worstFirst is a heap with the worst point on top.
type worstFirst []scored

func (h worstFirst) Len() int           { return len(h) }
func (h worstFirst) Less(i, j int) bool { return better(h[i], h[j]) > 0 }
func (h worstFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *worstFirst) Push(x any)        { *h = append(*h, x.(scored)) }
func (h *worstFirst) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
