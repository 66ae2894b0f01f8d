package qdrantserver

import (
	"math"
	"slices"
	"sync"
)

// sparseIndex is an inverted index. Postings only grow: a point that goes is
// skipped when met, until the collection is compacted.
type sparseIndex struct {
	idf      bool // multiply queries by the inverse document frequency
	count    int  // living points that have the vector
	postings map[uint32]*posting
}

// posting lists the points that have a term, by ascending slot.
type posting struct {
	living  int
	entries []entry
}

type entry struct {
	slot  int32
	value float32
}

func newSparseIndex(idf bool) *sparseIndex {
	return &sparseIndex{idf: idf, postings: make(map[uint32]*posting)}
}

func (x *sparseIndex) add(slot int32, v *vector) {
	x.count++
	for i, term := range v.indices {
		p := x.postings[term]
		if p == nil {
			p = &posting{}
			x.postings[term] = p
		}
		p.living++
		p.entries = append(p.entries, entry{slot: slot, value: v.values[i]})
	}
}

func (x *sparseIndex) remove(v *vector) {
	x.count--
	for _, term := range v.indices {
		p := x.postings[term]
		if p.living--; p.living == 0 {
			delete(x.postings, term)
		}
	}
}

// queryTerm is a term of a query that some point has.
type queryTerm struct {
	index   uint32
	weight  float32 // with the inverse document frequency
	posting *posting
}

func (x *sparseIndex) query(v *vector) []queryTerm {
	terms := make([]queryTerm, 0, len(v.indices))
	for i, index := range v.indices {
		p := x.postings[index]
		if p == nil {
			continue
		}
		weight := v.values[i]
		if x.idf {
			weight *= inverseFrequency(x.count, p.living)
		}
		terms = append(terms, queryTerm{index: index, weight: weight, posting: p})
	}
	return terms
}

// inverseFrequency is Qdrant's formula for a term that n of total points have.
func inverseFrequency(total, n int) float32 {
	return float32(math.Log((float64(total)-float64(n)+0.5)/(float64(n)+0.5) + 1))
}

// scratch accumulates scores. A cell counts when its epoch is the current one,
// so it need not be cleared between queries.
type scratch struct {
	epoch   uint32
	cells   []cell
	touched []int32
}

type cell struct {
	epoch uint32
	score float32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) reset(slots int) {
	if len(s.cells) < slots {
		s.cells, s.epoch = make([]cell, slots+slots/4), 0
	}
	if s.epoch++; s.epoch == 0 { // wrapped round
		clear(s.cells)
		s.epoch = 1
	}
	s.touched = s.touched[:0]
}

func (s *scratch) add(p *posting, weight float32) {
	for _, e := range p.entries {
		c := &s.cells[e.slot]
		if c.epoch != s.epoch {
			*c = cell{epoch: s.epoch}
			s.touched = append(s.touched, e.slot)
		}
		c.score += weight * e.value
	}
}

// searchSparse offers every point that shares a term with the query.
func (c *collection) searchSparse(terms []queryTerm, name string, f filter, top *topK) {
	work := 0
	for _, t := range terms {
		work += len(t.posting.entries)
	}
	if set, ok := c.narrow(f); ok && len(set)*16 < work {
		c.scoreSparse(terms, name, set, f, top)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.reset(len(c.points))
	for _, t := range terms {
		s.add(t.posting, t.weight)
	}
	for _, slot := range s.touched {
		top.offer(c, f, slot, s.cells[slot].score)
	}
}

// scoreSparse offers the points of a small set, from their stored vectors.
func (c *collection) scoreSparse(terms []queryTerm, name string, set slotSet, f filter, top *topK) {
	for slot := range set {
		v := c.points[slot].vector(name)
		if v == nil {
			continue
		}
		score, shared := float32(0), false
		for _, t := range terms {
			if i, ok := slices.BinarySearch(v.indices, t.index); ok {
				score += t.weight * v.values[i]
				shared = true
			}
		}
		if shared {
			top.offer(c, f, slot, score)
		}
	}
}
