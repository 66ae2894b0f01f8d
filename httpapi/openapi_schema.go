package httpapi

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// object is a JSON object of the OpenAPI document.
type object = map[string]any

// schemas makes JSON Schemas of what handlers return, as encoding/json and this
// package print it. Structs become components, which the others refer to.
type schemas struct {
	components map[string]object
	names      map[shape]string
	huma       huma.Registry // of types that describe themselves
}

// shape is a struct as it is printed: with each name once, or in both casings.
type shape struct {
	typ     reflect.Type
	doubled bool
}

func newSchemas(r huma.Registry) *schemas {
	return &schemas{components: map[string]object{}, names: map[shape]string{}, huma: r}
}

// doubler is what twins of every type have in common.
type doubler interface{ single() reflect.Type }

func (twins[T]) single() reflect.Type { return reflect.TypeFor[T]() }

// lister is what arrays of every type have in common.
type lister interface{ row() reflect.Type }

func (array[T]) row() reflect.Type { return reflect.TypeFor[T]() }

// chooser is a body that is printed as one of several structs.
type chooser interface{ choices() []reflect.Type }

var (
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	selfDescribedType = reflect.TypeFor[huma.SchemaProvider]()
)

// of returns the schema of a type's values. Lists and maps are never null: the
// handlers send empty ones.
func (s *schemas) of(t reflect.Type) object {
	if t.Kind() == reflect.Pointer {
		return nullable(s.of(t.Elem()))
	}
	switch v := reflect.Zero(t).Interface().(type) {
	case doubler:
		return s.component(shape{v.single(), true})
	case lister:
		return object{"type": "array", "items": s.of(v.row())}
	case chooser:
		return oneOf(v.choices(), s.of)
	case time.Time:
		return object{"type": "string", "format": "date-time"}
	case uuid.UUID:
		return object{"type": "string", "format": "uuid"}
	}
	switch {
	case t.Implements(selfDescribedType):
		return humaSchema(reflect.Zero(t).Interface().(huma.SchemaProvider).Schema(s.huma))
	case t.Implements(marshalerType) || reflect.PointerTo(t).Implements(marshalerType):
		return object{}
	case t.Implements(textMarshalerType):
		return object{"type": "string"}
	}
	return s.ofKind(t)
}

// oneOf is the schema of a value that is of one of several types.
func oneOf(types []reflect.Type, schemaOf func(reflect.Type) object) object {
	each := make([]any, len(types))
	for i, t := range types {
		each[i] = schemaOf(t)
	}
	return object{"oneOf": each}
}

func (s *schemas) ofKind(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.component(shape{t, false})
	default: // an interface holds anything
		return object{}
	}
}

// component returns a reference to the schema of a struct, or the schema itself
// of a struct without a name.
func (s *schemas) component(sh shape) object {
	if sh.typ.Kind() != reflect.Struct {
		return s.of(sh.typ)
	}
	if sh.typ.Name() == "" {
		return s.structure(sh)
	}
	name, known := s.names[sh]
	if !known {
		name = s.freeName(sh)
		s.names[sh] = name
		s.components[name] = object{} // taken, should the type contain itself
		s.components[name] = s.structure(sh)
	}
	return object{"$ref": schemaPath + name}
}

const schemaPath = "#/components/schemas/"

// freeName is a name for a component: that of its type without the suffix that
// our names of bodies have. A struct that is printed in both ways has two.
func (s *schemas) freeName(sh shape) string {
	name, _, _ := strings.Cut(sh.typ.Name(), "[")
	name = strings.TrimSuffix(name, "Body")
	name = strings.ToUpper(name[:1]) + name[1:]
	if _, both := s.names[shape{sh.typ, !sh.doubled}]; both {
		name += map[bool]string{true: "InBothCasings", false: "InSnakeCase"}[sh.doubled]
	}
	free := name
	for n := 2; s.components[free] != nil; n++ {
		free = name + strconv.Itoa(n)
	}
	return free
}

// structure is the schema of a struct.
func (s *schemas) structure(sh shape) object {
	properties, required := object{}, []string{}
	for _, f := range jsonFields(sh.typ) {
		properties[f.name] = s.field(f)
		if !f.optional {
			required = append(required, f.name)
		}
	}
	if sh.doubled {
		for name, schema := range maps.Clone(properties) {
			camel := camelCase(name)
			if properties[camel] != nil {
				continue
			}
			properties[camel] = schema
			if slices.Contains(required, name) {
				required = append(required, camel)
			}
		}
	}
	slices.Sort(required)
	return withRequired(object{"type": "object", "properties": properties}, required)
}

func withRequired(schema object, names []string) object {
	if len(names) > 0 {
		schema["required"] = names
	}
	return schema
}

// jsonField is a field of a struct as encoding/json prints it.
type jsonField struct {
	reflect.StructField
	name     string
	optional bool
}

func jsonFields(t reflect.Type) []jsonField {
	var fields []jsonField
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" || !f.IsExported() || tag == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		fields = append(fields, jsonField{f, name, optional})
	}
	return fields
}

// field is the schema of a field with what its tags say.
func (s *schemas) field(f jsonField) object {
	t := f.Type
	if f.optional && t.Kind() == reflect.Pointer {
		t = t.Elem() // left out instead of null
	}
	schema := s.of(t)
	target := schema
	if items, ok := schema["items"].(object); ok {
		target = items
	}
	if format := f.Tag.Get("format"); format != "" {
		target["format"] = format
	}
	if values := f.Tag.Get("enum"); values != "" {
		target["enum"] = enumOf(values, target)
	}
	for _, bound := range []string{"minimum", "maximum"} {
		if n, err := strconv.ParseFloat(f.Tag.Get(bound), 64); err == nil {
			target[bound] = n
		}
	}
	if example := f.Tag.Get("example"); example != "" {
		schema["examples"] = []any{tagValue(example, schema)}
	}
	if doc := f.Tag.Get("doc"); doc != "" {
		schema["description"] = doc
	}
	return schema
}

func enumOf(values string, schema object) []any {
	var enum []any
	for value := range strings.SplitSeq(values, ",") {
		enum = append(enum, tagValue(value, schema))
	}
	if allows(schema, "null") {
		enum = append(enum, nil)
	}
	return enum
}

// tagValue is the value that a tag says in the text of a tag: text for strings,
// JSON for others.
func tagValue(text string, schema object) any {
	var v any
	if allows(schema, "string") || json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

// allows reports whether a schema names a type.
func allows(schema object, name string) bool {
	switch t := schema["type"].(type) {
	case string:
		return t == name
	case []any:
		return slices.Contains(t, any(name))
	}
	return false
}

// nullable is a schema that also allows null.
func nullable(schema object) object {
	switch t := schema["type"].(type) {
	case string:
		schema["type"] = []any{t, "null"}
		return schema
	case []any:
		return schema
	}
	if len(schema) == 0 {
		return schema // anything
	}
	return object{"anyOf": []any{schema, object{"type": "null"}}}
}
