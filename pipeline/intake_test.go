package pipeline

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestIntakeRefusesAtTheDoorAndKeepsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		name, content string
		want          voiceassist.Code
	}{
		{"empty.txt", "", voiceassist.Invalid},
		{"picture.pdf", "\x89PNG\r\n\x1a\n\x00\x00", voiceassist.UnsupportedMedia},
		{"huge.txt", strings.Repeat("word ", 300_000), voiceassist.TooLarge},
	} {
		if _, err := r.in.Receive(t.Context(), c.name, strings.NewReader(c.content)); voiceassist.CodeOf(err) != c.want {
			t.Errorf("Receive(%s) = %v, want %s", c.name, err, c.want)
		}
	}
	if n := r.originals(t); n != 0 {
		t.Errorf("%d originals are kept, want 0", n)
	}
}

func TestAnUploadThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := errReader{bytes.NewReader(bytes.Repeat([]byte("word "), 10_000))}
	if _, err := r.in.Receive(t.Context(), "a.txt", body); !errors.Is(err, errLineCut) {
		t.Errorf("Receive = %v, want the body's error", err)
	}
	if n := r.originals(t); n != 0 {
		t.Errorf("%d originals are kept, want 0", n)
	}
}

func TestFilenamesAreCutDownToANameWithoutControlCharacters(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"paper.pdf":                        "paper.pdf",
		`C:\Users\me\paper.pdf`:            "paper.pdf",
		"../../etc/passwd":                 "passwd",
		"a\x00b\nc.txt":                    "ab c.txt",
		"":                                 "document",
		"/":                                "document",
		"\xff\xfe.txt":                     ".txt",
		strings.Repeat("ü", 300):           strings.Repeat("ü", 255) + "…",
		"Überblick – 2. Auflage (neu).pdf": "Überblick – 2. Auflage (neu).pdf",
	} {
		if got := cleanFilename(in); got != want {
			t.Errorf("cleanFilename(%q) = %q, want %q", in, got, want)
		}
	}
}
