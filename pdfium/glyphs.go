package pdfium

import (
	"math"
	"regexp"
	"unicode"
	"unicode/utf16"

	"github.com/voiceassist/backend/pdfium/layout"
)

// glyphs returns the characters of a page, counted from 0, in the order in
// which the file draws them. A page that cannot be read has none.
func (d *document) glyphs(page int) []layout.Glyph {
	p := d.load(page)
	if p == 0 {
		return nil
	}
	defer d.call("FPDF_ClosePage", p)
	text := d.call("FPDFText_LoadPage", p)
	if text == 0 {
		return nil
	}
	defer d.call("FPDFText_ClosePage", text)
	n := int(int32(d.call("FPDFText_CountChars", text)))
	if n <= 0 {
		return nil
	}
	char, box, origin := d.fn["FPDFText_GetUnicode"], d.fn["FPDFText_GetLooseCharBox"], d.fn["FPDFText_GetCharOrigin"]
	object := d.fn["FPDFText_GetTextObject"]
	glyphs := make([]layout.Glyph, 0, n)
	styles := styles{document: d, text: text, bold: map[uint64]bool{}}
	for i := range uint64(n) {
		r := rune(d.invoke(char, text, i))
		d.invoke(box, text, i, d.scratch)
		d.invoke(origin, text, i, d.scratch+16, d.scratch+24)
		style := styles.of(d.invoke(object, text, i), i)
		b := d.bytes(d.scratch, 32)
		glyphs = append(glyphs, layout.Glyph{
			Rune: r,
			Left: float32At(b, 0), Top: float32At(b, 1), Right: float32At(b, 2), Bottom: float32At(b, 3),
			X: float64At(b, 2), Y: float64At(b, 3),
			Size: style.size, Angle: style.angle, Bold: style.bold,
		})
	}
	return joinSurrogates(glyphs)
}

// load opens a page, counted from 0, with what is written in its form fields
// and notes; 0 if it cannot be read.
func (d *document) load(page int) uint64 {
	p := d.call("FPDF_LoadPage", d.handle, uint64(page))
	const forDisplay, done = 0, 1
	if p == 0 || !d.annotated(p) || d.call("FPDFPage_Flatten", p, forDisplay) != done {
		return p
	}
	d.call("FPDF_ClosePage", p) // what was flattened shows in a page opened after
	return d.call("FPDF_LoadPage", d.handle, uint64(page))
}

// annotated reports whether a page has an annotation that may hold text: any
// but a link or the window of a note.
func (d *document) annotated(page uint64) bool {
	const link, popup = 2, 16 // fpdf_annot.h
	for i := range int32(d.call("FPDFPage_GetAnnotCount", page)) {
		a := d.call("FPDFPage_GetAnnot", page, uint64(i))
		if a == 0 {
			continue
		}
		subtype := d.call("FPDFAnnot_GetSubtype", a)
		d.call("FPDFPage_CloseAnnot", a)
		if subtype != link && subtype != popup {
			return true
		}
	}
	return false
}

// joinSurrogates makes one of the two that PDFium makes of a character beyond
// U+FFFF, such as the letters of mathematics.
func joinSurrogates(glyphs []layout.Glyph) []layout.Glyph {
	out := glyphs[:0]
	for _, g := range glyphs {
		if last := len(out) - 1; last >= 0 {
			if r := utf16.DecodeRune(out[last].Rune, g.Rune); r != unicode.ReplacementChar {
				out[last].Rune = r
				continue
			}
		}
		out = append(out, g)
	}
	return out
}

// style is what all characters of a text object share.
type style struct {
	size  float64 // points
	angle float64 // radians, counter-clockwise
	bold  bool
}

// styles looks the styles of a page's text objects up.
type styles struct {
	*document
	text    uint64
	object  uint64 // that current belongs to
	current style
	bold    map[uint64]bool // by font
}

// of returns the style of a text object, which character i is in. What PDFium
// has inserted is in none and has that of the character before it.
func (s *styles) of(object, i uint64) style {
	if object == 0 || object == s.object {
		return s.current
	}
	size := math.Float64frombits(s.call("FPDFText_GetFontSize", s.text, i))
	angle := math.Float32frombits(uint32(s.call("FPDFText_GetCharAngle", s.text, i)))
	if at := s.scratch + 32; s.call("FPDFText_GetMatrix", s.text, i, at) != 0 {
		b := s.bytes(at, 24)
		size *= math.Hypot(float32At(b, 2), float32At(b, 3))
	}
	s.object, s.current = object, style{size: size, angle: max(0, float64(angle)), bold: s.isBold(object)} // -1 is an unknown angle
	return s.current
}

// boldName matches the names of bold fonts ("ABCDEF+Minion-Bold", "CMBX10").
var boldName = regexp.MustCompile(`(?i)bold|black|heavy|demi|cmbx|-bd|\.b$`)

func (s *styles) isBold(object uint64) bool {
	font := s.call("FPDFTextObj_GetFont", object)
	bold, known := s.bold[font]
	if font == 0 || known {
		return bold
	}
	const most = 128
	if n := s.call("FPDFFont_GetBaseFontName", font, s.scratch+64, most); n > 0 && n <= most {
		bold = boldName.Match(s.bytes(s.scratch+64, int(n)-1))
	}
	s.bold[font] = bold
	return bold
}
