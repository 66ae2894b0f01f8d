package qdrantserver

import (
	"cmp"
	"math"
	"slices"

	pb "github.com/qdrant/go-client/qdrant"
)

// vector is one named vector of a point: dense, or sparse with ascending
// unique indices. It is never changed, so responses may share it.
type vector struct {
	name    string
	indices []uint32 // of a sparse vector
	values  []float32
	sparse  bool
}

// vectors turns the vectors of a request into ours, checked against the
// collection's configuration and, for cosine, scaled to length 1.
func (c *collection) vectors(v *pb.Vectors) ([]vector, error) {
	named := v.GetVectors().GetVectors()
	if plain := v.GetVector(); plain != nil {
		named = map[string]*pb.Vector{"": plain}
	}
	vectors := make([]vector, 0, len(named))
	for name, v := range named {
		one, err := c.vector(name, v)
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, one)
	}
	slices.SortFunc(vectors, func(a, b vector) int { return cmp.Compare(a.name, b.name) })
	return vectors, nil
}

func (c *collection) vector(name string, v *pb.Vector) (vector, error) {
	dense, sparse := v.GetDense().GetData(), v.GetSparse()
	if v.GetVector() == nil { // clients before 1.16 use the older fields
		dense = v.GetData()                            //nolint:staticcheck // for those clients
		if indices := v.GetIndices(); indices != nil { //nolint:staticcheck // for those clients
			sparse = &pb.SparseVector{Indices: indices.GetData(), Values: dense}
		}
	}
	if sparse != nil {
		if c.sparse[name] == nil {
			return vector{}, invalid("not existing sparse vector name: %q", name)
		}
		indices, values, err := sortSparse(sparse.GetIndices(), sparse.GetValues())
		return vector{name: name, indices: indices, values: values, sparse: true}, err
	}
	index := c.dense[name]
	if index == nil {
		return vector{}, invalid("not existing vector name: %q", name)
	}
	values, err := index.prepare(dense)
	return vector{name: name, values: values}, err
}

// sortSparse returns the vector with ascending indices.
func sortSparse(indices []uint32, values []float32) ([]uint32, []float32, error) {
	if len(indices) != len(values) {
		return nil, nil, invalid("sparse vector of %d indices and %d values", len(indices), len(values))
	}
	for _, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, nil, invalid("sparse vector holds %v", v)
		}
	}
	if !slices.IsSorted(indices) {
		order := make([]int, len(indices))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(indices[a], indices[b]) })
		sortedIndices, sortedValues := make([]uint32, len(order)), make([]float32, len(order))
		for to, from := range order {
			sortedIndices[to], sortedValues[to] = indices[from], values[from]
		}
		indices, values = sortedIndices, sortedValues
	}
	for i := 1; i < len(indices); i++ {
		if indices[i] == indices[i-1] {
			return nil, nil, invalid("sparse vector has index %d twice", indices[i])
		}
	}
	return indices, values, nil
}

func (v *vector) input() *pb.Vector {
	if v.sparse {
		return pb.NewVectorSparse(v.indices, v.values)
	}
	return pb.NewVectorDense(v.values)
}

func (v *vector) output() *pb.VectorOutput {
	if v.sparse {
		return &pb.VectorOutput{Vector: &pb.VectorOutput_Sparse{
			Sparse: &pb.SparseVector{Indices: v.indices, Values: v.values},
		}}
	}
	return &pb.VectorOutput{Vector: &pb.VectorOutput_Dense{Dense: &pb.DenseVector{Data: v.values}}}
}

// vectorSelector returns which vectors a request wants.
func vectorSelector(selector *pb.WithVectorsSelector) func(name string) bool {
	switch option := selector.GetSelectorOptions().(type) {
	case *pb.WithVectorsSelector_Enable:
		return func(string) bool { return option.Enable }
	case *pb.WithVectorsSelector_Include:
		return func(name string) bool { return slices.Contains(option.Include.GetNames(), name) }
	default:
		return func(string) bool { return false }
	}
}
