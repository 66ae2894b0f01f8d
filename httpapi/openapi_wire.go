package httpapi

import (
	"maps"
	"reflect"
	"slices"
)

// Components of the envelope that replies share.
const (
	envelopeSchema = "Envelope"     // with everything that encode adds
	coreSchema     = "EnvelopeCore" // without what a resource may have itself
	metaSchema     = "Meta"
	versionSchema  = "VersionMetadata"
	errorSchema    = "Error"
	issueSchema    = "Issue"
	flatSchema     = "FlatError"
)

// envelopeOwn are the members of the envelope that no resource can have at the
// top level; envelopeYielding are those that a resource may have itself.
var (
	envelopeOwn      = []string{"success", "data", "error", "meta"}
	envelopeYielding = []string{"metadata", "timestamp", "trace_id"}
)

// envelopeSchemas are the schemas of what surrounds a resource.
func envelopeSchemas() map[string]object {
	yielding := object{
		"metadata":  object{"$ref": schemaPath + versionSchema},
		"timestamp": timeSchema(),
		"trace_id":  object{"type": "string", "description": "the trace id of the header traceparent"},
	}
	text := object{"type": "string"}
	return map[string]object{
		coreSchema: withRequired(object{
			"type":        "object",
			"description": "What every reply has. The fields of data stand beside these.",
			"properties": object{
				"success": object{"type": "boolean", "description": "true, but for the 503 of /ready"},
				"data":    object{},
				"error":   object{"type": "null"},
				"meta":    object{"$ref": schemaPath + metaSchema},
			},
		}, envelopeOwn),
		envelopeSchema: {"allOf": []any{
			object{"$ref": schemaPath + coreSchema},
			withRequired(object{"type": "object", "properties": yielding}, envelopeYielding),
		}},
		metaSchema: withRequired(object{
			"type": "object", "properties": object{"request_id": text, "timestamp": timeSchema()},
		}, []string{"request_id", "timestamp"}),
		versionSchema: withRequired(object{
			"type": "object", "properties": object{"version": text, "request_id": text},
		}, []string{"version", "request_id"}),
	}
}

func timeSchema() object { return object{"type": "string", "format": "date-time"} }

// wire is the schema of the body of a reply whose resource is of a type, as
// encode writes it in the full profile.
func (s *schemas) wire(t reflect.Type) object {
	if c, ok := reflect.TypeAssert[chooser](reflect.Zero(t)); ok {
		return oneOf(c.choices(), s.wire)
	}
	data := s.of(t)
	value := withRequired(object{"type": "object", "properties": object{"data": data}}, []string{"data"})
	if t.Kind() == reflect.Pointer || data["type"] == "object" && data["properties"] == nil {
		return object{"allOf": []any{s.ref(envelopeSchema), value}}
	}
	fields := s.resolve(data)
	envelope := s.envelopeBeside(fields)
	if _, ok := reflect.TypeAssert[lister](reflect.Zero(t)); ok {
		return object{"allOf": []any{envelope, s.listMembers(), value}}
	}
	if fields["properties"] == nil {
		return object{"allOf": []any{envelope, value}}
	}
	return object{"allOf": []any{s.repeated(t, data, fields), envelope, value}}
}

func (*schemas) ref(name string) object { return object{"$ref": schemaPath + name} }

// resolve follows a reference to a component.
func (s *schemas) resolve(schema object) object {
	if ref, ok := schema["$ref"].(string); ok {
		return s.components[ref[len(schemaPath):]]
	}
	return schema
}

// envelopeBeside is the envelope of a resource with these fields.
func (s *schemas) envelopeBeside(fields object) object {
	properties, _ := fields["properties"].(object)
	own := slices.ContainsFunc(envelopeYielding, func(name string) bool { return properties[name] != nil })
	if !own {
		return s.ref(envelopeSchema)
	}
	beside, required := object{}, []string{}
	all := envelopeSchemas()[envelopeSchema]["allOf"].([]any)[1].(object)["properties"].(object)
	for _, name := range envelopeYielding {
		if properties[name] == nil {
			beside[name] = all[name]
			required = append(required, name)
		}
	}
	rest := withRequired(object{"type": "object", "properties": beside}, required)
	return object{"allOf": []any{s.ref(coreSchema), rest}}
}

// listMembers stand beside data when that is an array.
func (s *schemas) listMembers() object {
	const name = "ListMembers"
	if s.components[name] == nil {
		n := object{"type": "integer", "minimum": 0}
		s.components[name] = withRequired(object{
			"type": "object", "properties": object{"total": n, "offset": n, "limit": n},
		}, []string{"limit", "offset", "total"})
	}
	return s.ref(name)
}

// repeated is the schema of the fields that stand at the top level again: all
// of them, or without the members that the envelope owns and, of a named list,
// its other arrays.
func (s *schemas) repeated(t reflect.Type, data, fields object) object {
	list, isNamed := reflect.TypeAssert[named](reflect.Zero(t))
	properties := maps.Clone(fields["properties"].(object))
	for name, schema := range properties {
		otherArray := isNamed && allows(schema.(object), "array") && name != list.named()
		if otherArray || slices.Contains(envelopeOwn, name) {
			delete(properties, name)
		}
	}
	if len(properties) == len(fields["properties"].(object)) {
		return data
	}
	var required []string
	names, _ := fields["required"].([]string)
	for _, name := range names {
		if properties[name] != nil {
			required = append(required, name)
		}
	}
	return withRequired(object{"type": "object", "properties": properties}, required)
}
