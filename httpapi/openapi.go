package httpapi

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	voiceassist "github.com/voiceassist/backend"
)

// described is a route as the OpenAPI document shows it.
type described struct {
	route
	reply reflect.Type    // nil: nothing is known but that it is JSON
	input *huma.Operation // what huma made of the handler's input; nil for raw routes
}

// document is an OpenAPI 3.1 description. It tells what goes over the wire, not
// what the handlers return.
type document struct {
	OpenAPI      string            `json:"openapi"`
	Dialect      string            `json:"jsonSchemaDialect"`
	Info         object            `json:"info"`
	Servers      []object          `json:"servers"`
	Tags         []object          `json:"tags"`
	ExternalDocs object            `json:"externalDocs"`
	Paths        map[string]object `json:"paths"`
	Webhooks     map[string]object `json:"webhooks"`
	Components   map[string]any    `json:"components"`
}

// openAPI serves the description of the API. It is made when first asked for,
// after every route has been registered.
func (s *Server) openAPI() fiber.Handler {
	body := sync.OnceValues(s.Describe)
	return func(c *fiber.Ctx) error {
		body, err := body()
		if err != nil {
			return err
		}
		c.Set("Content-Type", "application/json; charset=utf-8")
		return c.Send(body)
	}
}

// Describe returns the OpenAPI 3.1 document of the API as JSON. It depends on
// the routes alone.
func (s *Server) Describe() ([]byte, error) {
	sch := newSchemas(s.api.OpenAPI().Components.Schemas)
	maps.Copy(sch.components, envelopeSchemas())
	maps.Copy(sch.components, errorSchemas())
	b := builder{schemas: sch, examples: map[string]object{}, responses: map[string]object{}, params: map[string]object{}}
	paths, tags := map[string]object{}, []string{}
	for _, d := range s.described {
		path := publicPath(d.op.Path)
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path][strings.ToLower(d.op.Method)] = b.operation(d)
		tags = append(tags, d.op.Tags...)
	}
	return json.Marshal(document{
		OpenAPI:      "3.1.0",
		Dialect:      "https://json-schema.org/draft/2020-12/schema",
		Info:         info(),
		Servers:      servers(),
		Tags:         tagsOf(tags),
		ExternalDocs: object{"description": "The sockets and event streams (AsyncAPI 3.0)", "url": "/asyncapi.json"},
		Paths:        paths,
		Webhooks:     b.webhooks(),
		Components: map[string]any{
			"schemas":         sch.components,
			"responses":       b.responses,
			"examples":        b.examples,
			"parameters":      b.params,
			"headers":         headerComponents(),
			"securitySchemes": securitySchemes,
		},
	})
}

// publicPath is a pattern of the router as OpenAPI writes it.
func publicPath(pattern string) string {
	return strings.NewReplacer("<guid>", "", "*", "{path}").Replace(pattern)
}

// builder makes operations and collects the components that they share.
type builder struct {
	*schemas
	examples  map[string]object
	responses map[string]object
	params    map[string]object
}

func (b *builder) operation(d described) object {
	op := object{
		"operationId": d.op.OperationID,
		"summary":     d.op.Summary,
		"tags":        d.op.Tags,
		"responses":   b.responsesOf(d),
	}
	if text := cmp.Or(d.op.Description, d.access.description()); text != "" {
		op["description"] = text
	}
	if parameters := b.parameters(d); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if body := b.requestBody(d); body != nil {
		op["requestBody"] = body
	}
	if security := d.security(); security != nil {
		op["security"] = security
	}
	return op
}

// responsesOf are all ends that an operation can have.
func (b *builder) responsesOf(d described) object {
	responses := object{}
	success := cmp.Or(d.op.DefaultStatus, http.StatusOK)
	for _, status := range append(d.errors(), success) {
		code := strconv.Itoa(status)
		switch {
		case d.replies[status] != nil:
			responses[code] = b.success(d, status, d.replies[status])
		case status < http.StatusBadRequest:
			responses[code] = b.success(d, status, d.reply)
		default:
			responses[code] = b.failure(status)
		}
	}
	return responses
}

// errors are the statuses of an operation beside the one of success: those it
// names itself, those of its access, and those that follow from what it takes.
func (d described) errors() []int {
	statuses := append(slices.Clone(d.op.Errors), d.access.errors()...)
	statuses = append(statuses, http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable)
	hasBody := d.form != nil || d.input != nil && d.input.RequestBody != nil
	if d.rate != rateNone || d.access != anyone {
		statuses = append(statuses, http.StatusTooManyRequests)
	}
	if hasBody {
		statuses = append(statuses, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge)
	}
	if d.form != nil {
		statuses = append(statuses, http.StatusUnsupportedMediaType)
	}
	if d.cookie {
		statuses = append(statuses, http.StatusForbidden) // to a page of another origin
	}
	if d.namesThings() {
		statuses = append(statuses, http.StatusNotFound)
	}
	if d.op.Method != http.MethodGet && d.access != anyone {
		statuses = append(statuses, http.StatusConflict)
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

// namesThings reports whether a request says which thing it is about: in the
// path, or by an id in the query or the body.
func (d described) namesThings() bool {
	if strings.Contains(publicPath(d.op.Path), "{") {
		return true
	}
	if slices.ContainsFunc(d.query, func(q formField) bool { return strings.HasSuffix(q.name, "_id") }) {
		return true
	}
	if d.input == nil || d.access == anyone {
		return false
	}
	return d.input.RequestBody != nil || slices.ContainsFunc(d.input.Parameters, func(p *huma.Param) bool {
		return strings.HasSuffix(snakeCase(p.Name), "_id")
	})
}

// success is a response that is no error.
func (b *builder) success(d described, status int, t reflect.Type) object {
	r := object{"description": http.StatusText(status), "headers": headersOf(d, status, t)}
	switch {
	case status == http.StatusSwitchingProtocols:
		return object{"description": "The socket is open; /asyncapi.json has what goes over it"}
	case d.produces != nil:
		content := object{}
		for _, mediaType := range d.produces {
			content[mediaType] = object{"schema": mediaSchema(mediaType)}
		}
		r["content"] = content
	default:
		r["content"] = object{"application/json": b.replyContent(t)}
	}
	return r
}

// mediaSchema is the schema of a body that we do not write as JSON of ours.
func mediaSchema(mediaType string) object {
	switch {
	case mediaType == "application/json":
		return object{}
	case strings.HasPrefix(mediaType, "text/"):
		return object{"type": "string"}
	}
	return object{"type": "string", "format": "binary"}
}

// replyContent is the JSON of a reply, with an example of it. Replies of the same
// type share both.
func (b *builder) replyContent(t reflect.Type) object {
	if t == nil {
		return object{"schema": b.ref(envelopeSchema), "example": b.example("", b.ref(envelopeSchema), nil)}
	}
	schema := b.wire(t)
	name, ok := b.replyName(t)
	if !ok {
		return object{"schema": schema, "example": b.example("", schema, nil)}
	}
	if b.components[name] == nil {
		b.components[name] = schema
		b.examples[name] = object{"summary": "Success", "value": b.example("", schema, nil)}
	}
	return object{
		"schema":   b.ref(name),
		"examples": object{"success": object{"$ref": "#/components/examples/" + name}},
	}
}

// replyName is the name of the component for the replies of a type, if that has
// a name itself.
func (b *builder) replyName(t reflect.Type) (string, bool) {
	suffix := "Reply"
	if t.Kind() == reflect.Pointer {
		t, suffix = t.Elem(), "OrNullReply"
	}
	if l, ok := reflect.TypeAssert[lister](reflect.Zero(t)); ok {
		t, suffix = l.row(), "ArrayReply"
	}
	ref, ok := b.of(t)["$ref"].(string)
	return strings.TrimPrefix(ref, schemaPath) + suffix, ok
}

// info says what this is and how it is used.
func info() object {
	return object{
		"title":       "VoiceAssist",
		"version":     voiceassist.Version,
		"summary":     "Ingestion of medical literature, search, and answers with proved citations",
		"description": description,
		"license":     object{"name": "Apache 2.0", "identifier": "Apache-2.0"},
	}
}
