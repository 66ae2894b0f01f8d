package qdrant

import (
	"context"
	"math"
	"slices"

	pb "github.com/qdrant/go-client/qdrant"

	"github.com/voiceassist/backend/bm25"
)

// idfBatch is how many stems one request asks about.
const idfBatch = 256

// IDF returns the inverse document frequency of every stem (bm25.Term.Stem) in
// the collection, active or not: ln((N-n+0.5)/(n+0.5)+1) where n of N passages
// have it. A stem that no passage has gets the value of n = 0, the highest.
//
// Qdrant does not tell n, but it tells it in its scores: a one-word query
// scores a passage idf × the word's weight there, and the weight can be read.
func (x *Index) IDF(ctx context.Context, stems []string) (map[string]float64, error) {
	unique := slices.Compact(slices.Sorted(slices.Values(stems)))
	idf := make(map[string]float64, len(unique))
	for batch := range slices.Chunk(unique, idfBatch) {
		if err := x.probe(ctx, batch, idf); err != nil {
			return nil, err
		}
	}
	if len(idf) == len(unique) {
		return idf, nil
	}
	total, err := x.count(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, stem := range unique {
		if _, known := idf[stem]; !known {
			idf[stem] = math.Log((float64(total)+0.5)/0.5 + 1)
		}
	}
	return idf, nil
}

// probe adds to idf the values of the stems that some passage has.
func (x *Index) probe(ctx context.Context, stems []string, idf map[string]float64) error {
	queries := make([]*pb.QueryPoints, len(stems))
	for i, stem := range stems {
		queries[i] = &pb.QueryPoints{
			CollectionName: x.opts.Collection,
			Query:          pb.NewQuerySparse([]uint32{bm25.TermID(stem)}, []float32{1}),
			Using:          new(sparseVector),
			Limit:          new(uint64(1)),
			WithVectors:    pb.NewWithVectorsInclude(sparseVector),
		}
	}
	results, err := x.client.QueryBatch(ctx, &pb.QueryBatchPoints{
		CollectionName: x.opts.Collection, QueryPoints: queries,
	})
	if err != nil {
		return classify(ctx, "idf", err)
	}
	for i, result := range results {
		for _, point := range result.GetResult() {
			if weight := weightOf(point, bm25.TermID(stems[i])); weight > 0 {
				idf[stems[i]] = float64(point.GetScore()) / weight
			}
		}
	}
	return nil
}

// weightOf returns the stored weight of a term, 0 if the point lacks it.
func weightOf(point *pb.ScoredPoint, id uint32) float64 {
	vector := point.GetVectors().GetVectors().GetVectors()[sparseVector].GetSparseVector()
	indices, values := vector.GetIndices(), vector.GetValues()
	at := slices.Index(indices, id)
	if at < 0 {
		return 0
	}
	return float64(values[at])
}
