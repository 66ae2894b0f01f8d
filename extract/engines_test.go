package extract_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/seamtest"
)

// extractText reads content with an engine as its only page.
func extractText(t *testing.T, e voiceassist.TextEngine, content string) (string, voiceassist.FileInfo) {
	t.Helper()
	var pages []voiceassist.Page
	info, err := e.Extract(t.Context(), writeFile(t, content), voiceassist.PageRange{}, func(p voiceassist.Page) error {
		pages = append(pages, p)
		return nil
	})
	if err != nil {
		t.Fatalf("Extract(%.40q): %v", content, err)
	}
	if len(pages) != 1 || pages[0].Number != 1 || info.Pages != 1 {
		t.Fatalf("Extract(%.40q) = %d pages of %+v, want page 1 of 1", content, len(pages), info)
	}
	return pages[0].Text, info
}

func TestTextKeepsItsParagraphs(t *testing.T) {
	t.Parallel()
	wrapped := "Hard-wrapped text comes from old editors and\nfrom mail, with lines that end wherever the\nmargin was, and it reads better when they are\njoined again into the paragraph that they were\nbefore somebody pressed a key.\n\n- A list stays as\n- it is"
	for name, test := range map[string]struct{ in, want string }{
		"empty":                {"", ""},
		"two paragraphs":       {"One.\n\n\n\nTwo.\n", "One.\n\nTwo."},
		"windows line ends":    {"One.\r\n\r\nTwo.\r\nThree.", "One.\n\nTwo.\nThree."},
		"blanks on a line":     {"One. \n \t\nTwo.", "One.\n\nTwo."},
		"form feed":            {"One.\fTwo.", "One.\n\nTwo."},
		"short lines stay":     {"Roses are red,\nviolets are blue,\nsugar is sweet\nand you\nare\ntoo", "Roses are red,\nviolets are blue,\nsugar is sweet\nand you\nare\ntoo"},
		"utf-8 with a mark":    {"\xef\xbb\xbfnaïve", "naïve"},
		"utf-16":               {utf16LE("naïve 糖"), "naïve 糖"},
		"windows-1252":         {"na\xefve \x93quoted\x94", "naïve “quoted”"},
		"wrapped is unwrapped": {wrapped, "Hard-wrapped text comes from old editors and from mail, with lines that end wherever the margin was, and it reads better when they are joined again into the paragraph that they were before somebody pressed a key.\n\n- A list stays as\n- it is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := extractText(t, extract.Plain{}, test.in)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBytesThatAreNoTextAreDamaged(t *testing.T) {
	t.Parallel()
	_, err := extract.Plain{}.Extract(t.Context(), writeFile(t, "a\x00b"), voiceassist.PageRange{}, func(voiceassist.Page) error { return nil })
	wantReason(t, err, voiceassist.ReasonDamaged)
}

func TestATextTooLongForOnePageIsTooComplex(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "long.txt")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 33<<20); err != nil {
		t.Fatal(err)
	}
	for _, e := range extract.Engines() {
		_, err := e.Extract(t.Context(), path, voiceassist.PageRange{}, func(voiceassist.Page) error { return errors.New("emitted") })
		wantReason(t, err, voiceassist.ReasonTooComplex)
	}
}

func TestMarkdownIsReadAsItIsRendered(t *testing.T) {
	t.Parallel()
	const in = `---
title: "From the front"
author: A. Author
---
# Heading *one*

Some text
on two lines with a [link](https://example.org) and ` + "`code`" + `.
Hard  
break.

- first
- second

  with a paragraph

> quoted

| a | b |
|---|---|
| 1 | 2 |

` + "```go\nx := 1\n\ny := 2\n```" + `

<div>raw <b>html</b></div>
`
	want := strings.Join([]string{
		"Heading one", "Some text on two lines with a link and code. Hard\nbreak.", "first", "second", "with a paragraph", "quoted",
		"a b", "1 2", "x := 1\n\ny := 2", "raw html",
	}, "\n\n")
	got, info := extractText(t, extract.Markdown{}, in)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if info.Title != "From the front" || info.Author != "A. Author" {
		t.Errorf("info = %+v", info)
	}
	if _, info := extractText(t, extract.Markdown{}, "Title\n=====\n\ntext"); info.Title != "Title" {
		t.Errorf("title = %q, want the first heading", info.Title)
	}
	if text, _ := extractText(t, extract.Markdown{}, "---\nno front matter"); text != "no front matter" {
		t.Errorf("text after a rule = %q", text)
	}
}

func TestHTMLIsReadWithoutWhatSurroundsIt(t *testing.T) {
	t.Parallel()
	const in = `<!DOCTYPE html><html><head><title> Sleep &amp; rest </title><meta name="Author" content="B. Author">
<style>p { color: red }</style><script>if (a < b) { alert("</p>") }</script></head>
<body><header>Site name</header><nav><ul><li>Home</li></ul></nav>
<h1>Sleep</h1><p>First
paragraph with <em>emphasis</em> and a <a href="#">link</a>.<p>Second<br>line &ndash; here.
<ul><li>one<li>two</ul><table><tr><td>a</td><td>b</td></tr></table><pre>kept   as
it is</pre><form>Search <input></form><aside>Ads <aside>nested</aside> more</aside><footer>Imprint</footer></body></html>`
	want := strings.Join([]string{
		"Sleep", "First paragraph with emphasis and a link.", "Second\nline – here.", "one", "two", "a b", "kept   as\nit is",
	}, "\n\n")
	got, info := extractText(t, extract.HTML{}, in)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if info.Title != "Sleep & rest" || info.Author != "B. Author" {
		t.Errorf("info = %+v", info)
	}
	if _, info := extractText(t, extract.HTML{}, "<h1>Only a <b>heading</b></h1>"); info.Title != "Only a heading" {
		t.Errorf("title = %q, want that of the heading", info.Title)
	}
}

func TestHTMLIsDecodedAsItSays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<meta charset=iso-8859-2><p>\xbe\xe1dn\xfd":                                            "žádný",
		"<meta http-equiv=Content-Type content='text/html; charset=shift_jis'><p>\x93\x9c\x94A": "糖尿",
		"<p>na\xefve": "naïve",
		"<p>naïve":    "naïve",
	} {
		if got, _ := extractText(t, extract.HTML{}, in); got != want {
			t.Errorf("text of %q = %q, want %q", in, got, want)
		}
	}
}

func TestDeepNestingCostsNothing(t *testing.T) {
	t.Parallel()
	const depth = 200_000
	got, _ := extractText(t, extract.HTML{}, strings.Repeat("<div><span>", depth)+"deep")
	if got != "deep" {
		t.Errorf("text = %.40q", got)
	}
}

func FuzzEngines(f *testing.F) {
	f.Add("# a\n\n* b\n  * c\n\n<p>d</p>")
	f.Add("<ul><li>a<table><td>b</pre></nav>")
	f.Add("\xff\xfea\x00")
	f.Add("---\ntitle: x\n---\n```\ny")
	f.Fuzz(func(t *testing.T, content string) {
		path := writeFile(t, content)
		for mediaType, e := range extract.Engines() {
			_, err := e.Extract(t.Context(), path, voiceassist.PageRange{}, func(p voiceassist.Page) error {
				if !utf8.ValidString(p.Text) {
					t.Errorf("%s: the text is not valid UTF-8: %q", mediaType, p.Text)
				}
				return nil
			})
			if _, ok := errors.AsType[*voiceassist.Failure](err); err != nil && !ok {
				t.Errorf("%s: %v", mediaType, err)
			}
		}
	})
}

func TestEveryEngineIsATextEngine(t *testing.T) {
	t.Parallel()
	for mediaType, e := range extract.Engines() {
		t.Run(mediaType, func(t *testing.T) {
			t.Parallel()
			seamtest.TextEngine(t, e, writeFile(t, "One page of text."), 1)
		})
	}
}
