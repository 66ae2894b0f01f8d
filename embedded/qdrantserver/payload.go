package qdrantserver

import (
	"maps"
	"slices"
	"strings"

	pb "github.com/qdrant/go-client/qdrant"
)

// field is one entry of a payload. Its value is never changed in place, so
// responses may share it.
type field struct {
	name  string
	value *pb.Value
}

// payload is sorted by name.
type payload []field

func newPayload(values map[string]*pb.Value) payload {
	p := make(payload, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p = append(p, field{name: name, value: values[name]})
	}
	return p
}

func (p payload) get(name string) *pb.Value {
	for _, f := range p {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

func (p payload) with(values map[string]*pb.Value) payload {
	merged := p.proto(func(string) bool { return true })
	maps.Copy(merged, values)
	return newPayload(merged)
}

func (p payload) without(names []string) payload {
	return newPayload(p.proto(func(name string) bool { return !slices.Contains(names, name) }))
}

func (p payload) proto(keep func(name string) bool) map[string]*pb.Value {
	values := make(map[string]*pb.Value, len(p))
	for _, f := range p {
		if keep(f.name) {
			values[f.name] = f.value
		}
	}
	return values
}

// payloadSelector returns which fields a request wants; fallback is what no
// selector means.
func payloadSelector(selector *pb.WithPayloadSelector, fallback bool) func(name string) bool {
	switch option := selector.GetSelectorOptions().(type) {
	case *pb.WithPayloadSelector_Enable:
		return func(string) bool { return option.Enable }
	case *pb.WithPayloadSelector_Include:
		return func(name string) bool { return slices.Contains(option.Include.GetFields(), name) }
	case *pb.WithPayloadSelector_Exclude:
		return func(name string) bool { return !slices.Contains(option.Exclude.GetFields(), name) }
	default:
		return func(string) bool { return fallback }
	}
}

// scalar is a payload value that filters can match, as a map key.
type scalar struct {
	kind   byte // 's' text, 'i' integer, 'b' boolean
	text   string
	number int64
}

func textScalar(s string) scalar { return scalar{kind: 's', text: s} }

func intScalar(n int64) scalar { return scalar{kind: 'i', number: n} }

func boolScalar(b bool) scalar {
	if b {
		return scalar{kind: 'b', number: 1}
	}
	return scalar{kind: 'b'}
}

func scalarOf(v *pb.Value) (scalar, bool) {
	switch kind := v.GetKind().(type) {
	case *pb.Value_StringValue:
		return textScalar(kind.StringValue), true
	case *pb.Value_IntegerValue:
		return intScalar(kind.IntegerValue), true
	case *pb.Value_BoolValue:
		return boolScalar(kind.BoolValue), true
	default:
		return scalar{}, false
	}
}

// elements returns the values a condition looks at: those of a list, or the
// value itself.
func elements(v *pb.Value) []*pb.Value {
	if v == nil {
		return nil
	}
	if list := v.GetListValue(); list != nil {
		return list.GetValues()
	}
	return []*pb.Value{v}
}

func isEmpty(v *pb.Value) bool {
	if v == nil {
		return true
	}
	if _, null := v.GetKind().(*pb.Value_NullValue); null {
		return true
	}
	list := v.GetListValue()
	return list != nil && len(list.GetValues()) == 0
}

// slotSet is a set of points.
type slotSet map[int32]struct{}

// fieldIndex finds points by a field's value. It also keeps one copy of a
// value for all points that have it.
type fieldIndex struct {
	schema  *pb.PayloadSchemaInfo
	request *pb.CreateFieldIndexCollection // what created it, for the snapshot
	entries map[scalar]*indexEntry
}

type indexEntry struct {
	value *pb.Value
	slots slotSet
}

func newFieldIndex(request *pb.CreateFieldIndexCollection) *fieldIndex {
	return &fieldIndex{
		schema:  &pb.PayloadSchemaInfo{DataType: schemaType(request.GetFieldType()), Params: request.GetFieldIndexParams()},
		request: request,
		entries: make(map[scalar]*indexEntry),
	}
}

// schemaType translates by name: FieldTypeUuid is the PayloadSchemaType Uuid.
func schemaType(t pb.FieldType) pb.PayloadSchemaType {
	name := strings.TrimPrefix(t.String(), "FieldType")
	return pb.PayloadSchemaType(pb.PayloadSchemaType_value[name])
}

// add returns the copy of the value to keep.
func (x *fieldIndex) add(v *pb.Value, slot int32) *pb.Value {
	for _, element := range elements(v) {
		key, ok := scalarOf(element)
		if !ok {
			continue
		}
		entry := x.entries[key]
		if entry == nil {
			entry = &indexEntry{value: element, slots: make(slotSet)}
			x.entries[key] = entry
		}
		entry.slots[slot] = struct{}{}
		if element == v {
			v = entry.value
		}
	}
	return v
}

func (x *fieldIndex) remove(v *pb.Value, slot int32) {
	for _, element := range elements(v) {
		key, _ := scalarOf(element)
		entry := x.entries[key]
		if entry == nil {
			continue
		}
		delete(entry.slots, slot)
		if len(entry.slots) == 0 {
			delete(x.entries, key)
		}
	}
}

func (x *fieldIndex) find(key scalar) slotSet {
	if entry := x.entries[key]; entry != nil {
		return entry.slots
	}
	return nil
}
