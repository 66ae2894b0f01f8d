package qdrantserver

import (
	"math"

	pb "github.com/qdrant/go-client/qdrant"
)

// denseIndex holds a vector for each slot, nil where there is none. A search
// looks at all of them, so its answers are exact.
type denseIndex struct {
	dim    int
	cosine bool
	rows   [][]float32
}

func newDenseIndex(params *pb.VectorParams) (*denseIndex, error) {
	if params.GetSize() == 0 || params.GetSize() > 65536 {
		return nil, invalid("vector size %d is not in 1–65536", params.GetSize())
	}
	if params.GetMultivectorConfig() != nil {
		return nil, unsupported("multivector")
	}
	switch params.GetDistance() {
	case pb.Distance_Cosine, pb.Distance_Dot:
		return &denseIndex{dim: int(params.GetSize()), cosine: params.GetDistance() == pb.Distance_Cosine}, nil
	default:
		return nil, unsupported("distance %s", params.GetDistance())
	}
}

// prepare checks a vector and, for cosine, scales it to length 1.
func (x *denseIndex) prepare(values []float32) ([]float32, error) {
	if len(values) != x.dim {
		return nil, invalid("vector dimension error: expected dim: %d, got %d", x.dim, len(values))
	}
	square := float64(dot(values, values))
	if math.IsNaN(square) || math.IsInf(square, 0) {
		return nil, invalid("vector is not finite")
	}
	if !x.cosine || square == 0 || math.Abs(square-1) < 1e-6 {
		return values, nil
	}
	scaled := make([]float32, len(values))
	for i, v := range values {
		scaled[i] = float32(float64(v) / math.Sqrt(square))
	}
	return scaled, nil
}

func (x *denseIndex) set(slot int32, values []float32) {
	for int(slot) >= len(x.rows) {
		x.rows = append(x.rows, nil)
	}
	x.rows[slot] = values
}

func (x *denseIndex) remove(slot int32) { x.rows[slot] = nil }

// searchDense offers every point that has the vector.
func (c *collection) searchDense(x *denseIndex, query []float32, f filter, top *topK) {
	if set, ok := c.narrow(f); ok && len(set)*4 < len(x.rows) {
		for slot := range set {
			if int(slot) < len(x.rows) && x.rows[slot] != nil {
				top.offer(c, f, slot, dot(query, x.rows[slot]))
			}
		}
		return
	}
	for slot, row := range x.rows {
		if row != nil {
			top.offer(c, f, int32(slot), dot(query, row))
		}
	}
}

// dot keeps four sums, so that additions need not wait for each other.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
