package extract

import (
	"bytes"
	"net/http"
	"path"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

// SniffSize is how many of a file's first bytes Sniff looks at.
const SniffSize = 4096

// Sniff tells by a file's first bytes which of the media types that we read it
// is; ok is false for anything else. The name only tells the kinds of text
// apart.
func Sniff(head []byte, filename string) (mediaType string, ok bool) {
	head = head[:min(len(head), SniffSize)]
	if bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")) {
		return voiceassist.MediaPDF, true
	}
	if !looksLikeText(head) {
		return "", false
	}
	switch strings.ToLower(path.Ext(filename)) {
	case ".md", ".markdown":
		return voiceassist.MediaMarkdown, true
	case ".html", ".htm", ".xhtml":
		return voiceassist.MediaHTML, true
	}
	if looksLikeHTML(head) {
		return voiceassist.MediaHTML, true
	}
	return voiceassist.MediaText, true
}

// looksLikeText reports whether the bytes could be text in an encoding that
// decode knows: UTF-16 with a byte order mark, or bytes without control
// characters that no text has.
func looksLikeText(head []byte) bool {
	if hasUTF16Mark(head) {
		return true
	}
	if knownBinary(head) {
		return false
	}
	control := 0
	for _, b := range head {
		switch {
		case b == 0:
			return false
		case b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != 0x1b:
			control++
		}
	}
	return control*100 <= len(head)
}

// knownBinary reports whether the bytes open one of the archives, pictures,
// sounds or programs that have a magic number.
func knownBinary(head []byte) bool {
	for _, magic := range []string{"PK\x03\x04", "PK\x05\x06", "\x7fELF", "MZ\x90", "\xd0\xcf\x11\xe0", "{\\rtf", "%!PS"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	t := http.DetectContentType(head)
	return strings.HasPrefix(t, "image/") || strings.HasPrefix(t, "audio/") ||
		strings.HasPrefix(t, "video/") || strings.HasPrefix(t, "font/")
}

// looksLikeHTML reports whether the bytes open with a tag that starts a page.
func looksLikeHTML(head []byte) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	low := bytes.ToLower(head[:min(len(head), 1024)])
	if bytes.HasPrefix(low, []byte("<?xml")) {
		return bytes.Contains(low, []byte("<html"))
	}
	return strings.HasPrefix(http.DetectContentType(head), "text/html")
}
