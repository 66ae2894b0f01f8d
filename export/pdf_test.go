package export

import (
	"bytes"
	"errors"
	"iter"
	"regexp"
	"strings"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

var said = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// turns yields messages with these texts.
func turns(texts ...string) iter.Seq2[voiceassist.Message, error] {
	return func(yield func(voiceassist.Message, error) bool) {
		for _, text := range texts {
			m := voiceassist.Message{
				Role: voiceassist.SpeakerAssistant, Status: voiceassist.MessageComplete, Content: text, CreatedAt: said,
				Citations: []voiceassist.Citation{{Index: 1, Title: text, Page: 1, Quote: text}},
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func TestCharactersThatTheFontLacksAreReplacedVisibly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"naïve α-Ω Жизнь Łódź ≤ 5 µg ± 2": "naïve α-Ω Жизнь Łódź ≤ 5 µg ± 2",
		"e\u0301":                      "é",
		"日本":                           "\ufffd\ufffd",
		"a😀b":                          "a\ufffdb",
		"non\u2011stop\u00a0now\u200b": "non-stop now",
		"a\nb\x00":                     "a\nb\ufffd",
	} {
		if got := loadFonts().drawable(text); got != want {
			t.Errorf("drawable(%q) = %q, want %q", text, got, want)
		}
	}
}

var pageObject = regexp.MustCompile(`/Type /Page\b`)

func TestPDFTakesWhateverWasSaid(t *testing.T) {
	t.Parallel()
	c := voiceassist.Conversation{Title: "Жизнь (1)\\", CreatedAt: said, UpdatedAt: said}
	for name, text := range map[string]string{
		"nothing": "", "spaces": " \n ", "a long word": strings.Repeat("x", 20000), "many lines": strings.Repeat("line\n", 2000),
		"emoji": "😀", "control characters": "a\x00\x1b\x7fb", "syntax": `(a) \) /Type /Page stream endstream <</A>>`, "not UTF-8": "\xff\xfe",
	} {
		var buf bytes.Buffer
		if err := PDF(&buf, c, turns(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		pages := len(pageObject.FindAll(buf.Bytes(), -1))
		if !bytes.HasPrefix(buf.Bytes(), []byte("%PDF-")) || !bytes.HasSuffix(bytes.TrimSpace(buf.Bytes()), []byte("%%EOF")) || pages < 1 {
			t.Errorf("%s: %d pages", name, pages)
		}
		if name == "many lines" && pages < 20 {
			t.Errorf("%s are on %d pages", name, pages)
		}
	}
}

func TestPDFIsBounded(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	err := PDF(&buf, voiceassist.Conversation{}, turns("fine", strings.Repeat("x", maxPDFText)))
	if !errors.Is(err, voiceassist.TooLarge) || buf.Len() != 0 {
		t.Errorf("PDF wrote %d bytes and ends with %v", buf.Len(), err)
	}
	broken := errors.New("broken")
	err = PDF(&buf, voiceassist.Conversation{}, func(yield func(voiceassist.Message, error) bool) { yield(voiceassist.Message{}, broken) })
	if !errors.Is(err, broken) || buf.Len() != 0 {
		t.Errorf("PDF wrote %d bytes and ends with %v", buf.Len(), err)
	}
}
