package qdrantserver

import (
	"context"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"
)

// pointsService is the part of the API about points.
type pointsService struct {
	pb.UnimplementedPointsServer
	server *Server
}

func (p pointsService) Upsert(_ context.Context, r *pb.UpsertPoints) (*pb.PointsOperationResponse, error) {
	return p.update(r.GetCollectionName(), pb.NewPointsUpdateUpsert(&pb.PointsUpdateOperation_PointStructList{
		Points: r.GetPoints(), UpdateFilter: r.GetUpdateFilter(), UpdateMode: r.UpdateMode,
	}))
}

func (p pointsService) Delete(_ context.Context, r *pb.DeletePoints) (*pb.PointsOperationResponse, error) {
	return p.update(r.GetCollectionName(), pb.NewPointsUpdateDeletePoints(&pb.PointsUpdateOperation_DeletePoints{
		Points: r.GetPoints(),
	}))
}

func (p pointsService) SetPayload(_ context.Context, r *pb.SetPayloadPoints) (*pb.PointsOperationResponse, error) {
	return p.update(r.GetCollectionName(), pb.NewPointsUpdateSetPayload(&pb.PointsUpdateOperation_SetPayload{
		Payload: r.GetPayload(), PointsSelector: r.GetPointsSelector(), Key: r.Key,
	}))
}

func (p pointsService) OverwritePayload(_ context.Context, r *pb.SetPayloadPoints) (*pb.PointsOperationResponse, error) {
	return p.update(r.GetCollectionName(), pb.NewPointsUpdateOverwritePayload(&pb.PointsUpdateOperation_OverwritePayload{
		Payload: r.GetPayload(), PointsSelector: r.GetPointsSelector(), Key: r.Key,
	}))
}

func (p pointsService) DeletePayload(_ context.Context, r *pb.DeletePayloadPoints) (*pb.PointsOperationResponse, error) {
	return p.update(r.GetCollectionName(), pb.NewPointsUpdateDeletePayload(&pb.PointsUpdateOperation_DeletePayload{
		Keys: r.GetKeys(), PointsSelector: r.GetPointsSelector(),
	}))
}

func (p pointsService) ClearPayload(_ context.Context, r *pb.ClearPayloadPoints) (*pb.PointsOperationResponse, error) {
	return p.update(r.GetCollectionName(), pb.NewPointsUpdateClearPayload(&pb.PointsUpdateOperation_ClearPayload{
		Points: r.GetPoints(),
	}))
}

func (p pointsService) update(collection string, operation *pb.PointsUpdateOperation) (*pb.PointsOperationResponse, error) {
	return p.operate(&pb.UpdateBatchPoints{
		CollectionName: collection, Operations: []*pb.PointsUpdateOperation{operation},
	})
}

func (p pointsService) UpdateBatch(_ context.Context, r *pb.UpdateBatchPoints) (*pb.UpdateBatchResponse, error) {
	done, err := p.operate(r)
	if err != nil {
		return nil, err
	}
	response := &pb.UpdateBatchResponse{Time: done.GetTime()}
	for range r.GetOperations() {
		response.Result = append(response.Result, done.GetResult())
	}
	return response, nil
}

func (p pointsService) CreateFieldIndex(
	_ context.Context, r *pb.CreateFieldIndexCollection,
) (*pb.PointsOperationResponse, error) {
	return p.operate(r)
}

func (p pointsService) DeleteFieldIndex(
	_ context.Context, r *pb.DeleteFieldIndexCollection,
) (*pb.PointsOperationResponse, error) {
	return p.operate(r)
}

func (p pointsService) operate(request proto.Message) (*pb.PointsOperationResponse, error) {
	began := time.Now()
	if err := p.server.mutate(request); err != nil {
		return nil, err
	}
	return &pb.PointsOperationResponse{
		Result: &pb.UpdateResult{Status: pb.UpdateStatus_Completed},
		Time:   time.Since(began).Seconds(),
	}, nil
}

func (p pointsService) Query(_ context.Context, r *pb.QueryPoints) (*pb.QueryResponse, error) {
	began := time.Now()
	results, err := p.query(r.GetCollectionName(), r)
	if err != nil {
		return nil, err
	}
	return &pb.QueryResponse{Result: results[0].GetResult(), Time: time.Since(began).Seconds()}, nil
}

func (p pointsService) QueryBatch(_ context.Context, r *pb.QueryBatchPoints) (*pb.QueryBatchResponse, error) {
	began := time.Now()
	results, err := p.query(r.GetCollectionName(), r.GetQueryPoints()...)
	if err != nil {
		return nil, err
	}
	return &pb.QueryBatchResponse{Result: results, Time: time.Since(began).Seconds()}, nil
}

// query answers queries from one state of the collection.
func (p pointsService) query(collection string, queries ...*pb.QueryPoints) ([]*pb.BatchResult, error) {
	c, err := p.server.collection(collection)
	if err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	results := make([]*pb.BatchResult, len(queries))
	for i, q := range queries {
		found, err := c.run(newSearch(q))
		if err != nil {
			return nil, err
		}
		results[i] = &pb.BatchResult{Result: c.answer(q, found)}
	}
	return results, nil
}

func (p pointsService) Count(_ context.Context, r *pb.CountPoints) (*pb.CountResponse, error) {
	began := time.Now()
	c, err := p.server.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	f, err := compileFilters(r.GetFilter())
	if err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := len(c.slots)
	if r.GetFilter() != nil {
		n = len(c.selectSlots(f))
	}
	return &pb.CountResponse{Result: &pb.CountResult{Count: uint64(n)}, Time: time.Since(began).Seconds()}, nil
}

func (p pointsService) Get(_ context.Context, r *pb.GetPoints) (*pb.GetResponse, error) {
	began := time.Now()
	c, err := p.server.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	ids, err := parseIDs(r.GetIds())
	if err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	response := new(pb.GetResponse)
	retrieve := retriever(r.GetWithPayload(), r.GetWithVectors())
	for _, id := range ids {
		if slot, ok := c.slots[id]; ok {
			response.Result = append(response.Result, retrieve(c.points[slot]))
		}
	}
	response.Time = time.Since(began).Seconds()
	return response, nil
}

func (p pointsService) Scroll(_ context.Context, r *pb.ScrollPoints) (*pb.ScrollResponse, error) {
	began := time.Now()
	c, err := p.server.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if r.GetOrderBy() != nil {
		return nil, unsupported("scroll ordered by a field")
	}
	f, err := compileFilters(r.GetFilter())
	if err != nil {
		return nil, err
	}
	var from *pointID
	if r.GetOffset() != nil {
		id, err := parseID(r.GetOffset())
		if err != nil {
			return nil, err
		}
		from = &id
	}
	limit := defaultLimit
	if r.Limit != nil {
		limit = int(r.GetLimit())
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	found, next := c.page(f, from, limit)
	response := &pb.ScrollResponse{Time: time.Since(began).Seconds()}
	if next != nil {
		response.NextPageOffset = next.proto()
	}
	retrieve := retriever(r.GetWithPayload(), r.GetWithVectors())
	for _, one := range found {
		response.Result = append(response.Result, retrieve(c.points[one.slot]))
	}
	return response, nil
}

// retriever returns what makes a response of a point. Without a selector
// points come with their whole payload.
func retriever(fields *pb.WithPayloadSelector, vectors *pb.WithVectorsSelector) func(*point) *pb.RetrievedPoint {
	keepField, keepVector := payloadSelector(fields, true), vectorSelector(vectors)
	return func(p *point) *pb.RetrievedPoint {
		return &pb.RetrievedPoint{
			Id: p.id.proto(), Payload: p.payload.proto(keepField), Vectors: p.output(keepVector),
		}
	}
}
