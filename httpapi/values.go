package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
)

// What is wrong with values that have the type which the schema asks for.
const (
	notText  = "must be text in UTF-8 without NUL characters"
	misfit   = "must be a plain number within its bounds"
	empty    = "must not be empty"
	notABool = "must be true or false"
)

// badValue is a value in a request's body that cannot be taken. Huma keeps
// nothing of an error but its text, in which locate finds the parts again.
type badValue struct {
	path []string // of names and indexes
	what string   // notText or misfit
}

func (b badValue) Error() string { return strings.Join(b.path, ".") + " " + b.what }

// locate returns the path and the message of what a badValue says.
func locate(text string) (path []string, message string, ok bool) {
	for _, message := range []string{notText, misfit} {
		name, found := strings.CutSuffix(text, " "+message)
		if found && name == "" {
			return nil, message, true
		}
		if found {
			return strings.Split(name, "."), message, true
		}
	}
	return nil, "", false
}

// unmarshalBody is unmarshal for huma, which calls it twice: to look at the
// types of the values, and to read them. What JSON can say and we cannot keep
// is found the second time, when it is a failed validation.
func unmarshalBody(data []byte, v any) error {
	if _, first := v.(*any); first {
		return unmarshal(data, v)
	}
	if path, found := findNUL(data); found {
		return badValue{path, notText}
	}
	err := unmarshal(data, v)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badValue{strings.Split(e.Field, "."), misfit}
	}
	return err
}

// findNUL returns the way to a string with a NUL, which the ledger cannot
// store, in a JSON value.
func findNUL(data []byte) (path []string, found bool) {
	var v any
	if !bytes.Contains(data, []byte(`\u0000`)) || unmarshal(data, &v) != nil {
		return nil, false
	}
	return walkNUL(v)
}

func walkNUL(v any) (path []string, found bool) {
	switch v := v.(type) {
	case string:
		return nil, strings.ContainsRune(v, 0)
	case []any:
		for i, e := range v {
			if path, found := walkNUL(e); found {
				return append([]string{strconv.Itoa(i)}, path...), true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if path, found := walkNUL(v[name]); found {
				return append([]string{name}, path...), true
			}
		}
	}
	return nil, false
}

// validText reports whether the ledger can store s.
func validText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checkQuery refuses query parameters that are not text, and empty ones where
// only something else than text makes sense.
func checkQuery(c *fiber.Ctx, r route) error {
	for _, name := range r.filled {
		if args := c.Context().QueryArgs(); args.Has(name) && len(args.Peek(name)) == 0 {
			return queryError(name, empty)
		}
	}
	for name, value := range c.Context().QueryArgs().All() {
		if !validText(string(name)) {
			return queryError(strings.ToValidUTF8(string(name), "\uFFFD"), notText)
		}
		if !validText(string(value)) {
			return queryError(string(name), notText)
		}
	}
	return nil
}

// queryError is an Invalid error about one query parameter.
func queryError(name, what string) error {
	return &huma.ErrorModel{
		Status: http.StatusUnprocessableEntity,
		Errors: []*huma.ErrorDetail{{Location: "query." + name, Message: name + " " + what}},
	}
}
