package qdrantserver

import (
	pb "github.com/qdrant/go-client/qdrant"
)

// predicate reports whether a point passes.
type predicate func(*point) bool

// filter selects points. Its zero value selects all.
type filter struct {
	match predicate
	// narrow returns points among which all that match are, or false if
	// only looking at every point will do.
	narrow func(*collection) (slotSet, bool)
}

func (f filter) accepts(p *point) bool { return f.match == nil || f.match(p) }

// compileFilters joins filters that must all match.
func compileFilters(filters ...*pb.Filter) (filter, error) {
	var conditions []*pb.Condition
	for _, f := range filters {
		if f != nil {
			conditions = append(conditions, pb.NewFilterAsCondition(f))
		}
	}
	return compileFilter(&pb.Filter{Must: conditions})
}

func compileFilter(f *pb.Filter) (filter, error) {
	must, err := compileConditions(f.GetMust())
	if err != nil {
		return filter{}, err
	}
	should, err := compileConditions(f.GetShould())
	if err != nil {
		return filter{}, err
	}
	mustNot, err := compileConditions(f.GetMustNot())
	if err != nil {
		return filter{}, err
	}
	some, err := compileConditions(f.GetMinShould().GetConditions())
	if err != nil {
		return filter{}, err
	}
	atLeast := int(f.GetMinShould().GetMinCount())
	return filter{
		match: func(p *point) bool {
			return matching(must, p) == len(must) &&
				(len(should) == 0 || matching(should, p) > 0) &&
				matching(mustNot, p) == 0 &&
				(len(some) == 0 || matching(some, p) >= atLeast)
		},
		narrow: narrowest(must),
	}, nil
}

func compileConditions(conditions []*pb.Condition) ([]filter, error) {
	filters := make([]filter, len(conditions))
	for i, c := range conditions {
		var err error
		if filters[i], err = compileCondition(c); err != nil {
			return nil, err
		}
	}
	return filters, nil
}

func matching(filters []filter, p *point) (n int) {
	for _, f := range filters {
		if f.accepts(p) {
			n++
		}
	}
	return n
}

// narrowest picks the smallest set that one of the conditions offers.
func narrowest(must []filter) func(*collection) (slotSet, bool) {
	return func(c *collection) (best slotSet, found bool) {
		for _, f := range must {
			if f.narrow == nil {
				continue
			}
			if set, ok := f.narrow(c); ok && (!found || len(set) < len(best)) {
				best, found = set, true
			}
		}
		return best, found
	}
}

func compileCondition(c *pb.Condition) (filter, error) {
	switch one := c.GetConditionOneOf().(type) {
	case *pb.Condition_Field:
		return compileField(one.Field)
	case *pb.Condition_Filter:
		return compileFilter(one.Filter)
	case *pb.Condition_HasId:
		return compileHasID(one.HasId.GetHasId())
	case *pb.Condition_IsEmpty:
		key := one.IsEmpty.GetKey()
		return filter{match: func(p *point) bool { return isEmpty(p.payload.get(key)) }}, nil
	case *pb.Condition_IsNull:
		key := one.IsNull.GetKey()
		return filter{match: func(p *point) bool {
			_, null := p.payload.get(key).GetKind().(*pb.Value_NullValue)
			return null
		}}, nil
	case *pb.Condition_HasVector:
		name := one.HasVector.GetHasVector()
		return filter{match: func(p *point) bool { return p.vector(name) != nil }}, nil
	default:
		return filter{}, unsupported("filter condition %T", one)
	}
}

func compileHasID(ids []*pb.PointId) (filter, error) {
	parsed, err := parseIDs(ids)
	if err != nil {
		return filter{}, err
	}
	wanted := make(map[pointID]struct{}, len(parsed))
	for _, id := range parsed {
		wanted[id] = struct{}{}
	}
	return filter{
		match: func(p *point) bool {
			_, ok := wanted[p.id]
			return ok
		},
		narrow: func(c *collection) (slotSet, bool) {
			set := make(slotSet, len(wanted))
			for id := range wanted {
				if slot, ok := c.slots[id]; ok {
					set[slot] = struct{}{}
				}
			}
			return set, true
		},
	}, nil
}

func compileField(f *pb.FieldCondition) (filter, error) {
	switch {
	case f.GetMatch() != nil:
		return compileMatch(f.GetKey(), f.GetMatch())
	case f.GetRange() != nil:
		return compileRange(f.GetKey(), f.GetRange()), nil
	case f.IsEmpty != nil:
		return filter{match: func(p *point) bool { return isEmpty(p.payload.get(f.GetKey())) == f.GetIsEmpty() }}, nil
	default:
		return filter{}, unsupported("condition on field %s", f.GetKey())
	}
}

func compileMatch(key string, m *pb.Match) (filter, error) {
	switch value := m.GetMatchValue().(type) {
	case *pb.Match_Keyword:
		return anyOf(key, textScalar(value.Keyword)), nil
	case *pb.Match_Integer:
		return anyOf(key, intScalar(value.Integer)), nil
	case *pb.Match_Boolean:
		return anyOf(key, boolScalar(value.Boolean)), nil
	case *pb.Match_Keywords:
		return anyOf(key, texts(value.Keywords.GetStrings())...), nil
	case *pb.Match_Integers:
		return anyOf(key, integers(value.Integers.GetIntegers())...), nil
	case *pb.Match_ExceptKeywords:
		return noneOf(key, texts(value.ExceptKeywords.GetStrings())...), nil
	case *pb.Match_ExceptIntegers:
		return noneOf(key, integers(value.ExceptIntegers.GetIntegers())...), nil
	default:
		return filter{}, unsupported("match %T", value)
	}
}

func texts(values []string) []scalar {
	scalars := make([]scalar, len(values))
	for i, v := range values {
		scalars[i] = textScalar(v)
	}
	return scalars
}

func integers(values []int64) []scalar {
	scalars := make([]scalar, len(values))
	for i, v := range values {
		scalars[i] = intScalar(v)
	}
	return scalars
}

// anyOf matches points of whose values at key one is wanted.
func anyOf(key string, wanted ...scalar) filter {
	set := make(map[scalar]struct{}, len(wanted))
	for _, w := range wanted {
		set[w] = struct{}{}
	}
	return filter{
		match: func(p *point) bool {
			for _, v := range elements(p.payload.get(key)) {
				if s, ok := scalarOf(v); ok {
					if _, in := set[s]; in {
						return true
					}
				}
			}
			return false
		},
		narrow: func(c *collection) (slotSet, bool) { return c.lookup(key, wanted) },
	}
}

// noneOf matches points that have a value at key which is not unwanted.
func noneOf(key string, unwanted ...scalar) filter {
	excluded := anyOf(key, unwanted...)
	return filter{match: func(p *point) bool {
		return !isEmpty(p.payload.get(key)) && !excluded.accepts(p)
	}}
}

func compileRange(key string, r *pb.Range) filter {
	return filter{match: func(p *point) bool {
		for _, v := range elements(p.payload.get(key)) {
			if n, ok := number(v); ok && within(n, r) {
				return true
			}
		}
		return false
	}}
}

func number(v *pb.Value) (float64, bool) {
	switch kind := v.GetKind().(type) {
	case *pb.Value_IntegerValue:
		return float64(kind.IntegerValue), true
	case *pb.Value_DoubleValue:
		return kind.DoubleValue, true
	default:
		return 0, false
	}
}

func within(n float64, r *pb.Range) bool {
	return (r.Lt == nil || n < r.GetLt()) && (r.Lte == nil || n <= r.GetLte()) &&
		(r.Gt == nil || n > r.GetGt()) && (r.Gte == nil || n >= r.GetGte())
}
