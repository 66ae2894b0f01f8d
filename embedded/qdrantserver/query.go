package qdrantserver

import (
	"slices"

	pb "github.com/qdrant/go-client/qdrant"
)

// defaultLimit is how many points a query returns that does not say.
const defaultLimit = 10

// defaultRRF is the constant of Qdrant's reciprocal rank fusion.
const defaultRRF = 2

// search is a query or one of its prefetches.
type search struct {
	prefetch  []*pb.PrefetchQuery
	query     *pb.Query
	using     string
	filters   []*pb.Filter // all must match: its own and those of the queries around it
	threshold *float32
	limit     int
}

func newSearch(q *pb.QueryPoints) search {
	return search{
		prefetch:  q.GetPrefetch(),
		query:     q.GetQuery(),
		using:     q.GetUsing(),
		filters:   []*pb.Filter{q.GetFilter()},
		threshold: q.ScoreThreshold,
		limit:     limitOf(q.Limit) + int(min(q.GetOffset(), maxLimit)),
	}
}

func (s search) inner(q *pb.PrefetchQuery) search {
	return search{
		prefetch:  q.GetPrefetch(),
		query:     q.GetQuery(),
		using:     q.GetUsing(),
		filters:   append(slices.Clip(s.filters), q.GetFilter()),
		threshold: q.ScoreThreshold,
		limit:     limitOf(q.Limit),
	}
}

// maxLimit keeps absurd limits from overflowing.
const maxLimit = 1 << 30

func limitOf(limit *uint64) int {
	if limit == nil {
		return defaultLimit
	}
	return int(min(*limit, maxLimit))
}

// run must be called with mu held.
func (c *collection) run(s search) ([]scored, error) {
	if len(s.prefetch) > 0 {
		return c.runOver(s)
	}
	f, err := compileFilters(s.filters...)
	if err != nil {
		return nil, err
	}
	top := &topK{limit: s.limit, threshold: s.threshold}
	if s.query == nil {
		for _, slot := range c.selectSlots(f) {
			top.offer(c, filter{}, slot, 0)
		}
		return top.best(), nil
	}
	v, err := c.queryVector(s)
	if err != nil {
		return nil, err
	}
	if v.sparse {
		c.searchSparse(c.sparse[v.name].query(&v), v.name, f, top)
	} else {
		c.searchDense(c.dense[v.name], v.values, f, top)
	}
	return top.best(), nil
}

// runOver applies a query to the results of its prefetches.
func (c *collection) runOver(s search) ([]scored, error) {
	lists := make([][]scored, len(s.prefetch))
	for i, q := range s.prefetch {
		var err error
		if lists[i], err = c.run(s.inner(q)); err != nil {
			return nil, err
		}
	}
	top := &topK{limit: s.limit, threshold: s.threshold}
	switch query := s.query.GetVariant().(type) {
	case *pb.Query_Fusion:
		if query.Fusion != pb.Fusion_RRF {
			return nil, unsupported("fusion %s", query.Fusion)
		}
		c.fuse(lists, &pb.Rrf{}, top)
	case *pb.Query_Rrf:
		if n := len(query.Rrf.GetWeights()); n != 0 && n != len(lists) {
			return nil, invalid("%d weights for %d prefetches", n, len(lists))
		}
		c.fuse(lists, query.Rrf, top)
	case *pb.Query_Nearest:
		if err := c.rescore(s, lists, top); err != nil {
			return nil, err
		}
	default:
		return nil, unsupported("query %T over prefetches", query)
	}
	return top.best(), nil
}

// fuse adds up 1/(rank+k) over the lists that have a point, ranks from 0; a
// weight w makes that 1/((rank+1)/w+k-1), as in Qdrant.
func (c *collection) fuse(lists [][]scored, rrf *pb.Rrf, top *topK) {
	k := float32(defaultRRF)
	if rrf.K != nil {
		k = float32(rrf.GetK())
	}
	sums := make(map[int32]float32)
	for i, list := range lists {
		weight := float32(1)
		if len(rrf.GetWeights()) > 0 {
			weight = rrf.GetWeights()[i]
		}
		for rank, found := range list {
			sums[found.slot] += 1 / (float32(rank+1)/weight + k - 1)
		}
	}
	for slot, sum := range sums {
		top.offer(c, filter{}, slot, sum)
	}
}

// rescore orders what the prefetches found by another vector.
func (c *collection) rescore(s search, lists [][]scored, top *topK) error {
	v, err := c.queryVector(s)
	if err != nil {
		return err
	}
	found := make(slotSet)
	for _, list := range lists {
		for _, one := range list {
			found[one.slot] = struct{}{}
		}
	}
	if v.sparse {
		c.scoreSparse(c.sparse[v.name].query(&v), v.name, found, filter{}, top)
		return nil
	}
	for slot := range found {
		if row := c.points[slot].vector(v.name); row != nil {
			top.offer(c, filter{}, slot, dot(v.values, row.values))
		}
	}
	return nil
}

// queryVector returns the vector that a search looks for the neighbours of.
func (c *collection) queryVector(s search) (vector, error) {
	nearest, ok := s.query.GetVariant().(*pb.Query_Nearest)
	if !ok {
		return vector{}, unsupported("query %T", s.query.GetVariant())
	}
	switch input := nearest.Nearest.GetVariant().(type) {
	case *pb.VectorInput_Dense:
		return c.vector(s.using, pb.NewVectorDense(input.Dense.GetData()))
	case *pb.VectorInput_Sparse:
		return c.vector(s.using, pb.NewVectorSparse(input.Sparse.GetIndices(), input.Sparse.GetValues()))
	default:
		return vector{}, unsupported("vector input %T", input)
	}
}

// answer turns the results of a query into its response.
func (c *collection) answer(q *pb.QueryPoints, found []scored) []*pb.ScoredPoint {
	found = found[min(q.GetOffset(), uint64(len(found))):]
	keepField, keepVector := payloadSelector(q.GetWithPayload(), false), vectorSelector(q.GetWithVectors())
	points := make([]*pb.ScoredPoint, len(found))
	for i, one := range found {
		p := c.points[one.slot]
		points[i] = &pb.ScoredPoint{
			Id:      one.id.proto(),
			Score:   one.score,
			Version: p.version,
			Payload: p.payload.proto(keepField),
			Vectors: p.output(keepVector),
		}
	}
	return points
}

// output returns the vectors to show, nil if none.
func (p *point) output(keep func(name string) bool) *pb.VectorsOutput {
	outputs := make(map[string]*pb.VectorOutput)
	for i := range p.vectors {
		if v := &p.vectors[i]; keep(v.name) {
			outputs[v.name] = v.output()
		}
	}
	if len(outputs) == 0 {
		return nil
	}
	return &pb.VectorsOutput{VectorsOptions: &pb.VectorsOutput_Vectors{
		Vectors: &pb.NamedVectorsOutput{Vectors: outputs},
	}}
}

// page returns up to limit points that pass, by ascending id from the given
// one, and the id after them.
func (c *collection) page(f filter, from *pointID, limit int) (found []scored, next *pointID) {
	limit = max(1, min(limit, maxLimit))
	top := &topK{limit: limit + 1}
	for _, slot := range c.selectSlots(f) {
		if from == nil || c.points[slot].id.compare(*from) >= 0 {
			top.offer(c, filter{}, slot, 0)
		}
	}
	found = top.best()
	if len(found) > limit {
		next = &found[limit].id
		found = found[:limit]
	}
	return found, next
}
