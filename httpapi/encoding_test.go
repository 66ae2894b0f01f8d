package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

func TestTwinsDoubleTheirOwnFieldsAlone(t *testing.T) {
	t.Parallel()
	type inner struct {
		DeepName string `json:"deep_name"`
	}
	type outer struct {
		ID        string         `json:"id"`
		CreatedAt string         `json:"created_at"`
		PageNo    int            `json:"page_no"`
		Given     string         `json:"given_twice"`
		GivenToo  string         `json:"givenTwice"`
		Inner     inner          `json:"inner_value"`
		Free      map[string]any `json:"free_form"`
	}
	got, err := json.Marshal(both(outer{
		ID: "1", CreatedAt: `"quoted" \ <b>`, PageNo: 2, Given: "a", GivenToo: "b", Inner: inner{"x"}, Free: map[string]any{"some_key": []int{1, 2}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(got, &fields); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	want := map[string]any{
		"id":         "1",
		"created_at": `"quoted" \ <b>`, "createdAt": `"quoted" \ <b>`,
		"page_no": 2.0, "pageNo": 2.0,
		"given_twice": "a", "givenTwice": "b",
		"inner_value": map[string]any{"deep_name": "x"}, "innerValue": map[string]any{"deep_name": "x"},
		"free_form": map[string]any{"some_key": []any{1.0, 2.0}}, "freeForm": map[string]any{"some_key": []any{1.0, 2.0}},
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCasingsTranslate(t *testing.T) {
	t.Parallel()
	for snake, camel := range map[string]string{"created_at": "createdAt", "id": "id", "requires_2fa": "requires2fa", "last_message_preview": "lastMessagePreview"} {
		if got := camelCase(snake); got != camel {
			t.Errorf("camelCase(%q) = %q, want %q", snake, got, camel)
		}
	}
	for camel, snake := range map[string]string{"createdAt": "created_at", "id": "id", "documentIds": "document_ids", "created_at": "created_at"} {
		if got := snakeCase(camel); got != snake {
			t.Errorf("snakeCase(%q) = %q, want %q", camel, got, snake)
		}
	}
}

func TestReadErrorsAreTakenForWhatTheyAre(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{
		400: errors.New("secret"),
		408: fmt.Errorf("read the body: %w", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}),
		413: fasthttp.ErrBodyTooLarge,
	} {
		if got := statusOf(classOf(err)); got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}

// FuzzEachField compares the scanner with encoding/json.
func FuzzEachField(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":[{"c":"}]"},"\\\""],"d":{"e":null}}`, `[1]`, `"s"`, `{"":{}}`, `{"a\"b":[[],{}],"x":-1.5e3}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &object) != nil || object == nil {
			t.Skip()
		}
		compact, err := json.Marshal(object)
		if err != nil {
			t.Skip()
		}
		rebuilt := []byte{'{'}
		eachField(compact, func(key, field []byte) {
			if !bytes.HasPrefix(field, append(append([]byte{'"'}, key...), `":`...)) {
				t.Fatalf("key %q of member %q", key, field)
			}
			if len(rebuilt) > 1 {
				rebuilt = append(rebuilt, ',')
			}
			rebuilt = append(rebuilt, field...)
		})
		if rebuilt = append(rebuilt, '}'); !bytes.Equal(rebuilt, compact) {
			t.Fatalf("members of %s rebuilt as %s", compact, rebuilt)
		}
	})
}

// FuzzRewrite looks for paths that the aliases lead in a circle or away from
// the root.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{"/", "", "/v1", "/v1/", "/v1/v1/health", "/api/api/api/ws/", "/admin", "/admin/jobs/", "//", "/kb/x//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") {
			t.Skip()
		}
		routed, _ := rewrite(path)
		if !strings.HasPrefix(routed, "/") {
			t.Errorf("rewrite(%q) = %q", path, routed)
		}
		if again, _ := rewrite(routed); again != routed && !strings.HasPrefix(routed, flatPrefix) && !strings.HasSuffix(routed, "/") {
			t.Errorf("rewrite(%q) = %q, and that is %q", path, routed, again)
		}
	})
}

// benchDocuments are n documents with everything a client reads.
func benchDocuments(n int) documentList {
	docs := make([]voiceassist.Document, n)
	for i := range docs {
		docs[i] = voiceassist.Document{
			ID: uuid.New(), SHA256: strings.Repeat("0", 64), Size: 1 << 20, Filename: "guideline.pdf", MediaType: voiceassist.MediaPDF,
			Title: "Standards of Care in Diabetes", SourceType: "guideline", Specialty: "endocrinology", State: voiceassist.DocumentIndexed,
			CreatedAt: time.Now(), UpdatedAt: time.Now(), Metadata: map[string]any{"journal": "Diabetes Care", "year": 2026},
		}
	}
	rows := documentsOf(docs)
	return documentList{Documents: rows, Items: rows, Total: n, Limit: n}
}

func BenchmarkReplyObject(b *testing.B) {
	benchmarkReply(b, both(userOf(voiceassist.User{ID: uuid.New(), Email: "ada@example.org", FullName: "Ada Lovelace", CreatedAt: time.Now()})))
}

func BenchmarkReplyList20(b *testing.B) { benchmarkReply(b, benchDocuments(20)) }

func benchmarkReply(b *testing.B, v any) {
	ctx, req := new(fasthttp.RequestCtx), &request{id: uuid.NewString(), trace: strings.Repeat("0", 32)}
	b.ReportAllocs()
	for b.Loop() {
		if err := reply(ctx, req, 200, v); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(ctx.Response.Body())))
}
