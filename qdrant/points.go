package qdrant

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	pb "github.com/qdrant/go-client/qdrant"

	voiceassist "github.com/voiceassist/backend"
)

// upsertBatch is how many points travel in one request: 4 MB with vectors of
// 3072 numbers.
const upsertBatch = 256

// Upsert stores points, visible to searches when active. It returns once they
// are stored; storing a point again replaces it. After an error some of the
// points may be stored.
func (x *Index) Upsert(ctx context.Context, points []voiceassist.Point, active bool) error {
	for batch := range slices.Chunk(points, upsertBatch) {
		request := &pb.UpsertPoints{CollectionName: x.opts.Collection, Wait: new(true)}
		for _, p := range batch {
			if p.Dense != nil && len(p.Dense) != x.opts.Dim {
				return fmt.Errorf("qdrant: passage %s: dense vector of %d numbers, want %d", p.ID, len(p.Dense), x.opts.Dim)
			}
			request.Points = append(request.Points, x.encode(p, active))
		}
		if _, err := x.client.Upsert(ctx, request); err != nil {
			return classify(ctx, "upsert points", err)
		}
	}
	return nil
}

func (x *Index) encode(p voiceassist.Point, active bool) *pb.PointStruct {
	vectors := make(map[string]*pb.Vector, 2)
	if indices, values := x.opts.Encoder.Document(p.Text); len(indices) > 0 {
		vectors[sparseVector] = pb.NewVectorSparse(indices, values)
	}
	if p.Dense != nil {
		vectors[denseVector] = pb.NewVectorDense(p.Dense)
	}
	return &pb.PointStruct{
		Id:      pb.NewIDUUID(p.ID.String()),
		Vectors: pb.NewVectorsMap(vectors),
		Payload: map[string]*pb.Value{
			fieldDocument:   pb.NewValueString(p.DocumentID.String()),
			fieldGeneration: pb.NewValueInt(int64(p.Generation)),
			fieldActive:     pb.NewValueBool(active),
			fieldSource:     keyword(p.SourceType),
			fieldSpecialty:  keyword(p.Specialty),
			fieldCategory:   keyword(p.Category),
		},
	}
}

// keyword keeps bytes that are not UTF-8 from failing the whole batch.
func keyword(s string) *pb.Value { return pb.NewValueString(strings.ToValidUTF8(s, "\uFFFD")) }

// Reveal makes the points of one generation of a document visible and leaves
// those of its other generations as they are.
func (x *Index) Reveal(ctx context.Context, documentID uuid.UUID, generation int) error {
	_, err := x.client.SetPayload(ctx, &pb.SetPayloadPoints{
		CollectionName: x.opts.Collection,
		Wait:           new(true),
		Payload:        map[string]*pb.Value{fieldActive: pb.NewValueBool(true)},
		PointsSelector: pb.NewPointsSelectorFilter(must(ofDocument(documentID), ofGeneration(generation))),
	})
	return classify(ctx, "reveal generation", err)
}

// Activate makes the points of one generation of a document visible and
// deletes those of its other generations, in this order: a search may see both
// for a moment, never neither.
func (x *Index) Activate(ctx context.Context, documentID uuid.UUID, generation int) error {
	others := &pb.Filter{
		Must:    []*pb.Condition{ofDocument(documentID)},
		MustNot: []*pb.Condition{ofGeneration(generation)},
	}
	_, err := x.client.UpdateBatch(ctx, &pb.UpdateBatchPoints{
		CollectionName: x.opts.Collection,
		Wait:           new(true),
		Operations: []*pb.PointsUpdateOperation{
			pb.NewPointsUpdateSetPayload(&pb.PointsUpdateOperation_SetPayload{
				Payload:        map[string]*pb.Value{fieldActive: pb.NewValueBool(true)},
				PointsSelector: pb.NewPointsSelectorFilter(must(ofDocument(documentID), ofGeneration(generation))),
			}),
			pb.NewPointsUpdateDeletePoints(&pb.PointsUpdateOperation_DeletePoints{
				Points: pb.NewPointsSelectorFilter(others),
			}),
		},
	})
	return classify(ctx, "activate generation", err)
}

// Delete removes every point of a document. It is nil when there are none.
func (x *Index) Delete(ctx context.Context, documentID uuid.UUID) error {
	return x.deleteWhere(ctx, "delete document", must(ofDocument(documentID)))
}

// DeleteGeneration removes the points of one generation of a document.
func (x *Index) DeleteGeneration(ctx context.Context, documentID uuid.UUID, generation int) error {
	return x.deleteWhere(ctx, "delete generation", must(ofDocument(documentID), ofGeneration(generation)))
}

// DeletePoints removes points by their ids. It is nil for those that are gone.
func (x *Index) DeletePoints(ctx context.Context, ids []uuid.UUID) error {
	for batch := range slices.Chunk(ids, scrollPage) {
		points := make([]*pb.PointId, len(batch))
		for i, id := range batch {
			points[i] = pb.NewIDUUID(id.String())
		}
		if _, err := x.client.Delete(ctx, &pb.DeletePoints{
			CollectionName: x.opts.Collection,
			Wait:           new(true),
			Points:         pb.NewPointsSelector(points...),
		}); err != nil {
			return classify(ctx, "delete points", err)
		}
	}
	return nil
}

func (x *Index) deleteWhere(ctx context.Context, doing string, filter *pb.Filter) error {
	_, err := x.client.Delete(ctx, &pb.DeletePoints{
		CollectionName: x.opts.Collection,
		Wait:           new(true),
		Points:         pb.NewPointsSelectorFilter(filter),
	})
	return classify(ctx, doing, err)
}

func must(conditions ...*pb.Condition) *pb.Filter { return &pb.Filter{Must: conditions} }

func ofDocument(id uuid.UUID) *pb.Condition { return pb.NewMatchKeyword(fieldDocument, id.String()) }

func ofGeneration(n int) *pb.Condition { return pb.NewMatchInt(fieldGeneration, int64(n)) }

func isActive() *pb.Condition { return pb.NewMatchBool(fieldActive, true) }
