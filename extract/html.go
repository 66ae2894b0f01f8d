package extract

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	voiceassist "github.com/voiceassist/backend"
)

// HTML reads HTML files: what a reader came for, without scripts, navigation,
// headers, footers, asides and forms.
type HTML struct{}

var _ voiceassist.TextEngine = HTML{}

// Name implements voiceassist.TextEngine.
func (HTML) Name() string { return "html/1" }

// Extract implements voiceassist.TextEngine. The file is one page; every block
// element is a paragraph. Its title is that of <title>, else the first <h1>.
func (HTML) Extract(_ context.Context, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	raw, err := readFile(path)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	source, err := decodeHTML(raw)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	text, info, err := htmlText(strings.NewReader(source))
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	return info, emitOnly(pages, text, emit)
}

// decodeHTML returns the bytes as UTF-8. What is valid UTF-8 is that, whatever
// the page says of itself; other bytes are in the encoding that it names in its
// first 1024 bytes, or in windows-1252.
func decodeHTML(raw []byte) (string, error) {
	if hasUTF16Mark(raw) || utf8.Valid(raw) {
		return decode(raw)
	}
	e, _, _ := charset.DetermineEncoding(raw, "text/html")
	return decodeAs(raw, e)
}

// htmlText reads tags as they come instead of building a tree, so that no
// depth of nesting costs anything.
func htmlText(r io.Reader) (string, voiceassist.FileInfo, error) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxTextFile)
	var w htmlWriter
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return "", voiceassist.FileInfo{}, &voiceassist.Failure{Reason: voiceassist.ReasonDamaged, Message: "The file cannot be read as HTML.", Err: err}
			}
			w.breakParagraph()
			return strings.Join(w.paragraphs, "\n\n"), voiceassist.FileInfo{Title: w.infoTitle(), Author: w.author, Pages: 1}, nil
		case html.TextToken:
			w.text(string(z.Text()))
		case html.StartTagToken:
			w.open(z.Token())
		case html.EndTagToken:
			name, _ := z.TagName()
			w.close(atom.Lookup(name))
		case html.SelfClosingTagToken:
			t := z.Token()
			w.open(t)
			if t.DataAtom != atom.Br {
				w.close(t.DataAtom)
			}
		}
	}
}

// htmlWriter collects paragraphs.
type htmlWriter struct {
	paragraphs []string
	line       strings.Builder // the paragraph in the works
	skip       atom.Atom       // the element being dropped; 0 outside one
	depth      int             // of skip within itself
	pre        int             // of <pre> within itself
	inTitle    bool
	inH1       bool
	title, h1  strings.Builder
	author     string
}

var (
	dropped = []atom.Atom{
		atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Nav, atom.Header, atom.Footer, atom.Aside, atom.Form,
		atom.Select, atom.Button, atom.Textarea, atom.Svg, atom.Math, atom.Iframe, atom.Object, atom.Canvas, atom.Audio, atom.Video,
	}
	inline = []atom.Atom{
		atom.A, atom.Abbr, atom.B, atom.Bdi, atom.Bdo, atom.Big, atom.Cite, atom.Code, atom.Data, atom.Del, atom.Dfn, atom.Em, atom.Font,
		atom.I, atom.Img, atom.Input, atom.Ins, atom.Kbd, atom.Label, atom.Link, atom.Mark, atom.Q, atom.Ruby, atom.S, atom.Samp,
		atom.Small, atom.Span, atom.Strike, atom.Strong, atom.Sub, atom.Sup, atom.Time, atom.Tt, atom.U, atom.Var, atom.Wbr, 0,
	}
)

func (w *htmlWriter) open(t html.Token) {
	a := t.DataAtom
	switch {
	case w.skip != 0:
		if a == w.skip {
			w.depth++
		}
	case slices.Contains(dropped, a):
		w.breakParagraph()
		w.skip, w.depth = a, 1
	case a == atom.Title:
		w.inTitle = w.title.Len() == 0
	case a == atom.Meta:
		w.meta(t)
	case a == atom.Br:
		w.line.WriteByte('\n')
	case a == atom.Td || a == atom.Th:
		w.line.WriteByte(' ')
	case !slices.Contains(inline, a):
		w.breakParagraph()
		w.inH1 = w.inH1 || a == atom.H1 && w.h1.Len() == 0
		if a == atom.Pre {
			w.pre++
		}
	}
}

func (w *htmlWriter) close(a atom.Atom) {
	switch {
	case w.skip != 0:
		if a == w.skip {
			if w.depth--; w.depth == 0 {
				w.skip = 0
			}
		}
	case a == atom.Title:
		w.inTitle = false
	case a == atom.Td || a == atom.Th || a == atom.Br:
		w.line.WriteByte(' ')
	case !slices.Contains(inline, a):
		w.breakParagraph()
		if a == atom.H1 {
			w.inH1 = false
		}
		if a == atom.Pre && w.pre > 0 {
			w.pre--
		}
	}
}

func (w *htmlWriter) meta(t html.Token) {
	var name, content string
	for _, a := range t.Attr {
		switch a.Key {
		case "name":
			name = strings.ToLower(a.Val)
		case "content":
			content = a.Val
		}
	}
	if name == "author" && w.author == "" {
		w.author = strings.Join(strings.Fields(content), " ")
	}
}

func (w *htmlWriter) text(s string) {
	if w.skip != 0 {
		return
	}
	if w.inTitle {
		w.title.WriteString(s)
		return
	}
	if w.inH1 {
		w.h1.WriteString(s)
	}
	if w.pre == 0 {
		s = strings.Map(func(r rune) rune {
			if r == '\n' || r == '\r' || r == '\t' {
				return ' '
			}
			return r
		}, s)
	}
	w.line.WriteString(s)
}

// breakParagraph ends the paragraph in the works.
func (w *htmlWriter) breakParagraph() {
	text := w.line.String()
	w.line.Reset()
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if w.pre == 0 {
			line = strings.Join(strings.Fields(line), " ")
		} else {
			line = strings.TrimRight(line, " \t\r")
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		w.paragraphs = append(w.paragraphs, strings.Join(lines, "\n"))
	}
}

func (w *htmlWriter) infoTitle() string {
	for _, s := range []string{w.title.String(), w.h1.String()} {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			return s
		}
	}
	return ""
}
