package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// twins prints a struct whose fields have snake_case names with each of them in
// camelCase besides, because the clients disagree: {"created_at":…,"createdAt":…}.
// Only the struct's own fields are doubled, not those of structs inside it.
type twins[T any] struct{ V T }

// both returns v printed in both casings.
func both[T any](v T) twins[T] { return twins[T]{v} }

// MarshalJSON implements json.Marshaler.
func (t twins[T]) MarshalJSON() ([]byte, error) { return appendJSON(nil, t) }

// camelCase turns created_at into createdAt.
func camelCase(snake string) string {
	var b strings.Builder
	up := false
	for _, r := range snake {
		if r == '_' {
			up = true
			continue
		}
		if up && 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}

// snakeCase turns createdAt into created_at.
func snakeCase(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unmarshal reads a request's body. The top-level names of an object may be in
// either casing; v sees them in snake_case.
func unmarshal(data []byte, v any) error {
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil || !renameSnake(object) {
		return json.Unmarshal(data, v)
	}
	renamed, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return json.Unmarshal(renamed, v)
}

// renameSnake gives the members of object snake_case names, where those are not
// taken, and reports whether it changed any.
func renameSnake(object map[string]json.RawMessage) bool {
	changed := false
	for _, name := range slices.Collect(maps.Keys(object)) {
		snake := snakeCase(name)
		if _, taken := object[snake]; taken {
			continue
		}
		object[snake] = object[name]
		delete(object, name)
		changed = true
	}
	return changed
}
