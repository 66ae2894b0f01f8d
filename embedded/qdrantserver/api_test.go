package qdrantserver_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/voiceassist/backend/embedded/qdrantserver"
)

const things = "things"

// newClient returns Qdrant's own client on a new server that holds an empty
// collection of two-dimensional and sparse vectors.
func newClient(t *testing.T) *pb.Client {
	t.Helper()
	server := startServer(t, t.TempDir())
	var host string
	var port int
	if _, err := fmt.Sscanf(strings.Replace(server.Addr(), ":", " ", 1), "%s %d", &host, &port); err != nil {
		t.Fatal(err)
	}
	client, err := pb.NewClient(&pb.Config{Host: host, Port: port, PoolSize: 1, SkipCompatibilityCheck: true})
	mustDo(t, err)
	t.Cleanup(func() { mustDo(t, client.Close()) })
	mustDo(t, client.CreateCollection(t.Context(), &pb.CreateCollection{
		CollectionName: things,
		VectorsConfig: pb.NewVectorsConfigMap(map[string]*pb.VectorParams{
			"dense": {Size: 2, Distance: pb.Distance_Cosine},
		}),
		SparseVectorsConfig: pb.NewSparseVectorsConfig(map[string]*pb.SparseVectorParams{
			"plain": {}, "words": {Modifier: new(pb.Modifier_Idf)},
		}),
	}))
	return client
}

func put(t *testing.T, client *pb.Client, points ...*pb.PointStruct) {
	t.Helper()
	_, err := client.Upsert(t.Context(), &pb.UpsertPoints{CollectionName: things, Points: points})
	mustDo(t, err)
}

func thing(id uint64, payload map[string]any) *pb.PointStruct {
	return &pb.PointStruct{
		Id: pb.NewIDNum(id), Payload: pb.NewValueMap(payload),
		Vectors: pb.NewVectorsMap(map[string]*pb.Vector{"dense": pb.NewVectorDense([]float32{float32(id), 1})}),
	}
}

// found lists the ids that a filter selects.
func found(t *testing.T, client *pb.Client, filter *pb.Filter) []uint64 {
	t.Helper()
	points, err := client.Scroll(t.Context(), &pb.ScrollPoints{
		CollectionName: things, Filter: filter, Limit: new(uint32(100)),
	})
	mustDo(t, err)
	ids := make([]uint64, len(points))
	for i, p := range points {
		ids[i] = p.GetId().GetNum()
	}
	n, err := client.Count(t.Context(), &pb.CountPoints{CollectionName: things, Filter: filter})
	mustDo(t, err)
	if int(n) != len(ids) {
		t.Errorf("Count = %d of a filter that scrolls through %v", n, ids)
	}
	return ids
}

func TestFiltersSelectAsInQdrant(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	put(t, client,
		thing(1, map[string]any{"colour": "red", "size": 10, "sold": true}),
		thing(2, map[string]any{"colour": "blue", "size": 20, "sold": false, "tags": []any{"old", "rare"}}),
		thing(3, map[string]any{"colour": "red", "size": 30.5, "tags": []any{}, "note": nil}),
		thing(4, map[string]any{"colour": 7}),
	)
	must := func(c ...*pb.Condition) *pb.Filter { return &pb.Filter{Must: c} }
	red, blue := pb.NewMatch("colour", "red"), pb.NewMatch("colour", "blue")
	tests := map[string]struct {
		filter *pb.Filter
		want   []uint64
	}{
		"none":               {nil, []uint64{1, 2, 3, 4}},
		"empty":              {&pb.Filter{}, []uint64{1, 2, 3, 4}},
		"keyword":            {must(red), []uint64{1, 3}},
		"another type":       {must(pb.NewMatch("colour", "7")), nil},
		"integer":            {must(pb.NewMatchInt("size", 20)), []uint64{2}},
		"boolean":            {must(pb.NewMatchBool("sold", false)), []uint64{2}},
		"any keyword":        {must(pb.NewMatchKeywords("colour", "red", "blue", "green")), []uint64{1, 2, 3}},
		"any integer":        {must(pb.NewMatchInts("size", 10, 20)), []uint64{1, 2}},
		"except":             {must(pb.NewMatchExcept("colour", "red")), []uint64{2, 4}},
		"element of a list":  {must(pb.NewMatch("tags", "rare")), []uint64{2}},
		"range":              {must(pb.NewRange("size", &pb.Range{Gt: new(10.0), Lte: new(30.5)})), []uint64{2, 3}},
		"empty field":        {must(pb.NewIsEmpty("tags")), []uint64{1, 3, 4}},
		"null field":         {must(pb.NewIsNull("note")), []uint64{3}},
		"ids":                {must(pb.NewHasID(pb.NewIDNum(4), pb.NewIDNum(9), pb.NewIDNum(1))), []uint64{1, 4}},
		"two conditions":     {must(red, pb.NewMatchBool("sold", true)), []uint64{1}},
		"should":             {&pb.Filter{Should: []*pb.Condition{blue, pb.NewMatchInt("size", 10)}}, []uint64{1, 2}},
		"must not":           {&pb.Filter{MustNot: []*pb.Condition{red}}, []uint64{2, 4}},
		"must and must not":  {&pb.Filter{Must: []*pb.Condition{red}, MustNot: []*pb.Condition{pb.NewMatchInt("size", 10)}}, []uint64{3}},
		"filter in a filter": {must(pb.NewFilterAsCondition(&pb.Filter{Should: []*pb.Condition{red, blue}}), pb.NewIsEmpty("tags")), []uint64{1, 3}},
		"at least two":       {&pb.Filter{MinShould: &pb.MinShould{MinCount: 2, Conditions: []*pb.Condition{red, blue, pb.NewMatchInt("size", 20)}}}, []uint64{2}},
		"has a vector":       {must(pb.NewHasVector("dense")), []uint64{1, 2, 3, 4}},
		"has no vector":      {must(pb.NewHasVector("words")), nil},
		"unknown field":      {must(pb.NewMatch("weight", "red")), nil},
	}
	check := func(when string) {
		for name, test := range tests {
			if diff := cmp.Diff(test.want, found(t, client, test.filter), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("filter %q %s (-want +got):\n%s", name, when, diff)
			}
		}
	}
	check("without indexes")
	for field, kind := range map[string]pb.FieldType{
		"colour": pb.FieldType_FieldTypeKeyword, "size": pb.FieldType_FieldTypeInteger,
		"sold": pb.FieldType_FieldTypeBool, "tags": pb.FieldType_FieldTypeKeyword,
	} {
		_, err := client.CreateFieldIndex(t.Context(), &pb.CreateFieldIndexCollection{
			CollectionName: things, FieldName: field, FieldType: &kind,
		})
		mustDo(t, err)
	}
	check("with indexes")
}

func TestPayloadsChangeWithTheirIndexes(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	_, err := client.CreateFieldIndex(t.Context(), &pb.CreateFieldIndexCollection{
		CollectionName: things, FieldName: "colour", FieldType: new(pb.FieldType_FieldTypeKeyword),
	})
	mustDo(t, err)
	put(t, client, thing(1, map[string]any{"colour": "red", "size": 1}), thing(2, map[string]any{"colour": "red", "size": 2}))
	one := pb.NewPointsSelector(pb.NewIDNum(1))
	red := &pb.Filter{Must: []*pb.Condition{pb.NewMatch("colour", "red")}}
	blue := &pb.Filter{Must: []*pb.Condition{pb.NewMatch("colour", "blue")}}
	check := func(what string, filter *pb.Filter, want ...uint64) {
		t.Helper()
		if diff := cmp.Diff(want, found(t, client, filter), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}

	_, err = client.SetPayload(t.Context(), &pb.SetPayloadPoints{
		CollectionName: things, PointsSelector: one, Payload: pb.NewValueMap(map[string]any{"colour": "blue"}),
	})
	mustDo(t, err)
	check("red after set", red, 2)
	check("blue after set", blue, 1)
	check("size after set", &pb.Filter{Must: []*pb.Condition{pb.NewMatchInt("size", 1)}}, 1)

	_, err = client.DeletePayload(t.Context(), &pb.DeletePayloadPoints{
		CollectionName: things, PointsSelector: one, Keys: []string{"colour"},
	})
	mustDo(t, err)
	check("blue after delete", blue)

	_, err = client.OverwritePayload(t.Context(), &pb.SetPayloadPoints{
		CollectionName: things, PointsSelector: pb.NewPointsSelectorFilter(red), Payload: pb.NewValueMap(map[string]any{"colour": "blue"}),
	})
	mustDo(t, err)
	check("blue after overwrite", blue, 2)
	check("size after overwrite", &pb.Filter{Must: []*pb.Condition{pb.NewMatchInt("size", 2)}})

	_, err = client.ClearPayload(t.Context(), &pb.ClearPayloadPoints{
		CollectionName: things, Points: pb.NewPointsSelectorFilter(&pb.Filter{}),
	})
	mustDo(t, err)
	check("blue after clear", blue)
	check("all after clear", nil, 1, 2)
}

func sparse(id uint64, name string, indices []uint32, values []float32) *pb.PointStruct {
	return &pb.PointStruct{
		Id:      pb.NewIDNum(id),
		Vectors: pb.NewVectorsMap(map[string]*pb.Vector{name: pb.NewVectorSparse(indices, values)}),
	}
}

func scores(t *testing.T, client *pb.Client, query *pb.QueryPoints) map[uint64]float64 {
	t.Helper()
	query.CollectionName = things
	points, err := client.Query(t.Context(), query)
	mustDo(t, err)
	if !slices.IsSortedFunc(points, func(a, b *pb.ScoredPoint) int {
		return -compareScores(a.GetScore(), b.GetScore())
	}) {
		t.Errorf("points are not the best first: %v", points)
	}
	got := make(map[uint64]float64)
	for _, p := range points {
		got[p.GetId().GetNum()] = float64(p.GetScore())
	}
	return got
}

func compareScores(a, b float32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

var nearly = cmpopts.EquateApprox(1e-5, 1e-6)

func TestSparseScoresAreDotProductsTimesIDF(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	for _, name := range []string{"plain", "words"} {
		put(t, client,
			sparse(1, name, []uint32{5, 1}, []float32{2, 3}), sparse(2, name, []uint32{5}, []float32{-1}),
			sparse(3, name, []uint32{9}, []float32{4}), sparse(4, name, []uint32{9}, []float32{1}),
		)
		_, err := client.Delete(t.Context(), &pb.DeletePoints{
			CollectionName: things, Points: pb.NewPointsSelector(pb.NewIDNum(4)),
		})
		mustDo(t, err)
		idf := func(n float64) float64 { return 1 }
		if name == "words" {
			idf = func(n float64) float64 { return math.Log((3-n+0.5)/(n+0.5) + 1) }
		}
		got := scores(t, client, &pb.QueryPoints{
			Query: pb.NewQuerySparse([]uint32{1, 5, 77}, []float32{1, 0.5, 8}), Using: &name,
		})
		want := map[uint64]float64{1: 3*idf(1) + idf(2), 2: -0.5 * idf(2)}
		if diff := cmp.Diff(want, got, nearly); diff != "" {
			t.Errorf("scores by %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFusionAddsReciprocalRanks(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	put(t, client, thing(1, nil), thing(2, nil), thing(3, nil))
	prefetch := []*pb.PrefetchQuery{
		{Query: pb.NewQueryDense([]float32{1, 0}), Using: new("dense")},                        // 3 2 1
		{Query: pb.NewQueryDense([]float32{0, 1}), Using: new("dense"), Limit: new(uint64(2))}, // 1 2
	}
	for name, test := range map[string]struct {
		query *pb.Query
		want  map[uint64]float64
	}{
		"Qdrant's default": {pb.NewQueryFusion(pb.Fusion_RRF), map[uint64]float64{1: 1./4 + 1./2, 2: 1./3 + 1./3, 3: 1. / 2}},
		"k of 61":          {pb.NewQueryRRF(&pb.Rrf{K: new(uint32(61))}), map[uint64]float64{1: 1./63 + 1./61, 2: 1./62 + 1./62, 3: 1. / 61}},
		"weights":          {pb.NewQueryRRF(&pb.Rrf{Weights: []float32{2, 1}}), map[uint64]float64{1: 1/2.5 + 1./2, 2: 1./2 + 1./3, 3: 1 / 1.5}},
		"another vector":   {pb.NewQueryDense([]float32{1, 0}), map[uint64]float64{1: 1 / math.Sqrt2, 2: 2 / math.Sqrt(5), 3: 3 / math.Sqrt(10)}},
	} {
		query := &pb.QueryPoints{Prefetch: prefetch, Query: test.query}
		if name == "another vector" {
			query.Using = new("dense")
		}
		if diff := cmp.Diff(test.want, scores(t, client, query), nearly); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	threshold := &pb.QueryPoints{Query: pb.NewQueryDense([]float32{1, 0}), Using: new("dense"), ScoreThreshold: new(float32(0.8))}
	if got := scores(t, client, threshold); len(got) != 2 {
		t.Errorf("scores over 0.8 = %v, want two", got)
	}
}

func TestAliasesPointAtCollections(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	put(t, client, thing(1, nil))
	mustDo(t, client.CreateAlias(t.Context(), "current", things))
	mustDo(t, client.RenameAlias(t.Context(), "current", "latest"))
	n, err := client.Count(t.Context(), &pb.CountPoints{CollectionName: "latest"})
	if err != nil || n != 1 {
		t.Errorf("Count through the alias = %d, %v, want 1", n, err)
	}
	aliases, err := client.ListAliases(t.Context())
	if err != nil || len(aliases) != 1 || aliases[0].GetAliasName() != "latest" {
		t.Errorf("ListAliases = %v, %v, want latest", aliases, err)
	}
	mustDo(t, client.DeleteCollection(t.Context(), things))
	if _, err := client.Count(t.Context(), &pb.CountPoints{CollectionName: "latest"}); status.Code(err) != codes.NotFound {
		t.Errorf("Count after the collection went = %v, want NotFound", err)
	}
}

func TestWhatIsWrongChangesNothing(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	put(t, client, thing(1, nil))
	bad := map[string]*pb.PointStruct{
		"no id":             {Vectors: pb.NewVectorsMap(nil)},
		"a bad UUID":        {Id: pb.NewIDUUID("no"), Vectors: pb.NewVectorsMap(nil)},
		"an unknown vector": sparse(3, "unheard", []uint32{1}, []float32{1}),
		"a repeated index":  sparse(3, "words", []uint32{1, 1}, []float32{1, 1}),
		"an uneven vector":  sparse(3, "words", []uint32{1, 2}, []float32{1}),
		"not a number":      sparse(3, "words", []uint32{1}, []float32{float32(math.NaN())}),
		"three dimensions":  {Id: pb.NewIDNum(3), Vectors: pb.NewVectorsMap(map[string]*pb.Vector{"dense": pb.NewVectorDense([]float32{1, 2, 3})})},
	}
	for name, point := range bad {
		_, err := client.Upsert(t.Context(), &pb.UpsertPoints{CollectionName: things, Points: []*pb.PointStruct{thing(2, nil), point}})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("Upsert of a point with %s = %v, want InvalidArgument", name, err)
		}
	}
	for name, query := range map[string]*pb.Query{
		"sample": pb.NewQuerySample(pb.Sample_Random), "order": pb.NewQueryOrderBy(&pb.OrderBy{Key: "size"}),
		"fusion by distribution": pb.NewQueryFusion(pb.Fusion_DBSF),
	} {
		_, err := client.Query(t.Context(), &pb.QueryPoints{CollectionName: things, Query: query})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("Query by %s = %v, want Unimplemented", name, err)
		}
	}
	if diff := cmp.Diff([]uint64{1}, found(t, client, nil)); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
}

func TestReplacingPointsOftenKeepsScores(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	batch := make([]*pb.PointStruct, 3000)
	for i := range batch {
		batch[i] = sparse(uint64(i), "words", []uint32{uint32(i % 7), 100}, []float32{float32(i), 1})
	}
	query := &pb.QueryPoints{Query: pb.NewQuerySparse([]uint32{3, 100}, []float32{1, 1}), Using: new("words"), Limit: new(uint64(50))}
	put(t, client, batch...)
	before := scores(t, client, query)
	for range 4 { // enough empty slots to be closed
		put(t, client, batch...)
	}
	if diff := cmp.Diff(before, scores(t, client, query)); diff != "" {
		t.Errorf("scores after replacing every point (-before +after):\n%s", diff)
	}
}

func TestServerAnswersTheClientsVersionCheck(t *testing.T) {
	t.Parallel()
	reply, err := newClient(t).HealthCheck(t.Context())
	mustDo(t, err)
	if !pb.IsCompatible("1.17.1", reply.GetVersion()) || reply.GetVersion() != qdrantserver.Version {
		t.Errorf("version %q is not compatible with the client's", reply.GetVersion())
	}
}
