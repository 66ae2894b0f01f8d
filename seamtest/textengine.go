package seamtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
)

// TextEngine checks what readers rely on, with a file that e reads and that has
// n pages. The tests run one after another: an engine may read one file at a time.
func TextEngine(t *testing.T, e voiceassist.TextEngine, file string, n int) {
	s := engineFile{e, file, n}
	whole := s.read(t, voiceassist.PageRange{})
	for name, test := range map[string]func(*testing.T, engineFile, []voiceassist.Page){
		"TheZeroRangeIsEveryPage":             everyPage,
		"ARangeIsASliceOfTheWhole":            rangeIsSlice,
		"APageByItselfIsThatPage":             pageAlone,
		"BeyondTheLastPageThereIsNone":        beyondTheEnd,
		"TheErrorOfEmitEndsTheReadingAtOnce":  emitFails,
		"PagesCountsTheWholeFileInEveryRange": countsWhole,
	} {
		t.Run(name, func(t *testing.T) { test(t, s, whole) })
	}
}

// engineFile is a file of n pages and what reads it.
type engineFile struct {
	engine voiceassist.TextEngine
	file   string
	n      int
}

func (s engineFile) read(t *testing.T, pages voiceassist.PageRange) (got []voiceassist.Page) {
	t.Helper()
	_, err := s.engine.Extract(t.Context(), s.file, pages, func(p voiceassist.Page) error {
		got = append(got, p)
		return nil
	})
	if err != nil {
		t.Fatalf("pages %+v: %v", pages, err)
	}
	return got
}

func everyPage(t *testing.T, s engineFile, whole []voiceassist.Page) {
	if len(whole) != s.n {
		t.Fatalf("%d pages, want %d", len(whole), s.n)
	}
	for i, p := range whole {
		if p.Number != i+1 {
			t.Errorf("page %d comes as number %d", i+1, p.Number)
		}
	}
}

func rangeIsSlice(t *testing.T, s engineFile, whole []voiceassist.Page) {
	for first := 1; first <= s.n; first++ {
		for _, last := range []int{first + 1, first + 3, s.n, 0} {
			r := voiceassist.PageRange{First: first, Last: last}
			if r.Alone() {
				continue
			}
			_, end := r.Of(s.n)
			if diff := cmp.Diff(whole[first-1:end], s.read(t, r)); diff != "" {
				t.Errorf("pages %+v (-whole +range):\n%s", r, diff)
			}
		}
	}
}

func pageAlone(t *testing.T, s engineFile, _ []voiceassist.Page) {
	for n := 1; n <= s.n; n++ {
		if got := s.read(t, voiceassist.PageRange{First: n, Last: n}); len(got) != 1 || got[0].Number != n {
			t.Errorf("page %d by itself is %d pages, %+v", n, len(got), got)
		}
	}
}

func beyondTheEnd(t *testing.T, s engineFile, _ []voiceassist.Page) {
	for _, r := range []voiceassist.PageRange{{First: s.n + 1}, {First: s.n + 1, Last: s.n + 5}, {First: 1 << 30, Last: 1 << 30}} {
		if got := s.read(t, r); len(got) > 0 {
			t.Errorf("pages %+v of %d are %d", r, s.n, len(got))
		}
	}
}

func emitFails(t *testing.T, s engineFile, _ []voiceassist.Page) {
	full, calls := errors.New("no room for pages"), 0
	_, err := s.engine.Extract(t.Context(), s.file, voiceassist.PageRange{}, func(voiceassist.Page) error { calls++; return full })
	if !errors.Is(err, full) || calls != 1 {
		t.Errorf("%d calls, error %v, want one and %v", calls, err, full)
	}
}

func countsWhole(t *testing.T, s engineFile, _ []voiceassist.Page) {
	for _, r := range []voiceassist.PageRange{{}, {First: 1, Last: 1}, {First: 2}, {First: 1 << 30, Last: 1 << 30}} {
		info, err := s.engine.Extract(t.Context(), s.file, r, func(voiceassist.Page) error { return nil })
		if err == nil && info.Pages != s.n {
			err = fmt.Errorf("the file has %d pages, want %d", info.Pages, s.n)
		}
		if err != nil {
			t.Errorf("pages %+v: %v", r, err)
		}
	}
}
