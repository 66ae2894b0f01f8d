package extract

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	voiceassist "github.com/voiceassist/backend"
)

// A frame is its kind (1 byte), the length of its body (4 bytes, big-endian)
// and the body: for a page its number (4 bytes, big-endian) and its text, for
// every other kind JSON.
type frameKind byte

const (
	frameHello   frameKind = 'H' // hello
	frameRequest frameKind = 'R' // request
	framePage    frameKind = 'P'
	frameDone    frameKind = 'D' // voiceassist.FileInfo
	frameFailure frameKind = 'F' // refusal: a *voiceassist.Failure
	frameTrouble frameKind = 'T' // refusal: any other error; the child lives on
	framePanic   frameKind = 'X' // refusal: the engine panicked; the child ends
)

const frameHeader = 5

// maxControl bounds every frame but a page, in bytes.
const maxControl = 64 << 10

type hello struct {
	Engines map[string]string `json:"engines"` // names by media type
}

type request struct {
	MediaType string `json:"media_type"`
	Path      string `json:"path"`
	First     int    `json:"first,omitempty"` // as in voiceassist.PageRange
	Last      int    `json:"last,omitempty"`
}

func (r request) pages() voiceassist.PageRange {
	return voiceassist.PageRange{First: r.First, Last: r.Last}
}

type refusal struct {
	Reason  voiceassist.Reason `json:"reason,omitempty"`
	Message string             `json:"message"`
	Detail  string             `json:"detail,omitempty"`
}

// writeFrame writes one frame with a single Write, as a pipe likes it.
func writeFrame(w io.Writer, kind frameKind, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write %c frame: %w", kind, err)
	}
	buf := make([]byte, frameHeader, frameHeader+len(b))
	buf[0] = byte(kind)
	binary.BigEndian.PutUint32(buf[1:], uint32(len(b)))
	if _, err := w.Write(append(buf, b...)); err != nil {
		return fmt.Errorf("write %c frame: %w", kind, err)
	}
	return nil
}

func writePage(w io.Writer, page voiceassist.Page) error {
	buf := make([]byte, frameHeader+4, frameHeader+4+len(page.Text))
	buf[0] = byte(framePage)
	binary.BigEndian.PutUint32(buf[1:], uint32(4+len(page.Text)))
	binary.BigEndian.PutUint32(buf[frameHeader:], uint32(page.Number))
	if _, err := w.Write(append(buf, page.Text...)); err != nil {
		return fmt.Errorf("write page %d: %w", page.Number, err)
	}
	return nil
}

// frameTooLarge says that the other side announced a body above the bound.
type frameTooLarge struct {
	kind frameKind
	size int64
}

func (e *frameTooLarge) Error() string {
	return fmt.Sprintf("a frame of kind %q announces %d bytes", byte(e.kind), e.size)
}

// readFrame reads one frame whose body has at most maxPage bytes when it is a
// page and maxControl otherwise. io.EOF means that the stream ended between
// two frames.
func readFrame(r *bufio.Reader, maxPage int64) (frameKind, []byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind, size := frameKind(head[0]), int64(binary.BigEndian.Uint32(head[1:]))
	limit := int64(maxControl)
	if kind == framePage {
		limit = maxPage + 4
	}
	if size > limit {
		return kind, nil, &frameTooLarge{kind, size}
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return kind, nil, io.ErrUnexpectedEOF
	}
	return kind, body, nil
}

func decodePage(body []byte) (voiceassist.Page, error) {
	if len(body) < 4 {
		return voiceassist.Page{}, fmt.Errorf("a page frame of %d bytes", len(body))
	}
	return voiceassist.Page{Number: int(binary.BigEndian.Uint32(body)), Text: string(body[4:])}, nil
}
