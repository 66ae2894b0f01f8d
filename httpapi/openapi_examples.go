package httpapi

import (
	"maps"
	"slices"
	"strings"
)

// What examples are made of.
const (
	exampleID      = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	exampleTime    = "2026-01-15T09:30:00.000Z"
	exampleRequest = "0b7e5a52-3a0e-4a8c-9f54-3a1f0c9be7d1"
	exampleTrace   = "4bf92f3577b34da6a3ce929d0e0e4736"
	exampleToken   = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3YzllNjY3OSJ9.c2lnbmF0dXJl"
)

// exampleTexts are values of texts, by the name of the field in snake_case.
// Others are found by the end of the name.
var exampleTexts = map[string]string{
	"action":               "user.role_changed",
	"allergies":            "penicillin",
	"attendees":            "ada@example.org",
	"attribute":            "role",
	"audio":                "UklGRiQAAABXQVZFZm10IA==",
	"author":               "American Diabetes Association",
	"authors":              "ElSayed NA",
	"backup_codes":         "4f7k-9d2m",
	"branch_id":            "main",
	"category":             "endocrinology",
	"chief_complaint":      "chest pain since this morning",
	"code":                 "123456",
	"color":                "#3b82f6",
	"comment":              "The page says 500 mg",
	"content":              "Metformin is the preferred first-line agent for type 2 diabetes [1].",
	"description":          "What it is for",
	"detail":               "41 pages",
	"doi":                  "10.2337/dc26-S009",
	"end":                  "2026-01-15T10:00:00Z",
	"environment":          "production",
	"error_code":           "",
	"excerpt":              "Metformin is the preferred initial pharmacologic agent …",
	"file_path":            "/Guidelines/diabetes.pdf",
	"filename":             "standards-of-care.pdf",
	"first_name":           "Ada",
	"full_name":            "Ada Lovelace",
	"gender":               "female",
	"health":               "/health",
	"icon":                 "folder",
	"initial_message":      "What about renal impairment?",
	"ip_address":           "192.0.2.10",
	"journal":              "Diabetes Care",
	"kind":                 "index",
	"language":             "en",
	"last_message_preview": "Metformin is the preferred first-line agent …",
	"last_name":            "Lovelace",
	"length_preference":    "short",
	"location":             "Room 12",
	"media_type":           "application/pdf",
	"medications":          "metformin 500 mg",
	"message":              "Done",
	"mode":                 "dictation",
	"model":                "extractive",
	"name":                 "Diabetes",
	"note":                 "The passage was indexed again",
	"openapi":              "/openapi.json",
	"operator":             "in",
	"page_label":           "12",
	"passage":              "Metformin is the preferred initial pharmacologic agent.",
	"password":             "correct horse battery",
	"path":                 "/Guidelines/diabetes.pdf",
	"pattern":              "search:*",
	"problems":             "type 2 diabetes",
	"pubmed_id":            "39651989",
	"query":                "first-line therapy in type 2 diabetes",
	"quote":                "Metformin is the preferred initial pharmacologic agent.",
	"reason":               "left the department",
	"section":              "Pharmacologic approaches",
	"sha256":               "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"snippet":              "Metformin is the preferred initial pharmacologic agent …",
	"source":               "guideline",
	"source_type":          "guideline",
	"specialty":            "endocrinology",
	"stage":                "publish",
	"start":                "2026-01-15T09:30:00Z",
	"status":               "ok",
	"summary":              "Case conference",
	"text":                 "Metformin is the preferred initial pharmacologic agent.",
	"timezone":             "UTC",
	"title":                "Standards of Care in Diabetes",
	"transcript":           "What is first-line therapy in type 2 diabetes?",
	"type":                 "guideline",
	"user_agent":           "Mozilla/5.0",
	"values":               "admin",
	"variant":              "control",
	"version":              "2.0.0",
	"voice":                "alloy",
}

// exampleEnds are values of texts by how the name of the field ends.
var exampleEnds = []struct{ end, value string }{
	{"email", "ada@example.org"},
	{"password", "correct horse battery"},
	{"_id", exampleID},
	{"_ids", exampleID},
	{"_at", exampleTime},
	{"timestamp", exampleTime},
	{"_date", exampleTime},
	{"_by", exampleID},
	{"url", "https://voiceassist.example.org/api/files/" + exampleID},
	{"token", exampleToken},
	{"title", "Standards of Care in Diabetes"},
	{"content", "Metformin is the preferred initial pharmacologic agent."},
	{"name", "diabetes"},
	{"warning", "Page 12 could not be read: it crashed the reader."},
	{"error", "The file is damaged"},
	{"message", "Done"},
	{"code", "123456"},
	{"id", exampleID},
}

// exampleNumbers are values of numbers, by the name of the field in snake_case.
var exampleNumbers = map[string]float64{
	"age": 64, "attempts": 1, "audit_days": 2190, "char_end": 1087, "char_start": 1032, "chunks": 118, "chunks_indexed": 118,
	"conversations_days": 365, "count": 4, "cpu_count": 4, "cpu_usage_percent": 12.5, "disk_free_bytes": 64000000000,
	"disk_total_bytes": 128000000000, "disk_usage_percent": 50, "disk_used_bytes": 64000000000, "duration": 4.2,
	"expires_in": 900, "expires_in_days": 90, "expires_in_hours": 24, "files_days": 365, "free_bytes": 64000000000,
	"generation": 1, "height_cm": 168, "index": 1, "limit": 20, "memory_total_bytes": 8589934592, "memory_usage_percent": 25,
	"memory_used_bytes": 2147483648, "page": 1, "page_count": 41, "page_number": 12, "page_size": 20, "processed": 41,
	"progress": 100, "publication_year": 2026, "refresh_expires_in": 604800, "relevance_score": 0.83, "rollout_percentage": 100,
	"score": 0.83, "size": 1482711, "speed": 1, "temperature": 0.2, "timestamp": 1768469400, "tokens": 96, "took_ms": 812.4,
	"total": 1, "total_bytes": 128000000000, "total_chunks": 118, "total_documents": 1, "total_pages": 1, "total_tokens": 41210,
	"usage_percent": 12.5, "used_bytes": 64000000000, "vector_count": 118, "version": 1, "weight": 100, "weight_kg": 82,
	"year": 2026,
}

// maxNesting is how often a type stands inside itself in an example.
const maxNesting = 2

// nested reports whether a schema is a component that the value around it is
// inside of often enough. Inside are the components that are being shown.
func nested(schema object, inside []string) bool {
	ref, _ := schema["$ref"].(string)
	n := 0
	for _, each := range inside {
		if each == ref {
			n++
		}
	}
	return n >= maxNesting
}

// example returns a value that a schema allows, made up from the schema and the
// name of the field that has it. Inside are the components around it.
func (s *schemas) example(name string, schema object, inside []string) any {
	if nested(schema, inside) {
		return nil
	}
	if ref, ok := schema["$ref"].(string); ok {
		inside = append(slices.Clip(inside), ref)
	}
	schema = s.merged(schema)
	if examples, ok := schema["examples"].([]any); ok {
		return examples[0]
	}
	if enum, ok := schema["enum"].([]any); ok {
		return exampleChoice(enum)
	}
	if value, ok := schema["const"]; ok {
		return value
	}
	for _, either := range []string{"anyOf", "oneOf"} {
		if options, ok := schema[either].([]any); ok {
			return s.example(name, options[0].(object), inside)
		}
	}
	name = snakeCase(name)
	switch {
	case allows(schema, "null") && (strings.Contains(name, "error") || name == "superseded_by"):
		return nil
	case allows(schema, "object"):
		return s.exampleObject(schema, inside)
	case allows(schema, "array"):
		items, _ := schema["items"].(object)
		if nested(items, inside) {
			return []any{}
		}
		return []any{s.example(strings.TrimSuffix(name, "s"), items, inside)}
	case allows(schema, "string"):
		return exampleText(name, schema)
	case allows(schema, "boolean"):
		return strings.HasPrefix(name, "is_") || name == "ok" || name == "indexed" || name == "enabled" || name == "success"
	case allows(schema, "integer"):
		return int(exampleNumber(name, schema))
	case allows(schema, "number"):
		return exampleNumber(name, schema)
	}
	return nil
}

// exampleChoice is one of the values of an enum: how things end when they end
// well, or the first.
func exampleChoice(enum []any) any {
	for _, good := range []any{"indexed", "completed", "complete", "ready"} {
		if slices.Contains(enum, good) {
			return good
		}
	}
	return enum[0]
}

// merged is a schema with references followed and the parts of allOf in one.
func (s *schemas) merged(schema object) object {
	schema = s.resolve(schema)
	parts, ok := schema["allOf"].([]any)
	if !ok {
		return schema
	}
	whole, properties := object{"type": "object"}, object{}
	for _, part := range parts {
		p, _ := s.merged(part.(object))["properties"].(object)
		maps.Copy(properties, p)
	}
	whole["properties"] = properties
	return whole
}

func (s *schemas) exampleObject(schema object, inside []string) any {
	o := object{}
	properties, _ := schema["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		o[name] = s.example(name, properties[name].(object), inside)
	}
	if o["title"] != nil && o["name"] != nil {
		o["name"] = o["title"]
	}
	if values, ok := schema["additionalProperties"].(object); ok && len(properties) == 0 && len(values) > 0 {
		o["example"] = s.example("", values, inside)
	}
	return o
}

func exampleText(name string, schema object) string {
	switch schema["format"] {
	case "date-time":
		return exampleTime
	case "date":
		return exampleTime[:len("2026-01-15")]
	case "uuid":
		return exampleID
	case "email":
		return "ada@example.org"
	}
	for _, known := range []string{name, name + "s"} {
		if value, ok := exampleTexts[known]; ok {
			return value
		}
	}
	for _, e := range exampleEnds {
		if strings.HasSuffix(name, e.end) {
			return e.value
		}
	}
	return "text"
}

func exampleNumber(name string, schema object) float64 {
	n, known := exampleNumbers[name]
	if !known && (strings.HasPrefix(name, "total_") || strings.HasSuffix(name, "_count")) {
		n = 1
	}
	if low, ok := schema["minimum"].(float64); ok {
		n = max(n, low)
	}
	if high, ok := schema["maximum"].(float64); ok {
		n = min(n, high)
	}
	return n
}
