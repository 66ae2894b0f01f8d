package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Replies are encoded by functions that are made once for each type. They do
// what encoding/json does, without escaping <, > and &, which only matters
// inside HTML; they know twins, and encode a slice that a struct holds twice
// only once. What they do not know they leave to encoding/json.

// encoder appends the JSON of a value.
type encoder func(out []byte, v reflect.Value) ([]byte, error)

// encoders are those that were made: map[reflect.Type]encoder.
var encoders sync.Map

func encoderOf(t reflect.Type) encoder {
	if e, ok := encoders.Load(t); ok {
		return e.(encoder)
	}
	e := makeEncoder(t)
	encoders.Store(t, e)
	return e
}

// appendJSON appends the JSON of v, without a newline.
func appendJSON(out []byte, v any) ([]byte, error) {
	if v == nil {
		return append(out, "null"...), nil
	}
	out, err := encoderOf(reflect.TypeOf(v))(out, reflect.ValueOf(v))
	if err != nil {
		return out, fmt.Errorf("encode %T: %w", v, err)
	}
	return out, nil
}

// appendObject appends the JSON of v and, if it is an object, adds to spans
// where its members stand, counted from its beginning.
func appendObject(out []byte, v any, spans *[]span) ([]byte, error) {
	if v == nil {
		return appendJSON(out, v)
	}
	t := reflect.TypeOf(v)
	o, known := objects.Load(t)
	if !known {
		o = topObject(t)
		objects.Store(t, o)
	}
	if o := o.(*structEncoder); o != nil {
		value := reflect.ValueOf(v)
		if isTwins(t) {
			value = value.Field(0)
		}
		return o.append(out, value, spans)
	}
	begin := len(out)
	out, err := appendJSON(out, v)
	if err == nil {
		findMembers(out[begin:], spans)
	}
	return out, err
}

// objects are how replies are encoded: map[reflect.Type]*structEncoder, nil for those
// that are no structs or encode themselves.
var objects sync.Map

func topObject(t reflect.Type) *structEncoder {
	switch {
	case isTwins(t):
		return objectOf(t)
	case t.Kind() != reflect.Struct || t.Implements(reflect.TypeFor[rowsHolder]()) || marshalsItself(t) || marshalsItself(reflect.PointerTo(t)):
		return nil
	default:
		return objectOf(t)
	}
}

// findMembers is for objects that encode themselves.
func findMembers(encoded []byte, spans *[]span) {
	end := 1
	eachField(encoded, func(key, field []byte) {
		from := end
		end = from + len(field) + 1 // past the comma
		*spans = append(*spans, span{string(key), from, from + len(key) + len(`"":`), from + len(field)})
	})
}

// rowsHolder is an array[T].
type rowsHolder interface{ list() any }

// isTwins reports whether a type is twins of something. A pointer to twins is
// not: it has their methods, but no field.
func isTwins(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.Implements(reflect.TypeFor[doubler]())
}

func makeEncoder(t reflect.Type) encoder {
	switch {
	case t.Kind() == reflect.Pointer && !pointerMarshals(t):
		return encodePointer
	case isTwins(t):
		o := objectOf(t)
		return func(out []byte, v reflect.Value) ([]byte, error) { return o.append(out, v.Field(0), nil) }
	case t.Implements(reflect.TypeFor[rowsHolder]()):
		return func(out []byte, v reflect.Value) ([]byte, error) {
			return appendJSON(out, v.Interface().(rowsHolder).list())
		}
	case marshalsItself(t) || marshalsItself(reflect.PointerTo(t)):
		return encodeOther
	}
	switch t.Kind() {
	case reflect.String:
		return encodeString
	case reflect.Bool:
		return func(out []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(out, v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(out []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(out, v.Int(), 10), nil }
	case reflect.Slice:
		return sliceEncoder(t)
	case reflect.Struct:
		if o := objectOf(t); o != nil {
			return func(out []byte, v reflect.Value) ([]byte, error) { return o.append(out, v, nil) }
		}
		return encodeOther
	case reflect.Map:
		return encodeMap
	default:
		return encodeOther
	}
}

func marshalsItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// pointerMarshals reports whether encoding/json would call a method that pointers
// have and what they point to has not.
func pointerMarshals(t reflect.Type) bool {
	return marshalsItself(t) && !marshalsItself(t.Elem())
}

// encodeOther leaves a value to encoding/json.
func encodeOther(out []byte, v reflect.Value) ([]byte, error) {
	buf := bytes.NewBuffer(out)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Interface()); err != nil {
		return out, err
	}
	return buf.Bytes()[:buf.Len()-1], nil // without the newline
}

func encodeString(out []byte, v reflect.Value) ([]byte, error) {
	s := v.String()
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return encodeOther(out, v)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"'), nil
}

// Types may hold themselves behind pointers and slices, so these look for the
// encoder of what they hold only when they run.

func encodePointer(out []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(out, "null"...), nil
	}
	return encoderOf(v.Type().Elem())(out, v.Elem())
}

func sliceEncoder(t reflect.Type) encoder {
	if t.Elem().Kind() == reflect.Uint8 { // base64
		return encodeOther
	}
	return func(out []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(out, "null"...), nil
		}
		each := encoderOf(t.Elem())
		var err error
		out = append(out, '[')
		for i := range v.Len() {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = each(out, v.Index(i)); err != nil {
				return out, err
			}
		}
		return append(out, ']'), nil
	}
}

func encodeMap(out []byte, v reflect.Value) ([]byte, error) {
	if v.Len() == 0 && !v.IsNil() {
		return append(out, "{}"...), nil
	}
	return encodeOther(out, v)
}

// member is a field of a struct as it is encoded.
type member struct {
	index  []int
	name   string
	key    string // "name":
	camel  string // its second key, if it has one
	omit   func(reflect.Value) bool
	slice  bool
	encode encoder
}

// structEncoder is how a struct is encoded.
type structEncoder struct{ members []member }

// span is where a member stands in the JSON of an object: the key with its
// quotes and colon, and the value behind it.
type span struct {
	key              string // without quotes
	from, value, end int
}

// objectOf returns how a struct, or the one inside twins, is encoded; nil for a
// type that is left to encoding/json.
func objectOf(t reflect.Type) *structEncoder {
	double := isTwins(t)
	if double {
		t = t.Field(0).Type
	}
	members, ok := membersOf(t, double)
	if !ok && double {
		panic("httpapi: cannot double the names of " + t.String())
	}
	if !ok {
		return nil
	}
	return &structEncoder{members}
}

// append appends the JSON of v. It adds to spans, if that is not nil, where the
// members stand.
func (o *structEncoder) append(out []byte, v reflect.Value, spans *[]span) (_ []byte, err error) {
	var held sharedSlice
	begin := len(out)
	out = append(out, '{')
	for i := range o.members {
		m := &o.members[i]
		f := v.FieldByIndex(m.index)
		if m.omit != nil && m.omit(f) {
			continue
		}
		start := len(out)
		out = append(out, m.key...)
		from := len(out)
		if m.slice && held.is(f) {
			out = append(out, out[held.from:held.to]...)
		} else if out, err = m.encode(out, f); err != nil {
			return out, err
		}
		to := len(out)
		if m.slice {
			held = sharedSlice{f, from, to}
		}
		if spans != nil {
			*spans = append(*spans, span{m.name, start - begin, from - begin, to - begin})
		}
		if m.camel != "" {
			out = append(append(append(out, ','), m.camel...), out[from:to]...)
			if spans != nil {
				start, from = to+1, to+1+len(m.camel)
				*spans = append(*spans, span{m.camel[1 : len(m.camel)-2], start - begin, from - begin, len(out) - begin})
			}
		}
		out = append(out, ',')
	}
	if last := len(out) - 1; out[last] == ',' {
		out = out[:last]
	}
	return append(out, '}'), nil
}

// sharedSlice is where the slice of the last field was encoded. Lists say the
// same under two names.
type sharedSlice struct {
	v        reflect.Value
	from, to int
}

func (s sharedSlice) is(v reflect.Value) bool {
	return s.v.IsValid() && v.Len() > 0 && s.v.Len() == v.Len() && s.v.Type() == v.Type() && s.v.Pointer() == v.Pointer()
}

// membersOf returns the members of a struct as encoding/json sees them. It is
// not ok for what only that knows.
func membersOf(t reflect.Type, double bool) (members []member, ok bool) {
	depth := make(map[string]int)
	fields := slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		return !f.IsExported() || f.Tag.Get("json") == "-" || f.Anonymous && f.Tag.Get("json") == "" && f.Type.Kind() == reflect.Struct
	})
	for _, f := range fields {
		name := jsonName(f)
		if d, known := depth[name]; known && d == len(f.Index) {
			return nil, false // ambiguous
		}
		if d, known := depth[name]; !known || len(f.Index) < d {
			depth[name] = len(f.Index)
		}
	}
	for _, f := range fields {
		name := jsonName(f)
		if depth[name] < len(f.Index) {
			continue // hidden by one further out
		}
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		omit, known := omission(options)
		if !known || throughPointer(t, f.Index) || !isPlain(name) {
			return nil, false
		}
		m := member{
			index: f.Index, name: name, key: `"` + name + `":`, omit: omit,
			slice: f.Type.Kind() == reflect.Slice, encode: encoderOf(f.Type),
		}
		if _, taken := depth[camelCase(name)]; double && !taken {
			m.camel = `"` + camelCase(name) + `":`
		}
		members = append(members, m)
	}
	return members, true
}

func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// isPlain reports whether a name stands in JSON as it is.
func isPlain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' })
}

// omission returns when a field with these options is left out; nil is never.
func omission(options string) (omit func(reflect.Value) bool, known bool) {
	switch options {
	case "":
		return nil, true
	case "omitempty":
		return isEmpty, true
	case "omitzero":
		return isZero, true
	}
	return nil, false
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

func isZero(v reflect.Value) bool {
	if z, ok := reflect.TypeAssert[interface{ IsZero() bool }](v); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return z.IsZero()
	}
	return v.IsZero()
}

// throughPointer reports whether the way to a field passes an embedded pointer,
// which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
