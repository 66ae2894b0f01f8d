package httpapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// parameters are those that huma has found, and those in the path of a raw
// route.
func (b *builder) parameters(d described) []any {
	var parameters []any
	if d.input != nil {
		for _, p := range d.input.Parameters {
			if p.In == "header" && p.Name == "Authorization" {
				continue // told by security
			}
			o := humaSchema(p)
			if explode, ok := o["explode"].(bool); ok && !explode && !allows(b.resolve(o["schema"].(object)), "array") {
				delete(o, "explode")
			}
			schema := o["schema"].(object)
			delete(schema, "description") // it is the parameter's
			if enum, ok := schema["enum"].([]any); ok && p.In == "query" && !p.Required {
				schema["enum"] = append(enum, "") // an empty parameter is none
			}
			b.adopt(o)
			parameters = append(parameters, b.shared(o))
		}
		return parameters
	}
	if d.ranges {
		parameters = append(parameters, object{
			"name": "Range", "in": "header", "required": false, "schema": object{"type": "string", "examples": []any{"bytes=0-1023"}},
			"description": "one range of bytes; anything else is answered with the whole",
		})
	}
	for segment := range strings.SplitSeq(publicPath(d.op.Path), "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			parameters = append(parameters, object{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"},
			})
		}
	}
	for _, q := range d.query {
		parameters = append(parameters, object{
			"name": q.name, "in": "query", "required": q.required, "description": q.doc, "schema": q.valueSchema(),
		})
	}
	return parameters
}

// pagingParameters are the parameters of lists, described once.
var pagingParameters = []string{"offset", "skip", "limit", "page", "pageSize", "page_size"}

// shared is a reference to a parameter that many operations have, or the
// parameter itself.
func (b *builder) shared(parameter object) object {
	name, _ := parameter["name"].(string)
	if !slices.Contains(pagingParameters, name) {
		return parameter
	}
	if known := b.params[name]; known != nil && !reflect.DeepEqual(known, parameter) {
		return parameter
	}
	b.params[name] = parameter
	return object{"$ref": "#/components/parameters/" + name}
}

// requestBody is the body that an operation takes, nil if it takes none.
func (b *builder) requestBody(d described) object {
	switch {
	case d.form != nil:
		content := object{"multipart/form-data": object{"schema": formSchema(d.form)}}
		if d.orJSON != nil {
			schema := b.of(d.orJSON)
			content["application/json"] = object{"schema": schema, "example": b.example("", schema, nil)}
		}
		return object{"required": true, "content": content}
	case d.input == nil || d.input.RequestBody == nil:
		return nil
	}
	body := humaSchema(d.input.RequestBody)
	b.adopt(body)
	content, _ := body["content"].(object)
	for _, media := range content {
		media := media.(object)
		schema, _ := media["schema"].(object)
		if schema == nil {
			continue
		}
		if resolved := b.resolve(schema); len(resolved) > 0 {
			media["example"] = b.example("", schema, nil)
		}
	}
	return body
}

// valueSchema is the schema of a field's value.
func (f formField) valueSchema() object {
	switch {
	case f.file:
		return object{"type": "string", "format": "binary"}
	case f.schema != nil:
		return maps.Clone(f.schema)
	}
	return object{"type": "string"}
}

// queryOf are the parameters that the tags of a struct's fields tell, for routes
// whose query huma does not read.
func queryOf[T any]() []formField {
	var fields []formField
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		q := formField{name: f.Tag.Get("query"), doc: f.Tag.Get("doc"), schema: object{"type": "string"}}
		if values := f.Tag.Get("enum"); values != "" {
			q.schema["enum"] = append(enumOf(values, q.schema), "")
		}
		if length, err := strconv.Atoi(f.Tag.Get("maxLength")); err == nil {
			q.schema["maxLength"] = length
		}
		fields = append(fields, q)
	}
	return fields
}

func formSchema(fields []formField) object {
	properties, required := object{}, []string{}
	for _, f := range fields {
		p := f.valueSchema()
		if f.doc != "" {
			p["description"] = f.doc
		}
		properties[f.name] = p
		if f.required {
			required = append(required, f.name)
		}
	}
	return withRequired(object{"type": "object", "properties": properties}, required)
}

// adopt takes over the components of huma's that a part of the document refers
// to.
func (b *builder) adopt(v any) {
	switch v := v.(type) {
	case object:
		if ref, ok := v["$ref"].(string); ok {
			b.adoptComponent(strings.TrimPrefix(ref, schemaPath))
		}
		for _, each := range v {
			b.adopt(each)
		}
	case []any:
		for _, each := range v {
			b.adopt(each)
		}
	}
}

func (b *builder) adoptComponent(name string) {
	if b.components[name] != nil {
		return
	}
	for theirs, schema := range b.huma.Map() {
		if requestName(theirs) == name {
			b.components[name] = asTaken(humaSchema(schema))
			b.adopt(b.components[name])
		}
	}
}

// asTaken says of a request's body what huma does not: that null is taken for a
// field that may be missing, and what unmarshalBody checks of texts.
func asTaken(schema object) object {
	properties, _ := schema["properties"].(object)
	required, _ := schema["required"].([]any)
	for name, each := range properties {
		p := each.(object)
		text := p
		if items, ok := p["items"].(object); ok {
			text = items
		}
		if allows(text, "string") && text["pattern"] == nil && text["enum"] == nil && text["format"] == nil {
			text["pattern"] = `^[^\x00]*$`
		}
		if !slices.Contains(required, any(name)) {
			properties[name] = orNull(p)
		}
	}
	return schema
}

// orNull is a schema that also allows null.
func orNull(schema object) object {
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, nil) {
		schema["enum"] = append(enum, nil)
	}
	return nullable(schema)
}

// humaSchema is a schema of huma's, which describes what it validates, as a part
// of the document.
func humaSchema(schema any) object {
	var o object
	text, err := json.Marshal(schema)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		panic("httpapi: a schema cannot be encoded: " + err.Error())
	}
	tidy(o)
	return o
}

// tidy leaves out what says nothing, and names request bodies for what they
// are.
func tidy(v any) {
	switch v := v.(type) {
	case object:
		if v["additionalProperties"] == true {
			delete(v, "additionalProperties")
		}
		if format := v["format"]; format == "int64" || format == "double" {
			delete(v, "format")
		}
		if ref, ok := v["$ref"].(string); ok {
			v["$ref"] = schemaPath + requestName(strings.TrimPrefix(ref, schemaPath))
		}
		for _, each := range v {
			tidy(each)
		}
	case []any:
		for _, each := range v {
			tidy(each)
		}
	}
}

// requestName is the name of a component that huma made of a request's body.
func requestName(name string) string {
	if rest, ok := strings.CutSuffix(name, "InputBody"); ok {
		name = rest + "Request"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '_'
	}, name)
}
