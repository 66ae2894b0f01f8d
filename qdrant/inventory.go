package qdrant

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"
	pb "github.com/qdrant/go-client/qdrant"

	voiceassist "github.com/voiceassist/backend"
)

// scrollPage is how many points one request of a scroll asks for.
const scrollPage = 1000

// Count returns how many points searches can see, and how many there are.
func (x *Index) Count(ctx context.Context) (active, total int, err error) {
	if active, err = x.count(ctx, must(isActive())); err != nil {
		return 0, 0, err
	}
	total, err = x.count(ctx, nil)
	return active, total, err
}

// CountDocument returns how many points one generation of a document has,
// active or not.
func (x *Index) CountDocument(ctx context.Context, documentID uuid.UUID, generation int) (int, error) {
	return x.count(ctx, must(ofDocument(documentID), ofGeneration(generation)))
}

func (x *Index) count(ctx context.Context, filter *pb.Filter) (int, error) {
	n, err := x.client.Count(ctx, &pb.CountPoints{
		CollectionName: x.opts.Collection, Filter: filter, Exact: new(true),
	})
	return int(n), classify(ctx, "count points", err)
}

// Stored is a point as the index holds it.
type Stored = voiceassist.StoredPoint

// Scroll lists the points of a document, or of all documents for uuid.Nil,
// ordered by passage id. An error ends the sequence.
func (x *Index) Scroll(ctx context.Context, documentID uuid.UUID) iter.Seq2[Stored, error] {
	request := &pb.ScrollPoints{
		CollectionName: x.opts.Collection,
		Limit:          new(uint32(scrollPage)),
		WithPayload:    pb.NewWithPayloadInclude(fieldDocument, fieldGeneration, fieldActive),
	}
	if documentID != uuid.Nil {
		request.Filter = must(ofDocument(documentID))
	}
	return func(yield func(Stored, error) bool) {
		for {
			points, next, err := x.client.ScrollAndOffset(ctx, request)
			if err != nil {
				yield(Stored{}, classify(ctx, "scroll points", err))
				return
			}
			for _, p := range points {
				stored, err := decode(p.GetId(), p.GetPayload())
				if !yield(stored, err) || err != nil {
					return
				}
			}
			if next == nil {
				return
			}
			request.Offset = next
		}
	}
}

func decode(id *pb.PointId, payload map[string]*pb.Value) (Stored, error) {
	passageID, err := uuid.Parse(id.GetUuid())
	if err != nil {
		return Stored{}, fmt.Errorf("qdrant: point %v: id: %w", id, err)
	}
	documentID, err := uuid.Parse(payload[fieldDocument].GetStringValue())
	if err != nil {
		return Stored{}, fmt.Errorf("qdrant: point %s: document id: %w", passageID, err)
	}
	return Stored{
		PassageID:  passageID,
		DocumentID: documentID,
		Generation: int(payload[fieldGeneration].GetIntegerValue()),
		Active:     payload[fieldActive].GetBoolValue(),
	}, nil
}

// Generation names one generation of a document.
type Generation struct {
	DocumentID uuid.UUID
	Number     int
}

// Tally counts points.
type Tally struct {
	Active int
	Total  int
}

// Documents counts the points of every generation in the index. It reads the
// whole collection, a page at a time: it is for reconciling with the ledger.
func (x *Index) Documents(ctx context.Context) (map[Generation]Tally, error) {
	tallies := make(map[Generation]Tally)
	for point, err := range x.Scroll(ctx, uuid.Nil) {
		if err != nil {
			return nil, err
		}
		key := Generation{DocumentID: point.DocumentID, Number: point.Generation}
		tally := tallies[key]
		tally.Total++
		if point.Active {
			tally.Active++
		}
		tallies[key] = tally
	}
	return tallies, nil
}
