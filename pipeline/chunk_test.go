package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// checkPassages fails unless the passages are the parts of the page that they
// say they are, in order, and together hold every word of it.
func checkPassages(t *testing.T, page voiceassist.Page, passages []voiceassist.Passage) {
	t.Helper()
	runes := []rune(page.Text)
	at := 0
	for _, p := range passages {
		if p.CharStart < at || p.CharEnd <= p.CharStart || p.CharEnd > len(runes) {
			t.Fatalf("passage %d lies at [%d, %d) after %d of %d", p.Ordinal, p.CharStart, p.CharEnd, at, len(runes))
		}
		if got := string(runes[p.CharStart:p.CharEnd]); got != p.Text {
			t.Fatalf("passage %d is %q, the page has %q there", p.Ordinal, p.Text, got)
		}
		if left := strings.TrimSpace(string(runes[at:p.CharStart])); left != "" {
			t.Fatalf("%q is in no passage", left)
		}
		at = p.CharEnd
	}
	if left := strings.TrimSpace(string(runes[at:])); left != "" {
		t.Fatalf("%q is in no passage", left)
	}
}

func TestPassagesAreExactlyThePartsOfThePageThatTheySay(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 40 {
		if i%10 == 0 {
			fmt.Fprintf(&text, "Section %c\n\n", 'A'+i/10)
		}
		fmt.Fprintf(&text, "Größe µ≥%d: %s ends here. ", i, strings.Repeat("wörter ", 15))
		if i%3 == 2 {
			text.WriteString("\n\n")
		}
	}
	page := voiceassist.Page{Number: 3, Text: text.String()}
	passages := NewChunker(uuid.New(), 1).Chunk(page)
	checkPassages(t, page, passages)
	if len(passages) < 3 {
		t.Fatalf("%d passages, want several", len(passages))
	}
	for _, p := range passages {
		if n := countWords(p.Text); n > targetWords*5/4 || n < minWords {
			t.Errorf("passage %d has %d words, want %d to about %d", p.Ordinal, n, minWords, targetWords)
		}
		if p.Page != 3 {
			t.Errorf("passage %d is on page %d, want 3", p.Ordinal, p.Page)
		}
	}
	if got := passages[len(passages)-1].Section; got != "Section D" {
		t.Errorf("the last passage's section is %q, want Section D", got)
	}
}

func TestTextWithoutSpacesMakesPassagesOfBoundedSize(t *testing.T) {
	t.Parallel()
	page := voiceassist.Page{Number: 1, Text: strings.Repeat("ACGT", 100_000)}
	passages := NewChunker(uuid.New(), 1).Chunk(page)
	checkPassages(t, page, passages)
	for _, p := range passages {
		if len(p.Text) > 10_000 {
			t.Errorf("passage %d has %d bytes", p.Ordinal, len(p.Text))
		}
	}
}

func TestOrdinalsAndSectionsGoOnFromPageToPage(t *testing.T) {
	t.Parallel()
	c := NewChunker(uuid.New(), 2)
	first := c.Chunk(voiceassist.Page{Number: 1, Text: "Methods\n\nWe measured it twice."})
	empty := c.Chunk(voiceassist.Page{Number: 2})
	last := c.Chunk(voiceassist.Page{Number: 3, Text: "and wrote it down."})
	if len(first) != 1 || len(empty) != 0 || len(last) != 1 {
		t.Fatalf("%d, %d and %d passages, want 1, 0 and 1", len(first), len(empty), len(last))
	}
	if last[0].Ordinal != 1 || last[0].Section != "Methods" {
		t.Errorf("the last passage is number %d of %q, want 1 of Methods", last[0].Ordinal, last[0].Section)
	}
}

func TestTheSamePageGivesTheSamePassageIDs(t *testing.T) {
	t.Parallel()
	id, page := uuid.New(), voiceassist.Page{Number: 1, Text: "One sentence. And another."}
	a, b := NewChunker(id, 1).Chunk(page), NewChunker(id, 1).Chunk(page)
	other := NewChunker(id, 2).Chunk(page)
	if a[0].ID != b[0].ID {
		t.Error("the ids of the same passage differ")
	}
	if a[0].ID == other[0].ID {
		t.Error("two generations share a passage id")
	}
}

// FuzzChunk: whatever the text of a page, its passages are parts of it and hold
// all of it.
func FuzzChunk(f *testing.F) {
	f.Add("Title\n\nA sentence. Another one.\n\n" + strings.Repeat("long ", 500))
	f.Add("头痛。\n\n\n1. x")
	f.Fuzz(func(t *testing.T, text string) {
		page := voiceassist.Page{Number: 1, Text: strings.ToValidUTF8(text, "")}
		checkPassages(t, page, NewChunker(uuid.Nil, 1).Chunk(page))
	})
}
