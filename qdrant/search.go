package qdrant

import (
	"context"

	pb "github.com/qdrant/go-client/qdrant"

	voiceassist "github.com/voiceassist/backend"
)

// Query is what to search for.
type Query = voiceassist.IndexQuery

// Match is a passage that a search found. Its score is BM25 of a query by
// words, the cosine of one by meaning, and the fused ranks of one by both.
type Match = voiceassist.IndexMatch

// prefetchFactor is how many candidates each half of a hybrid search
// contributes for each match wanted: what is fourth in one list and thirtieth
// in the other should still meet itself.
const prefetchFactor = 4

// rrfK is the constant of reciprocal rank fusion. Qdrant counts ranks from 0,
// so this is the usual 60 of ranks counted from 1.
const rrfK = 61

// Search returns active passages, the best first; none when neither words nor
// a dense vector are given.
func (x *Index) Search(ctx context.Context, q Query) ([]Match, error) {
	request := x.searchRequest(q)
	if request == nil || q.Limit <= 0 {
		return nil, nil
	}
	points, err := x.client.Query(ctx, request)
	if err != nil {
		return nil, classify(ctx, "search", err)
	}
	matches := make([]Match, 0, len(points))
	for _, p := range points {
		stored, err := decode(p.GetId(), p.GetPayload())
		if err != nil {
			return nil, err
		}
		matches = append(matches, Match{
			PassageID:  stored.PassageID,
			DocumentID: stored.DocumentID,
			Generation: stored.Generation,
			Score:      float64(p.GetScore()),
		})
	}
	return matches, nil
}

// searchRequest returns nil when there is nothing to search for.
func (x *Index) searchRequest(q Query) *pb.QueryPoints {
	indices, values := x.opts.Encoder.Query(q.Text)
	lexical, semantic := len(indices) > 0, len(q.Dense) > 0
	filter := visible(q.Filter)
	request := &pb.QueryPoints{
		CollectionName: x.opts.Collection,
		Filter:         filter,
		Limit:          new(uint64(q.Limit)),
		Offset:         new(uint64(max(0, q.Offset))),
		WithPayload:    pb.NewWithPayloadInclude(fieldDocument, fieldGeneration),
	}
	switch {
	case lexical && semantic:
		candidates := uint64(prefetchFactor * (q.Limit + max(0, q.Offset)))
		request.Query = pb.NewQueryRRF(&pb.Rrf{K: new(uint32(rrfK))})
		request.Prefetch = []*pb.PrefetchQuery{
			{Query: pb.NewQuerySparse(indices, values), Using: new(sparseVector), Filter: filter, Limit: &candidates},
			{Query: pb.NewQueryDense(q.Dense), Using: new(denseVector), Filter: filter, Limit: &candidates},
		}
	case lexical:
		request.Query, request.Using = pb.NewQuerySparse(indices, values), new(sparseVector)
	case semantic:
		request.Query, request.Using = pb.NewQueryDense(q.Dense), new(denseVector)
	default:
		return nil
	}
	return request
}

// visible is the filter of a search: active points that f lets through.
func visible(f voiceassist.SearchFilter) *pb.Filter {
	conditions := []*pb.Condition{isActive()}
	if len(f.DocumentIDs) > 0 {
		ids := make([]string, len(f.DocumentIDs))
		for i, id := range f.DocumentIDs {
			ids[i] = id.String()
		}
		conditions = append(conditions, pb.NewMatchKeywords(fieldDocument, ids...))
	}
	for field, want := range map[string]string{
		fieldSource: f.SourceType, fieldSpecialty: f.Specialty, fieldCategory: f.Category,
	} {
		if want != "" {
			conditions = append(conditions, pb.NewMatchKeyword(field, want))
		}
	}
	return must(conditions...)
}
