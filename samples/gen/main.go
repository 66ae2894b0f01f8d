// Command gen sets the Markdown sources beside it as the PDF documents of the
// sample library. The same source gives the same bytes.
//
//	cd samples/gen && go run .
//
// It is a module of its own, so that the program does not depend on a PDF
// writer. It reads the little Markdown that the sources use: headings of two
// levels, lists and paragraphs, one to a line.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-pdf/fpdf"
)

const (
	font       = "Helvetica"
	margin     = 22  // mm
	lineHeight = 5.6 // mm
	indent     = 6   // mm, of a list
)

// written is the date that the documents bear.
var written = time.Date(2025, 11, 21, 0, 0, 0, 0, time.UTC)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	sources, err := filepath.Glob("*.md")
	if err != nil {
		return err
	}
	for _, source := range sources {
		if err := set(source); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	return nil
}

// set writes the PDF of one source into the directory above.
func set(source string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	pdf := newDocument()
	for line := range strings.Lines(string(text)) {
		setLine(pdf, strings.TrimSpace(line))
	}
	target := strings.TrimSuffix(source, ".md") + ".pdf"
	return pdf.OutputFileAndClose(filepath.Join("..", target))
}

func newDocument() *fpdf.Fpdf {
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetCreationDate(written)
	pdf.SetModificationDate(written)
	pdf.SetCatalogSort(true)
	pdf.SetAuthor("VoiceAssist samples", true)
	pdf.SetLang("en")
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, margin)
	pdf.AliasNbPages("")
	pdf.SetFooterFunc(func() {
		pdf.SetY(-margin / 2)
		pdf.SetFont(font, "", 8)
		pdf.CellFormat(0, lineHeight, fmt.Sprintf("Page %d of {nb}", pdf.PageNo()), "", 0, "C", false, 0, "")
	})
	pdf.AddPage()
	return pdf
}

// setLine sets one line of the source, which is a whole block.
func setLine(pdf *fpdf.Fpdf, line string) {
	title, isTitle := strings.CutPrefix(line, "# ")
	heading, isHeading := strings.CutPrefix(line, "## ")
	switch {
	case line == "":
		pdf.Ln(lineHeight / 2)
	case isTitle:
		pdf.SetTitle(title, true)
		pdf.SetFont(font, "B", 17)
		pdf.MultiCell(0, 8, title, "", "L", false)
	case isHeading:
		keepTogether(pdf, 4*lineHeight)
		pdf.SetFont(font, "B", 12.5)
		pdf.MultiCell(0, 7, heading, "", "L", false)
	default:
		setText(pdf, line)
	}
}

// setText sets a paragraph or an item of a list.
func setText(pdf *fpdf.Fpdf, line string) {
	pdf.SetFont(font, "", 11)
	mark, item, isItem := strings.Cut(line, " ")
	if !isItem || mark != "-" && !strings.HasSuffix(mark, ".") || len(mark) > 2 {
		pdf.MultiCell(0, lineHeight, line, "", "L", false)
		return
	}
	keepTogether(pdf, 2*lineHeight)
	pdf.CellFormat(indent, lineHeight, mark, "", 0, "L", false, 0, "")
	pdf.SetLeftMargin(margin + indent)
	pdf.MultiCell(0, lineHeight, item, "", "L", false)
	pdf.SetLeftMargin(margin)
	pdf.SetX(margin)
}

// keepTogether begins a new page unless this one has room for height mm.
func keepTogether(pdf *fpdf.Fpdf, height float64) {
	_, page := pdf.GetPageSize()
	if pdf.GetY()+height > page-margin {
		pdf.AddPage()
	}
}
