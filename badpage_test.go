package voiceassist_test

import (
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestBadPagesAreDescribedInASentence(t *testing.T) {
	t.Parallel()
	const crashed, slow = voiceassist.PageCrashed, voiceassist.PageTooSlow
	for want, pages := range map[string][]voiceassist.BadPage{
		"": nil,
		"Page 7 could not be read: it crashed the reader.":                                   {{Number: 7, Reason: crashed}},
		"Pages 7 and 12 could not be read: they took too long.":                              {{Number: 7, Reason: slow}, {Number: 12, Reason: slow}},
		"Pages 7, 9 and 12 could not be read: 7 and 12 crashed the reader; 9 took too long.": {{Number: 7, Reason: crashed}, {Number: 9, Reason: slow}, {Number: 12, Reason: crashed}},
	} {
		if got := voiceassist.DescribeBadPages(pages); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	many := make([]voiceassist.BadPage, 30)
	for i := range many {
		many[i] = voiceassist.BadPage{Number: i + 1, Reason: crashed}
	}
	if got := voiceassist.DescribeBadPages(many); !strings.Contains(got, "19, 20 and 10 more could") {
		t.Errorf("%q, want that ten are not named", got)
	}
}

func TestAPageRangeIsWhatAFileHasOfIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pages       voiceassist.PageRange
		first, last int
	}{
		{voiceassist.PageRange{}, 1, 9},
		{voiceassist.PageRange{First: 3}, 3, 9},
		{voiceassist.PageRange{First: 3, Last: 5}, 3, 5},
		{voiceassist.PageRange{First: 8, Last: 12}, 8, 9},
		{voiceassist.PageRange{First: 10, Last: 12}, 10, 9},
	} {
		if first, last := test.pages.Of(9); first != test.first || last != test.last {
			t.Errorf("%+v of 9 pages is %d to %d, want %d to %d", test.pages, first, last, test.first, test.last)
		}
	}
	if p := (voiceassist.PageRange{First: 3, Last: 3}); !p.Alone() || !p.Has(3) || p.Has(2) || p.Has(4) {
		t.Errorf("page 3 alone: %t %t %t %t", p.Alone(), p.Has(3), p.Has(2), p.Has(4))
	}
	if p := (voiceassist.PageRange{}); p.Alone() || !p.Has(1) || !p.Has(1_000_000) {
		t.Error("the zero range is not every page")
	}
}
