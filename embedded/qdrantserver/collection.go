package qdrantserver

import (
	"slices"
	"sync"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"
)

// collection is the points of one name. Points live in slots, which are only
// ever appended: replacing a point empties its slot and fills a new one, and
// compact closes the gaps when they outnumber the points.
//
// The configuration never changes. mu guards the rest; writers also hold the
// server's writer lock, so they may read without mu.
type collection struct {
	request *pb.CreateCollection // what created it

	mu      sync.RWMutex
	points  []*point // by slot; nil where a point went
	slots   map[pointID]int32
	sparse  map[string]*sparseIndex
	dense   map[string]*denseIndex
	fields  map[string]*fieldIndex
	bytes   int64  // what the points take in the log
	version uint64 // of the last mutation
}

// point is one point. Mutations replace its payload, never change it.
type point struct {
	id      pointID
	payload payload
	vectors []vector
	bytes   int64
	version uint64
}

func (p *point) vector(name string) *vector {
	for i := range p.vectors {
		if p.vectors[i].name == name {
			return &p.vectors[i]
		}
	}
	return nil
}

func newCollection(request *pb.CreateCollection) (*collection, error) {
	c := &collection{
		request: request,
		slots:   make(map[pointID]int32),
		sparse:  make(map[string]*sparseIndex),
		dense:   make(map[string]*denseIndex),
		fields:  make(map[string]*fieldIndex),
	}
	named := request.GetVectorsConfig().GetParamsMap().GetMap()
	if plain := request.GetVectorsConfig().GetParams(); plain != nil {
		named = map[string]*pb.VectorParams{"": plain}
	}
	for name, params := range named {
		index, err := newDenseIndex(params)
		if err != nil {
			return nil, err
		}
		c.dense[name] = index
	}
	for name, params := range request.GetSparseVectorsConfig().GetMap() {
		if c.dense[name] != nil {
			return nil, invalid("vector %q is both dense and sparse", name)
		}
		c.sparse[name] = newSparseIndex(params.GetModifier() == pb.Modifier_Idf)
	}
	return c, nil
}

// info must be called with mu held.
func (c *collection) info() *pb.CollectionInfo {
	schema := make(map[string]*pb.PayloadSchemaInfo, len(c.fields))
	for name, index := range c.fields {
		schema[name] = index.schema
	}
	indexed := 0
	for _, index := range c.sparse {
		indexed += index.count
	}
	return &pb.CollectionInfo{
		Status:              pb.CollectionStatus_Green,
		OptimizerStatus:     &pb.OptimizerStatus{Ok: true},
		SegmentsCount:       1,
		PointsCount:         new(uint64(len(c.slots))),
		IndexedVectorsCount: new(uint64(indexed)),
		PayloadSchema:       schema,
		Config: &pb.CollectionConfig{Params: &pb.CollectionParams{
			ShardNumber:         1,
			VectorsConfig:       c.request.GetVectorsConfig(),
			SparseVectorsConfig: c.request.GetSparseVectorsConfig(),
		}},
	}
}

// put stores a point in a new slot, in place of the one with its id.
func (c *collection) put(p *point) {
	c.remove(p.id)
	slot := int32(len(c.points))
	c.points = append(c.points, p)
	c.slots[p.id] = slot
	c.bytes += p.bytes
	c.indexPayload(slot, p)
	for i := range p.vectors {
		v := &p.vectors[i]
		if v.sparse {
			c.sparse[v.name].add(slot, v)
			continue
		}
		c.dense[v.name].set(slot, v.values)
	}
}

func (c *collection) remove(id pointID) {
	slot, ok := c.slots[id]
	if !ok {
		return
	}
	p := c.points[slot]
	delete(c.slots, id)
	c.points[slot] = nil
	c.bytes -= p.bytes
	c.unindexPayload(slot, p)
	for i := range p.vectors {
		v := &p.vectors[i]
		if v.sparse {
			c.sparse[v.name].remove(v)
			continue
		}
		c.dense[v.name].remove(slot)
	}
}

// replacePayload gives a point another payload.
func (c *collection) replacePayload(slot int32, to payload) {
	p := c.points[slot]
	c.unindexPayload(slot, p)
	p.payload = to
	c.indexPayload(slot, p)
}

func (c *collection) indexPayload(slot int32, p *point) {
	for i, f := range p.payload {
		if index := c.fields[f.name]; index != nil {
			p.payload[i] = field{name: index.request.GetFieldName(), value: index.add(f.value, slot)}
		}
	}
}

func (c *collection) unindexPayload(slot int32, p *point) {
	for _, f := range p.payload {
		if index := c.fields[f.name]; index != nil {
			index.remove(f.value, slot)
		}
	}
}

// addField indexes a field of the payloads, once.
func (c *collection) addField(request *pb.CreateFieldIndexCollection) {
	name := request.GetFieldName()
	if c.fields[name] != nil {
		return
	}
	index := newFieldIndex(request)
	c.fields[name] = index
	for slot, p := range c.points {
		if p == nil {
			continue
		}
		for i, f := range p.payload {
			if f.name == name {
				p.payload[i].value = index.add(f.value, int32(slot))
			}
		}
	}
}

// lookup returns the points that have one of the values, if the field is
// indexed.
func (c *collection) lookup(name string, wanted []scalar) (slotSet, bool) {
	index := c.fields[name]
	if index == nil {
		return nil, false
	}
	if len(wanted) == 1 {
		return index.find(wanted[0]), true
	}
	union := make(slotSet)
	for _, key := range wanted {
		for slot := range index.find(key) {
			union[slot] = struct{}{}
		}
	}
	return union, true
}

func (c *collection) narrow(f filter) (slotSet, bool) {
	if f.narrow == nil {
		return nil, false
	}
	return f.narrow(c)
}

// selectSlots returns the points that a filter accepts, in no order.
func (c *collection) selectSlots(f filter) []int32 {
	var slots []int32
	if set, ok := c.narrow(f); ok {
		for slot := range set {
			if f.accepts(c.points[slot]) {
				slots = append(slots, slot)
			}
		}
		return slots
	}
	for slot, p := range c.points {
		if p != nil && f.accepts(p) {
			slots = append(slots, int32(slot))
		}
	}
	return slots
}

// gaps is how many empty slots are worth closing.
const gaps = 4096

// compact moves the points together when most slots are empty.
func (c *collection) compact() {
	empty := len(c.points) - len(c.slots)
	if empty < gaps || empty < len(c.slots) {
		return
	}
	living := slices.DeleteFunc(c.points, func(p *point) bool { return p == nil })
	fresh, err := newCollection(c.request)
	if err != nil {
		panic("qdrantserver: a configuration that was valid is not: " + err.Error())
	}
	for _, index := range c.fields {
		fresh.addField(index.request)
	}
	for _, p := range living {
		fresh.put(p)
	}
	c.points, c.slots, c.bytes = fresh.points, fresh.slots, fresh.bytes
	c.sparse, c.dense, c.fields = fresh.sparse, fresh.dense, fresh.fields
}

// encode returns the point as a request would bring it.
func (p *point) encode() *pb.PointStruct {
	vectors := make(map[string]*pb.Vector, len(p.vectors))
	for i := range p.vectors {
		vectors[p.vectors[i].name] = p.vectors[i].input()
	}
	return &pb.PointStruct{
		Id:      p.id.proto(),
		Payload: p.payload.proto(func(string) bool { return true }),
		Vectors: pb.NewVectorsMap(vectors),
	}
}

// decode turns a point of a request into ours.
func (c *collection) decode(in *pb.PointStruct) (*point, error) {
	id, err := parseID(in.GetId())
	if err != nil {
		return nil, err
	}
	vectors, err := c.vectors(in.GetVectors())
	if err != nil {
		return nil, err
	}
	return &point{
		id: id, payload: newPayload(in.GetPayload()), vectors: vectors, bytes: int64(proto.Size(in)),
	}, nil
}
