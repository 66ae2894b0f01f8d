package unipdf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestWithoutAKeyThereIsNoEngine(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "  "} {
		if _, err := New(key); err == nil || !strings.Contains(err.Error(), "no licence key") {
			t.Errorf("New(%q) error = %v, want that there is no key", key, err)
		}
	}
}

func TestAFileThatIsNoPDFIsDamaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "noise.pdf")
	if err := os.WriteFile(path, []byte("%PDF-1.4\nnoise"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := (&Engine{}).Extract(t.Context(), path, voiceassist.PageRange{}, func(voiceassist.Page) error { return nil })
	if f, ok := errors.AsType[*voiceassist.Failure](err); !ok || f.Reason != voiceassist.ReasonDamaged {
		t.Errorf("error = %v, want damaged", err)
	}
}

// A page refused for want of a licence must not fail the document for good.
func TestARefusalForWantOfALicenceIsNotTheFilesFault(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.pdf")
	if err := os.WriteFile(path, onePage(), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := (&Engine{}).Extract(t.Context(), path, voiceassist.PageRange{}, func(voiceassist.Page) error { return nil })
	if _, ok := errors.AsType[*voiceassist.Failure](err); err == nil || ok || !isLicence(err) {
		t.Errorf("error = %v, want one about the licence that is no Failure", err)
	}
}

// onePage is a file with one page of text.
func onePage() []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	xref := "xref\n0 5\n0000000000 65535 f \n"
	for i, object := range []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>/Contents 4 0 R>>",
		"<</Length 34>>stream\nBT /F 10 Tf 50 700 Td (Text) Tj ET\nendstream",
	} {
		xref += fmt.Sprintf("%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj%s\nendobj\n", i+1, object)
	}
	fmt.Fprintf(&b, "%strailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", xref, b.Len())
	return b.Bytes()
}
