package pdfium

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
)

// cacheDir keeps the compiled code for all tests of a run.
var cacheDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "pdfium-test-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := cacheDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func newEngine(t *testing.T, memory int64) *Engine {
	t.Helper()
	if raceEnabled {
		t.Skip("PDFium takes 22 s to start under the race detector")
	}
	dir, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{CacheDir: dir, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return e
}

// pdf makes a file with the given content streams as pages.
func pdf(info string, contents ...string) []byte {
	var b bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(offsets)}, args...)...)
	}
	b.WriteString("%PDF-1.4\n")
	const first = 5 // the number of the first page
	var kids strings.Builder
	for i := range contents {
		fmt.Fprintf(&kids, "%d 0 R ", first+2*i)
	}
	object("<</Type/Catalog/Pages 2 0 R>>")
	object("<</Type/Pages/Kids[%s]/Count %d>>", kids.String(), len(contents))
	object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
	object("<<%s>>", info)
	for i, c := range contents {
		filter := ""
		if strings.HasPrefix(c, "\x78") {
			filter = "/Filter/FlateDecode"
		}
		object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>", first+2*i+1)
		object("<</Length %d%s>>stream\n%s\nendstream", len(c), filter, c)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, start)
	return b.Bytes()
}

// show is a content stream that writes lines from the top of the page.
func show(lines ...string) string {
	var b strings.Builder
	b.WriteString("BT /F 10 Tf 12 TL 50 700 Td ")
	for _, l := range lines {
		fmt.Fprintf(&b, "(%s) Tj T* ", l)
	}
	return b.String() + "ET"
}

func writePDF(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "paper.pdf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func extract(ctx context.Context, e *Engine, path string) (texts []string, info voiceassist.FileInfo, err error) {
	info, err = e.Extract(ctx, path, voiceassist.PageRange{}, func(p voiceassist.Page) error {
		if p.Number != len(texts)+1 {
			return fmt.Errorf("page %d follows page %d", p.Number, len(texts))
		}
		texts = append(texts, p.Text)
		return nil
	})
	return texts, info, err
}

func TestPagesAndInfoOfAFile(t *testing.T) {
	t.Parallel()
	e := newEngine(t, 0)
	path := writePDF(t, pdf("/Title(Sleep and rest)/Author(A. Author)", show("Sleep is a state of reduced con-", "sciousness."), "", show("Third page.")))
	for range 2 { // the second reading finds nothing left of the first
		texts, info, err := extract(t.Context(), e, path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Sleep is a state of reduced consciousness.", "", "Third page."}, texts); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		if want := (voiceassist.FileInfo{Title: "Sleep and rest", Author: "A. Author", Pages: 3}); info != want {
			t.Errorf("info = %+v, want %+v", info, want)
		}
	}
}

func TestTheTitleIsThatOfTheFirstPageWhereTheFileClaimsNoneOrAnother(t *testing.T) {
	t.Parallel()
	e := newEngine(t, 0)
	page := "BT /F 18 Tf 50 750 Td (Sleep and rest in the elderly) Tj ET " + show("Sleep is a state.", "It is good.", "Rest is, too.", "So is tea.", "That is all.")
	for info, want := range map[string]string{
		"":                            "Sleep and rest in the elderly",
		"/Title(paper_v3.doc)":        "Sleep and rest in the elderly",
		"/Title(Gold in iron wires)":  "Sleep and rest in the elderly",
		"/Title(Sleep, rest and age)": "Sleep, rest and age",
	} {
		if _, got, err := extract(t.Context(), e, writePDF(t, pdf(info, page))); err != nil || got.Title != want {
			t.Errorf("%s: title %q, %v, want %q", info, got.Title, err, want)
		}
	}
	if _, got, err := extract(t.Context(), e, writePDF(t, pdf("/Title(Scans of gold wires)", ""))); err != nil || got.Title != "Scans of gold wires" {
		t.Errorf("title of a file without text: %q, %v", got.Title, err)
	}
}

func TestAFileThatIsNoPDFIsDamaged(t *testing.T) {
	t.Parallel()
	e := newEngine(t, 0)
	whole := pdf("", show("Text."))
	for name, data := range map[string][]byte{"empty": nil, "noise": []byte("%PDF-1.4\nnoise"), "without pages": pdf(""), "cut": whole[:60]} {
		texts, _, err := extract(t.Context(), e, writePDF(t, data))
		if f, ok := errors.AsType[*voiceassist.Failure](err); !ok || f.Reason != voiceassist.ReasonDamaged || len(texts) > 0 {
			t.Errorf("%s: %d pages, error %v, want damaged", name, len(texts), err)
		}
	}
	if texts, _, err := extract(t.Context(), e, writePDF(t, whole)); err != nil || len(texts) != 1 {
		t.Errorf("the next file: %q, %v", texts, err)
	}
}

func TestAFileThatDoesNotFitIntoMemoryIsTooComplex(t *testing.T) {
	t.Parallel()
	e := newEngine(t, 64<<20)
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	for range 300 {
		_, _ = z.Write(bytes.Repeat([]byte("q "), 1<<19))
	}
	_ = z.Close()
	for name, data := range map[string][]byte{
		"a large file": append(pdf("", show("Text.")), make([]byte, 100<<20)...),
		"a small file": pdf("", bomb.String()),
	} {
		_, _, err := extract(t.Context(), e, writePDF(t, data))
		if f, ok := errors.AsType[*voiceassist.Failure](err); !ok || f.Reason != voiceassist.ReasonTooComplex {
			t.Errorf("%s: error %v, want too_complex", name, err)
		}
		if texts, _, err := extract(t.Context(), e, writePDF(t, pdf("", show("Text.")))); err != nil || len(texts) != 1 {
			t.Errorf("the file after %s: %q, %v", name, texts, err)
		}
	}
}

func TestExtractStopsAtTheErrorOfEmitAndWhenCancelled(t *testing.T) {
	t.Parallel()
	e := newEngine(t, 0)
	path := writePDF(t, pdf("", show("One."), show("Two."), show("Three."), show("Four.")))
	full := errors.New("no room for pages")
	calls := 0
	if _, err := e.Extract(t.Context(), path, voiceassist.PageRange{}, func(voiceassist.Page) error { calls++; return full }); !errors.Is(err, full) || calls != 1 {
		t.Errorf("%d calls, error %v, want one and %v", calls, err, full)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := extract(ctx, e, path); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want cancelled", err)
	}
}

func TestTitlesThatNobodyGaveAreDropped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Sleep and rest in the elderly": "Sleep and rest in the elderly",
		" Sleep\x00 and\n rest ":        "Sleep and rest",
		"Metformin":                     "Metformin",
		"untitled":                      "",
		"Untitled document":             "",
		"Microsoft Word - paper_v3.doc": "",
		"manuscript-final.docx":         "",
		"LHM10134 319..324":             "",
		"S1470204520301":                "",
		"OP-CESC140123 1..9":            "",
		"paper":                         "",
		"PII: S0140-6736(20)31142-9":    "",
		"---":                           "",
		"":                              "",
	} {
		if got := title(in, "/tmp/paper.pdf"); got != want {
			t.Errorf("title(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"A. Author, B. Author": "A. Author, B. Author", "Administrator": "", "user": "", "??": ""} {
		if got := author(in); got != want {
			t.Errorf("author(%q) = %q, want %q", in, got, want)
		}
	}
}
