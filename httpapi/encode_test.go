package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

type embeddedPart struct {
	Shared string `json:"shared"`
	Hidden string `json:"hidden"`
}

type everything struct {
	embeddedPart
	Text     string            `json:"text"`
	Number   int               `json:"number"`
	Small    int8              `json:"small"`
	Real     float64           `json:"real"`
	Yes      bool              `json:"yes"`
	Hidden   int               `json:"hidden"`
	Pointer  *int              `json:"pointer"`
	Words    []string          `json:"words"`
	Again    []string          `json:"again"`
	Bytes    []byte            `json:"bytes"`
	Map      map[string]string `json:"map"`
	Any      any               `json:"any"`
	Time     time.Time         `json:"time"`
	ID       uuid.UUID         `json:"id"`
	Raw      json.RawMessage   `json:"raw"`
	Left     string            `json:"-"`
	Empty    string            `json:"empty,omitempty"`
	Zero     time.Time         `json:"zero,omitzero"`
	Untagged int
	Children []everything `json:"children"`
	Parent   *everything  `json:"parent,omitempty"`
	private  int
}

type holder struct {
	None *twins[embeddedPart]   `json:"none"`
	One  *twins[embeddedPart]   `json:"one_one"`
	Many []*twins[embeddedPart] `json:"many"`
	List *array[int]            `json:"list"`
}

type stringly struct {
	N int `json:"n,string"`
}

func full(text string) everything {
	words := []string{text, "b"}
	return everything{
		embeddedPart: embeddedPart{text, "not seen"}, Text: text, Number: -7, Small: 3, Real: 1e21, Yes: true, Hidden: 4,
		Pointer: new(5), Words: words, Again: words, Bytes: []byte(text), Map: map[string]string{"k_k": text}, Any: stringly{6},
		Time: time.Unix(1, 5).UTC(), ID: uuid.UUID{1}, Raw: json.RawMessage(`{"a":1}`), Left: "x", Empty: text, Zero: time.Unix(2, 0).UTC(),
		Untagged: 8, Children: []everything{{Words: words[:1], Again: words}}, Parent: &everything{Map: map[string]string{}}, private: 1,
	}
}

func TestRepliesAreEncodedAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		nil, 1, "a", true, []string(nil),
		[]string{},
		map[string]any{},
		map[string]any(nil), 1.5,
		everything{},
		&everything{}, (*everything)(nil),
		full("plain"), full(`quotes " and \ slashes`), full("lines\n and\ttabs \x00\x1f\x7f"), full("<b>&amp;</b>"), full("ünïcödé \u2028 日本"),
		full("not \xff UTF-8"),
		[]everything{full("a"), full("")},
		stringly{1},
		[]any{1, "x", nil, full("y")},
		holder{One: new(both(embeddedPart{"a", "b"})), Many: []*twins[embeddedPart]{nil, new(both(embeddedPart{}))}},
		both(holder{One: new(both(embeddedPart{"a", "b"})), List: &array[int]{rows: []int{1}}}),
		new(both(holder{})), (*twins[holder])(nil), (*array[int])(nil), &array[int]{rows: []int{}},
	} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		got, err := appendJSON([]byte("before "), v)
		if err != nil {
			t.Errorf("%T: %v", v, err)
		}
		if diff := cmp.Diff("before "+want.String(), string(got)+"\n"); diff != "" {
			t.Errorf("%T (-want +got):\n%s", v, diff)
		}
		got, err = appendObject(nil, v, new([]span))
		if diff := cmp.Diff(want.String(), string(got)+"\n"); diff != "" || err != nil {
			t.Errorf("the reply %T: %v (-want +got):\n%s", v, err, diff)
		}
	}
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("cannot") }

func TestWhatCannotBeEncodedIsAnError(t *testing.T) {
	t.Parallel()
	for _, v := range []any{failing{}, []any{failing{}}, both(struct {
		F failing `json:"f"`
	}{}), make(chan int)} {
		var out bytes.Buffer
		if err := marshal(&out, v); err == nil || out.Len() != 0 {
			t.Errorf("%T: %v, %q", v, err, out.String())
		}
	}
}
