package httpapi

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// optional is a member of a body that may be missing, null or a value, where
// the three mean different things.
type optional[T any] struct {
	given bool // null or a value
	value T    // the zero value for null
}

// UnmarshalJSON implements json.Unmarshaler. It is not called for what is
// missing.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.given = true
	return json.Unmarshal(data, &o.value)
}

// Schema implements huma.SchemaProvider.
func (o optional[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	s.Nullable = true
	return &s
}

// pointer returns nil for what is missing, and the zero value for null.
func (o optional[T]) pointer() *T {
	if !o.given {
		return nil
	}
	return &o.value
}

// or returns what p points to, or otherwise without it.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
