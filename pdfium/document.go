package pdfium

import (
	"cmp"
	"context"
	"encoding/binary"
	"unicode/utf16"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/pdfium/layout"
)

// The text of a page depends on no more pages around it than engines may have it.
const _ = uint(voiceassist.PageReach - layout.Around)

// document is an open file. data is the address of its bytes, which PDFium
// reads from as long as it is open.
type document struct {
	*module
	data, handle, scratch uint64
}

// scratchSize is enough for what the functions write beside their result.
const scratchSize = 256

// Errors that FPDF_GetLastError tells apart.
const (
	errPassword = 4
	errSecurity = 5
)

func (m *module) open(data []byte) (*document, error) {
	at, ok := m.malloc(len(data) + scratchSize)
	if !ok || !m.mem.Write(uint32(at), data) {
		return nil, tooLarge(nil)
	}
	d := &document{module: m, data: at, scratch: at + uint64(len(data)+7)&^7}
	d.handle = m.call("FPDF_LoadMemDocument", at, uint64(len(data)), 0)
	if d.handle != 0 && d.pages() > 0 {
		return d, nil
	}
	reason := m.call("FPDF_GetLastError")
	d.close()
	switch reason {
	case errPassword:
		return nil, voiceassist.Fail(voiceassist.ReasonEncrypted, "The file is encrypted and opens only with a password.")
	case errSecurity:
		return nil, voiceassist.Fail(voiceassist.ReasonEncrypted, "The file is encrypted in a way that cannot be read.")
	}
	return nil, voiceassist.Fail(voiceassist.ReasonDamaged, "The file is damaged: it cannot be opened as PDF.")
}

func (d *document) close() {
	if d.handle != 0 {
		d.call("FPDF_CloseDocument", d.handle)
	}
	d.free(d.data)
}

// pages is 0 when the file has none.
func (d *document) pages() int { return max(0, int(int32(d.call("FPDF_GetPageCount", d.handle)))) }

// meta returns an entry of the document's information, "" if there is none.
func (d *document) meta(tag string) string {
	const most = 4 << 10
	buf, ok := d.malloc(most + scratchSize)
	if !ok {
		return ""
	}
	defer d.free(buf)
	d.mem.WriteString(uint32(buf+most), tag+"\x00")
	size := int(d.call("FPDF_GetMetaText", d.handle, buf+most, buf, most))
	if size < 2 || size > most {
		return ""
	}
	units := make([]uint16, size/2-1) // without the closing zero
	b := d.bytes(buf, size)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// extract emits the pages of the range and returns what the document says of
// itself. Its title is the one that it claims, unless it claims none or one that
// is not on its first page and shows another there: templates keep the title of
// the document that they were made of. Without its first page that is not known.
func (d *document) extract(ctx context.Context, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	info := voiceassist.FileInfo{Title: title(d.meta("Title"), path), Author: author(d.meta("Author")), Pages: d.pages()}
	first, last := pages.Of(info.Pages)
	if first > last {
		return info, nil
	}
	from, to := first, last // with the pages around
	if !pages.Alone() {
		from, to = max(1, first-layout.Around), min(info.Pages, last+layout.Around)
	}
	shown, number := "", from-1
	out := layout.NewDocument(func(text string) error {
		number++
		if !pages.Has(number) {
			return nil
		}
		if number == 1 && !says(text, info.Title) {
			info.Title = cmp.Or(shown, info.Title)
		}
		return emit(voiceassist.Page{Number: number, Text: text})
	})
	for n := from; n <= to; n++ {
		if err := ctx.Err(); err != nil {
			return voiceassist.FileInfo{}, err
		}
		page := layout.Read(d.glyphs(n - 1))
		if n == 1 {
			shown = page.Title()
		}
		if err := out.Add(page); err != nil {
			return voiceassist.FileInfo{}, err
		}
	}
	if err := out.Close(); err != nil {
		return voiceassist.FileInfo{}, err
	}
	return info, nil
}
