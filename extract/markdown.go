package extract

import (
	"context"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	voiceassist "github.com/voiceassist/backend"
)

// Markdown reads Markdown files (CommonMark with GitHub's tables) as the text
// that a reader of the rendered page sees.
type Markdown struct{}

var _ voiceassist.TextEngine = Markdown{}

// Name implements voiceassist.TextEngine.
func (Markdown) Name() string { return "markdown/1" }

// Extract implements voiceassist.TextEngine. The file is one page; headings are
// paragraphs of their own. Its title is that of the front matter, else the
// first heading of level 1.
func (Markdown) Extract(_ context.Context, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	raw, err := readFile(path)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	source, err := decode(raw)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	body, info := frontMatter(lineEnds.Replace(source))
	w := markdownText(body)
	if info.Title == "" {
		info.Title = w.title
	}
	info.Pages = 1
	return info, emitOnly(pages, strings.Join(w.paragraphs, "\n\n"), emit)
}

var (
	front     = regexp.MustCompile(`\A---[ \t]*\n((?s:.{0,1000}?))\n(?:---|\.\.\.)[ \t]*(?:\n|\z)`)
	frontLine = regexp.MustCompile(`(?mi)^(title|author):[ \t]*["']?([^\n]*?)["']?[ \t]*$`)
)

// frontMatter cuts the YAML block off that many programs put in front, and
// returns the title and author that it gives.
func frontMatter(source string) (body string, info voiceassist.FileInfo) {
	m := front.FindStringSubmatch(source)
	if m == nil {
		return source, info
	}
	for _, kv := range frontLine.FindAllStringSubmatch(m[1], -1) {
		switch strings.ToLower(kv[1]) {
		case "title":
			info.Title = kv[2]
		case "author":
			info.Author = kv[2]
		}
	}
	return source[len(m[0]):], info
}

type markdownWriter struct {
	source     []byte
	paragraphs []string
	title      string
}

func markdownText(source string) *markdownWriter {
	w := &markdownWriter{source: []byte(source)}
	md := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough))
	w.blocks(md.Parser().Parse(text.NewReader(w.source)))
	return w
}

// blocks adds the paragraphs below n, in order. It goes as deep as the parser
// has nested, which the child's stack limit bounds.
func (w *markdownWriter) blocks(n ast.Node) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Heading:
			s := w.inline(c)
			if c.Level == 1 && w.title == "" {
				w.title = s
			}
			w.add(s)
		case *ast.Paragraph, *ast.TextBlock:
			w.add(w.inline(c))
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			w.add(strings.TrimRight(string(c.Lines().Value(w.source)), "\n"))
		case *ast.HTMLBlock:
			w.html(c)
		case *extast.TableRow, *extast.TableHeader:
			w.add(w.cells(c))
		default:
			w.blocks(c)
		}
	}
}

func (w *markdownWriter) html(c *ast.HTMLBlock) {
	source := string(c.Lines().Value(w.source))
	if c.HasClosure() {
		source += string(c.ClosureLine.Value(w.source))
	}
	if s, _, err := htmlText(strings.NewReader(source)); err == nil {
		w.add(s)
	}
}

func (w *markdownWriter) cells(row ast.Node) string {
	var cells []string
	for c := row.FirstChild(); c != nil; c = c.NextSibling() {
		if s := w.inline(c); s != "" {
			cells = append(cells, s)
		}
	}
	return strings.Join(cells, " ")
}

// inline is the text of a paragraph as one line; hard breaks stay.
func (w *markdownWriter) inline(n ast.Node) string {
	var b strings.Builder
	w.write(&b, n)
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func (w *markdownWriter) write(b *strings.Builder, n ast.Node) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.Write(c.Value(w.source))
			if c.HardLineBreak() {
				b.WriteByte('\n')
			} else if c.SoftLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(c.Value)
		case *ast.AutoLink:
			b.Write(c.Label(w.source))
		case *ast.RawHTML:
		default:
			w.write(b, c)
		}
	}
}

func (w *markdownWriter) add(s string) {
	if strings.TrimSpace(s) != "" {
		w.paragraphs = append(w.paragraphs, s)
	}
}
