package export_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/export"
)

var said = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

var aspirin = voiceassist.Conversation{Title: "Aspirin & stroke", CreatedAt: said, UpdatedAt: said}

// rendered is Markdown as a viewer that lets HTML through shows it.
func rendered(t *testing.T, markdown string) string {
	t.Helper()
	var buf bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Footnote), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(markdown), &buf); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestMarkdownOfAnAnswerHasNumberedReferences(t *testing.T) {
	t.Parallel()
	got := export.MarkdownHead(aspirin) + export.MarkdownMessage(voiceassist.Message{
		Role: voiceassist.SpeakerAssistant, Status: voiceassist.MessageComplete, Content: "It helps [1].\nBy 12%.\n\nAsk again.", CreatedAt: said,
		Citations: []voiceassist.Citation{{
			Index: 1, Title: "Aspirin after stroke.", Authors: []string{"A. One", "B. Two"}, Year: 2021, Journal: "J. Stroke", DOI: "10.1/x_y",
			Page: 3, Quote: "It lowered\nthe risk.",
		}},
	})
	want := "# Aspirin \\& stroke\n\nConversation of 2026-05-04 03:02 UTC\n\n## Assistant\n\n*2026-05-04 03:02 UTC*\n\n" +
		"It helps \\[1\\].\\\nBy 12%.\n\nAsk again.\n\n### References\n\n" +
		"\\[1\\] A. One, B. Two (2021). Aspirin after stroke. J. Stroke. p. 3. doi:10.1/x\\_y\n\n> It lowered the risk.\n\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFilesOfAMessageAreNamed(t *testing.T) {
	t.Parallel()
	got := export.MarkdownMessage(voiceassist.Message{
		Role: voiceassist.SpeakerUser, Status: voiceassist.MessageComplete, Content: "What is this?", CreatedAt: said,
		Attachments: []voiceassist.Attachment{{File: voiceassist.File{Filename: "a_b.pdf"}}, {File: voiceassist.File{Filename: "# c\n.txt"}}},
	})
	if want := "What is this?\n\nAttached: a\\_b.pdf, \\# c .txt\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end\n%s", got, want)
	}
}

func TestTextCannotBreakOutOfItsPlace(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{
		"# Heading", "Heading\n===", "Heading\n---", "---", "***", "> quote", "- item", "* item", "+ item", "1. item", "2) item",
		"```\ncode", "~~~\ncode", "    code", "\tcode", "<script>alert(1)</script>", "<!-- ", "</li>", "[link](http://evil.example)",
		"![image](http://evil.example/x.png)", "[1]: http://evil.example", "<http://evil.example>", "&lt;b&gt;", "a | b\n--|--\n1 | 2",
		"*emphasis* _emphasis_ **strong** ~~gone~~ `code`", "a\r# b", "a\u2028# b", "a\\", "\\# a", "[^1]: note", "- [ ] task", "a\n\n\n\n# b", "$$x$$",
		":::note", "\u202egnp.exe",
	} {
		c := aspirin
		c.Title = hostile
		m := voiceassist.Message{
			Role: voiceassist.SpeakerUser, Status: voiceassist.MessageComplete, Content: hostile, CreatedAt: said,
			Citations: []voiceassist.Citation{{Index: 1, Title: hostile, Authors: []string{hostile}, Page: 1, Quote: hostile}},
		}
		page := rendered(t, export.MarkdownHead(c)+export.MarkdownMessage(m))
		for tag, n := range map[string]int{
			"<h1>": 1, "<h2>": 1, "<h3>": 1, "<blockquote>": 1, "<em>": 1, "<a href": 0, "<img": 0, "<script": 0, "<li>": 0, "<code>": 0, "<hr": 0, "<table": 0,
			"<strong>": 0, "<del>": 0, "<!--": 0, "\u202e": 0,
		} {
			if got := strings.Count(page, tag); got != n {
				t.Errorf("%q: %d of %s, want %d:\n%s", hostile, got, tag, n, page)
			}
		}
	}
}
