package export

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"codeberg.org/go-pdf/fpdf"

	voiceassist "github.com/voiceassist/backend"
)

// maxPDFText is how much text one PDF may hold, in bytes: it is made in memory.
const maxPDFText = 4 << 20

// Sizes, in millimetres and points.
const (
	margin     = 20.0
	lineHeight = 5.2
	bodySize   = 10.5
	smallSize  = 8.5
)

// page is a PDF being written.
type page struct {
	pdf  *fpdf.Fpdf
	left int // bytes that it may still hold
}

// PDF writes a conversation with these messages. It is TooLarge when there is
// more text than one PDF may hold; nothing has been written then.
func PDF(w io.Writer, c voiceassist.Conversation, messages iter.Seq2[voiceassist.Message, error]) error {
	p := newPage(titleOf(c))
	p.pdf.SetCreationDate(c.UpdatedAt.UTC())
	p.pdf.SetModificationDate(c.UpdatedAt.UTC())
	p.text("B", 16, titleOf(c))
	p.text("", smallSize, "Conversation of "+stamp(c.CreatedAt))
	for m, err := range messages {
		if err != nil {
			return err
		}
		p.message(m)
		if p.left < 0 {
			return voiceassist.Errorf(voiceassist.TooLarge, "The conversation is too long for a PDF, export it as Markdown")
		}
	}
	if err := p.pdf.Output(w); err != nil {
		return fmt.Errorf("write the PDF: %w", err)
	}
	return nil
}

func newPage(title string) *page {
	pdf := fpdf.New("P", "mm", "A4", "")
	f := loadFonts()
	pdf.AddUTF8FontFromBytes(family, "", f.regular)
	pdf.AddUTF8FontFromBytes(family, "B", f.bold)
	pdf.SetTitle(f.drawable(title), true)
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, margin)
	pdf.SetFooterFunc(func() {
		pdf.SetY(-margin / 2)
		pdf.SetFont(family, "", smallSize)
		pdf.CellFormat(0, lineHeight, fmt.Sprintf("%d", pdf.PageNo()), "", 0, "C", false, 0, "")
	})
	pdf.AddPage()
	return &page{pdf: pdf, left: maxPDFText}
}

func (p *page) message(m voiceassist.Message) {
	p.pdf.Ln(lineHeight)
	p.text("B", bodySize, speaker(m)+", "+stamp(m.CreatedAt))
	p.text("", bodySize, printable(m.Content))
	p.text("", smallSize, attached(m))
	if len(m.Citations) == 0 {
		return
	}
	p.pdf.Ln(lineHeight / 2)
	p.text("B", smallSize, "References")
	for _, c := range m.Citations {
		p.text("", smallSize, fmt.Sprintf("[%d] %s\n“%s”", c.Index, source(c), oneLine(c.Quote)))
	}
}

// text writes lines, broken where they do not fit.
func (p *page) text(style string, size float64, text string) {
	p.left -= len(text)
	if text = strings.TrimSpace(text); text == "" || p.left < 0 {
		return
	}
	p.pdf.SetFont(family, style, size)
	p.pdf.MultiCell(0, lineHeight*size/bodySize, loadFonts().drawable(text), "", "L", false)
}
