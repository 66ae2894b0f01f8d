package extract_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
)

func utf16LE(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func TestSniffGoesByContentAndByNameForTextOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ head, name, want string }{
		{"%PDF-1.7\n", "a.txt", voiceassist.MediaPDF},
		{strings.Repeat("junk ", 100) + "%PDF-1.4", "scan", voiceassist.MediaPDF},
		{strings.Repeat("junk ", 300) + "%PDF-1.4", "notes", voiceassist.MediaText},
		{"Plain text, naïve.\n", "a", voiceassist.MediaText},
		{"na\xefve in Latin-1", "a.txt", voiceassist.MediaText},
		{utf16LE("Sixteen bits"), "a.txt", voiceassist.MediaText},
		{"", "empty.txt", voiceassist.MediaText},
		{"# Title\n\ntext", "README.md", voiceassist.MediaMarkdown},
		{"# Title\n\ntext", "notes.MARKDOWN", voiceassist.MediaMarkdown},
		{"# Title\n\ntext", "notes.txt", voiceassist.MediaText},
		{"<!DOCTYPE html><title>x</title>", "a.txt", voiceassist.MediaHTML},
		{"\xef\xbb\xbf\n <HTML lang=en>", "a", voiceassist.MediaHTML},
		{"<?xml version=\"1.0\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">", "a", voiceassist.MediaHTML},
		{"A fragment without tags", "a.html", voiceassist.MediaHTML},
		{"PK\x03\x04\x14\x00", "a.docx", ""},
		{"\x89PNG\r\n\x1a\n", "a.txt", ""},
		{"\xff\xd8\xff\xe0 JFIF", "a.md", ""},
		{"MZ\x90\x00", "a.exe", ""},
		{"\x7fELF\x02\x01", "a", ""},
		{"text with a\x00zero byte", "a.txt", ""},
		{strings.Repeat("\x01\x02\x03\x04", 20), "a.txt", ""},
	} {
		got, ok := extract.Sniff([]byte(test.head), test.name)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("Sniff(%.30q, %q) = %q, %v, want %q", test.head, test.name, got, ok, test.want)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("%PDF-"), "a.pdf")
	f.Add([]byte("<html"), "a")
	f.Add([]byte("\xff\xfea"), "a.md")
	f.Fuzz(func(t *testing.T, head []byte, name string) {
		mediaType, ok := extract.Sniff(head, name)
		if _, readable := extract.Engines()[mediaType]; ok && !readable && mediaType != voiceassist.MediaPDF {
			t.Errorf("Sniff(%q, %q) = %q, which nothing reads", head, name, mediaType)
		}
	})
}
