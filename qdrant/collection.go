package qdrant

import (
	"context"
	"fmt"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	voiceassist "github.com/voiceassist/backend"
)

// The vectors of a point.
const (
	sparseVector = "bm25"
	denseVector  = "dense"
)

// The payload of a point.
const (
	fieldDocument   = "document_id"
	fieldGeneration = "generation"
	fieldActive     = "active"
	fieldSource     = "source_type"
	fieldSpecialty  = "specialty"
	fieldCategory   = "category"
)

// indexedFields are the fields that filters select by.
var indexedFields = []struct {
	name string
	kind pb.FieldType
}{
	{fieldDocument, pb.FieldType_FieldTypeUuid},
	{fieldGeneration, pb.FieldType_FieldTypeInteger},
	{fieldActive, pb.FieldType_FieldTypeBool},
	{fieldSource, pb.FieldType_FieldTypeKeyword},
	{fieldSpecialty, pb.FieldType_FieldTypeKeyword},
	{fieldCategory, pb.FieldType_FieldTypeKeyword},
}

// Ensure creates the collection and its payload indexes where they are
// missing. A collection of that name with other vectors is a Conflict.
func (x *Index) Ensure(ctx context.Context) error {
	info, err := x.client.GetCollectionInfo(ctx, x.opts.Collection)
	if status.Code(err) == codes.NotFound {
		info, err = x.create(ctx)
	}
	if err != nil {
		return classify(ctx, "ensure collection", err)
	}
	if err := x.check(info.GetConfig().GetParams()); err != nil {
		return err
	}
	for _, field := range indexedFields {
		if _, ok := info.GetPayloadSchema()[field.name]; ok {
			continue
		}
		_, err := x.client.CreateFieldIndex(ctx, &pb.CreateFieldIndexCollection{
			CollectionName: x.opts.Collection,
			Wait:           new(true),
			FieldName:      field.name,
			FieldType:      new(field.kind),
		})
		if err != nil {
			return classify(ctx, "index field "+field.name, err)
		}
	}
	return nil
}

func (x *Index) create(ctx context.Context) (*pb.CollectionInfo, error) {
	request := &pb.CreateCollection{
		CollectionName: x.opts.Collection,
		SparseVectorsConfig: pb.NewSparseVectorsConfig(map[string]*pb.SparseVectorParams{
			sparseVector: {Modifier: new(pb.Modifier_Idf)},
		}),
	}
	if x.opts.Dim > 0 {
		request.VectorsConfig = pb.NewVectorsConfigMap(map[string]*pb.VectorParams{
			denseVector: {Size: uint64(x.opts.Dim), Distance: pb.Distance_Cosine},
		})
	}
	createErr := x.client.CreateCollection(ctx, request)
	info, err := x.client.GetCollectionInfo(ctx, x.opts.Collection)
	if err != nil && createErr != nil {
		return nil, createErr
	}
	return info, err // another process may have created it first
}

func (x *Index) check(params *pb.CollectionParams) error {
	sparse := params.GetSparseVectorsConfig().GetMap()[sparseVector]
	if sparse.GetModifier() != pb.Modifier_Idf {
		return x.conflict("has no sparse vector %q with the IDF modifier", sparseVector)
	}
	dense := params.GetVectorsConfig().GetParamsMap().GetMap()[denseVector]
	if int(dense.GetSize()) != x.opts.Dim {
		return x.conflict("holds dense vectors of %d numbers, not %d", dense.GetSize(), x.opts.Dim)
	}
	if x.opts.Dim > 0 && dense.GetDistance() != pb.Distance_Cosine {
		return x.conflict("compares dense vectors by %s, not by cosine", dense.GetDistance())
	}
	return nil
}

func (x *Index) conflict(format string, args ...any) error {
	return voiceassist.Errorf(voiceassist.Conflict, "collection %s %s; name another one or delete it",
		x.opts.Collection, fmt.Sprintf(format, args...))
}

// Drop deletes the collection with everything in it. It is nil when there is
// none.
func (x *Index) Drop(ctx context.Context) error {
	exists, err := x.client.CollectionExists(ctx, x.opts.Collection)
	if err != nil || !exists {
		return classify(ctx, "drop collection", err)
	}
	return classify(ctx, "drop collection", x.client.DeleteCollection(ctx, x.opts.Collection))
}

// Stats are the server's figures of a collection.
type Stats struct {
	Points   int    // active or not; approximate while the server optimises
	Segments int    // 1 on the embedded server
	Status   string // Green when nothing is being optimised
}

// Stats returns the server's figures of the collection.
func (x *Index) Stats(ctx context.Context) (Stats, error) {
	info, err := x.client.GetCollectionInfo(ctx, x.opts.Collection)
	if err != nil {
		return Stats{}, classify(ctx, "stats", err)
	}
	return Stats{
		Points:   int(info.GetPointsCount()),
		Segments: int(info.GetSegmentsCount()),
		Status:   info.GetStatus().String(),
	}, nil
}
