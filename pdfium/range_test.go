package pdfium

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/seamtest"
)

// Its pages have a running head, a number, and compounds that are split at a
// line's end: what the pages around decide.
func TestTheEngineIsATextEngine(t *testing.T) {
	t.Parallel()
	e := newEngine(t, 0)
	pages := make([]string, 9)
	for i := range pages {
		pages[i] = show("Sleep and rest in the elderly", "", "Well-known facts", "and some that are well-", "known only to the re-", "searcher of page "+fmt.Sprint(i+1)+".") +
			fmt.Sprintf(" BT /F 10 Tf 300 40 Td (%d) Tj ET", i+1)
	}
	seamtest.TextEngine(t, e, writePDF(t, pdf("", pages...)), len(pages))
}

// TestARangeOfAPaperIsASliceOfIt reads papers whole and in parts of five pages.
func TestARangeOfAPaperIsASliceOfIt(t *testing.T) {
	t.Parallel()
	files := papers(t)
	e := newEngine(t, 0)
	for _, file := range files[:6] {
		whole, info, err := extract(t.Context(), e, file)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		const size = 5
		for first := 1; first <= info.Pages; first += size {
			r := voiceassist.PageRange{First: first, Last: first + size - 1}
			part, err := e.Extract(t.Context(), file, r, func(p voiceassist.Page) error {
				parts = append(parts, p.Text)
				return nil
			})
			if err != nil || part.Pages != info.Pages || first == 1 && part.Title != info.Title {
				t.Errorf("%s, pages %+v: %+v, %v; the whole is %+v", filepath.Base(file), r, part, err, info)
			}
		}
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Errorf("%s (-whole +parts):\n%s", filepath.Base(file), diff)
		}
	}
}
