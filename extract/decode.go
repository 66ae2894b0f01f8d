package extract

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	voiceassist "github.com/voiceassist/backend"
)

// maxTextFile is the largest file that the engines of this package read, in
// bytes. A page is stored and chunked whole, so this bounds both.
const maxTextFile = 32 << 20

// readFile reads a file of at most maxTextFile bytes; a larger one is a
// too_complex Failure.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTextFile+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	if len(b) > maxTextFile {
		return nil, tooComplex("it has more than %d MB of text", maxTextFile>>20)
	}
	return b, nil
}

// emitOnly emits the page of a file that has one, unless it is out of the range.
// Such a file is read whole whatever the range is.
func emitOnly(pages voiceassist.PageRange, text string, emit func(voiceassist.Page) error) error {
	if !pages.Has(1) {
		return nil
	}
	return emit(voiceassist.Page{Number: 1, Text: text})
}

// decode turns bytes into text: by the byte order mark if there is one, as
// UTF-8 if it is that, as windows-1252 (of which printable Latin-1 is a part)
// otherwise. Bytes that cannot be text are a damaged Failure.
func decode(b []byte) (string, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return string(bytes.ToValidUTF8(b[3:], []byte("\uFFFD"))), nil
	case hasUTF16Mark(b):
		return decodeAs(b, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM))
	case bytes.IndexByte(b, 0) >= 0:
		return "", voiceassist.Fail(voiceassist.ReasonDamaged, "The file is not text: it holds zero bytes.")
	case utf8.Valid(b):
		return string(b), nil
	}
	return decodeAs(b, charmap.Windows1252)
}

func decodeAs(b []byte, e encoding.Encoding) (string, error) {
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return "", &voiceassist.Failure{Reason: voiceassist.ReasonDamaged, Message: "The file is not text in any encoding we know.", Err: err}
	}
	return string(out), nil
}

func hasUTF16Mark(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff"))
}
