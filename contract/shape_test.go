package contract_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// shape says what JSON looks like: "{id:s count:n items:[{title:s}]}". The types
// are s string, n number, b boolean, t time, e object of any members, a array of
// anything, * anything, {…} object with at least these members, […] array of
// these; ? after a type also allows null.
type shape string

// check returns what is wrong with v, "" if nothing is.
func (s shape) check(v any) string {
	p := &parser{text: string(s)}
	problem := p.value(v, "")
	if p.text = strings.TrimSpace(p.text); p.text != "" && problem == "" {
		return "the shape has more than one value: " + p.text
	}
	return problem
}

// members are the names of the members of an object.
func (s shape) members() []string {
	var names []string
	depth := 0
	for i, r := range s {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ':':
			if depth == 1 {
				before := string(s[:i])
				names = append(names, before[strings.LastIndexAny(before, "{ \n\t")+1:])
			}
		}
	}
	return names
}

// parser reads a shape while it walks the value that should have it.
type parser struct{ text string }

func (p *parser) take(prefix string) bool {
	p.text = strings.TrimLeft(p.text, " \n\t")
	rest, ok := strings.CutPrefix(p.text, prefix)
	if ok {
		p.text = rest
	}
	return ok
}

// value checks v and moves over the shape of one value.
func (p *parser) value(v any, at string) string {
	var problem string
	switch {
	case p.take("{"):
		problem = p.object(v, at)
	case p.take("["):
		problem = p.array(v, at)
	default:
		kind := p.text[:1]
		p.text = p.text[1:]
		problem = scalar(kind, v, at)
	}
	if p.take("?") && v == nil {
		return ""
	}
	return problem
}

func (p *parser) object(v any, at string) string {
	object, ok := v.(map[string]any)
	problem := ""
	if !ok {
		problem = fmt.Sprintf("%s is %s, not an object", at, brief(v))
	}
	for !p.take("}") {
		p.text = strings.TrimLeft(p.text, " \n\t")
		name, rest, found := strings.Cut(p.text, ":")
		if !found {
			panic("shape: no type after " + p.text)
		}
		p.text = rest
		member, there := object[name]
		found2 := p.value(member, at+"."+name)
		switch {
		case problem != "":
		case !there:
			problem = at + "." + name + " is missing"
		default:
			problem = found2
		}
	}
	return problem
}

func (p *parser) array(v any, at string) string {
	list, ok := v.([]any)
	problem := ""
	if !ok {
		problem = fmt.Sprintf("%s is %s, not an array", at, brief(v))
	}
	element := p.text
	for i, item := range list {
		p.text = element
		if found := p.value(item, fmt.Sprintf("%s[%d]", at, i)); problem == "" {
			problem = found
		}
	}
	p.text = element
	p.value(nil, at)
	if !p.take("]") {
		panic("shape: no ] in " + element)
	}
	return problem
}

func scalar(kind string, v any, at string) string {
	var ok bool
	var want string
	switch kind {
	case "s":
		_, ok = v.(string)
		want = "a string"
	case "n":
		_, ok = v.(float64)
		want = "a number"
	case "b":
		_, ok = v.(bool)
		want = "a boolean"
	case "t":
		text, isText := v.(string)
		_, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		ok, want = isText && err == nil, "a time in UTC with milliseconds"
	case "e":
		_, ok = v.(map[string]any)
		want = "an object"
	case "a":
		_, ok = v.([]any)
		want = "an array"
	case "*":
		return ""
	default:
		panic("shape: no type is called " + kind)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%s is %s, not %s", at, brief(v), want)
}

func brief(v any) string {
	s := fmt.Sprintf("%T %v", v, v)
	return s[:min(len(s), 60)]
}

func TestShapesFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := map[string]any{
		"id": "x", "n": 1.5, "at": "2026-01-02T03:04:05.678Z", "none": nil, "rows": []any{map[string]any{"b": true}, map[string]any{"b": false}},
	}
	for _, test := range []struct {
		shape shape
		value any
		want  string
	}{
		{"{id:s n:n at:t none:s? rows:[{b:b}]}", good, ""},
		{"{id:n}", good, ".id is string x, not a number"},
		{"{missing:s?}", good, ".missing is missing"},
		{"{none:s}", good, ".none is <nil> <nil>, not a string"},
		{"{rows:[{b:s}]}", good, ".rows[0].b is bool true, not a string"},
		{"{id:t}", good, ".id is string x, not a time in UTC with milliseconds"},
		{"[s]", []any{"a", 1.0}, "[1] is float64 1, not a string"},
		{"[{a:s}]", []any{}, ""},
		{"[s]", good, " is map[string]interface {} map[at:2026-01-02T03:04:05.678Z id:x, not an array"},
	} {
		if got := test.shape.check(test.value); got != test.want {
			t.Errorf("%s: %q, want %q", test.shape, got, test.want)
		}
	}
	if got := shape("{id:s rows:[{b:b}] user:{email:s}\n\tat:t?}").members(); !slices.Equal(got, []string{"id", "rows", "user", "at"}) {
		t.Errorf("members = %q", got)
	}
}
