package export

import (
	"strings"
	"sync"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// family is the name under which a PDF has our font: Go, which has the letters
// of Latin, Greek and Cyrillic.
const family = "go"

// missing stands for every character that the font cannot draw.
const missing = '\uFFFD'

// alike replaces characters that the font lacks with ones that look the same.
var alike = strings.NewReplacer(
	"\u00a0", " ", "\u2002", " ", "\u2003", " ", "\u2007", " ", "\u2009", " ", "\u200a", " ", "\u202f", " ",
	"\u2010", "-", "\u2011", "-", "\u00ad", "", "\u200b", "", "\u200c", "", "\u200d", "", "\u2060", "", "\ufeff", "", "\ufe0f", "",
)

type fonts struct {
	regular, bold []byte
	draws         map[rune]bool
}

// loadFonts finds out once what the font can draw.
var loadFonts = sync.OnceValue(func() fonts {
	f := fonts{regular: goregular.TTF, bold: gobold.TTF, draws: make(map[rune]bool)}
	font, err := sfnt.Parse(f.regular)
	if err != nil {
		panic("export: the embedded font cannot be read: " + err.Error())
	}
	var buf sfnt.Buffer
	for r := rune(' '); r <= 0xffff; r++ { // PDF fonts of fpdf end there
		if glyph, err := font.GlyphIndex(&buf, r); err == nil && glyph != 0 {
			f.draws[r] = true
		}
	}
	return f
})

// drawable returns text with what the font cannot draw replaced visibly.
func (f fonts) drawable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || f.draws[r] {
			return r
		}
		return missing
	}, alike.Replace(norm.NFC.String(text)))
}
