package export

import (
	"fmt"
	"regexp"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

// MarkdownHead is how the Markdown of a conversation begins.
func MarkdownHead(c voiceassist.Conversation) string {
	return fmt.Sprintf("# %s\n\nConversation of %s\n", escaped(titleOf(c)), stamp(c.CreatedAt))
}

// MarkdownMessage is a message with its references. All that it says is plain
// text in the rendered document: it cannot make headings, links or HTML.
func MarkdownMessage(m voiceassist.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n*%s*\n", speaker(m), stamp(m.CreatedAt))
	if text := paragraphs(m.Content); text != "" {
		fmt.Fprintf(&b, "\n%s\n", text)
	}
	if files := attached(m); files != "" {
		fmt.Fprintf(&b, "\n%s\n", escaped(files))
	}
	if len(m.Citations) == 0 {
		return b.String()
	}
	b.WriteString("\n### References\n\n")
	for _, c := range m.Citations {
		// Not a list of Markdown, which would number anew.
		fmt.Fprintf(&b, "\\[%d\\] %s\n\n> %s\n\n", c.Index, escaped(source(c)), escaped(oneLine(c.Quote)))
	}
	return b.String()
}

// paragraphs escapes a text and keeps its paragraphs and lines.
func paragraphs(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(blankLines.ReplaceAllString(strings.TrimSpace(printable(text)), "\n\n"), "\n\n") {
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		for i, line := range strings.Split(paragraph, "\n") {
			if i > 0 {
				b.WriteString("\\\n") // a line break
			}
			b.WriteString(escaped(strings.TrimSpace(line)))
		}
	}
	return b.String()
}

var (
	blankLines = regexp.MustCompile(`\n[ \n]*\n`)

	// What means something to Markdown anywhere in a line.
	meaningful = regexp.MustCompile("[\\\\`*_{}\\[\\]<>&~|#$]")

	// What means something at the beginning of a line: bullets, numbers,
	// underlines of headings, quotes.
	leading       = regexp.MustCompile(`^[-+=:]`)
	leadingNumber = regexp.MustCompile(`^(\d+)([.)])`)
)

// escaped returns a line that Markdown renders as it is.
func escaped(line string) string {
	line = meaningful.ReplaceAllString(line, `\$0`)
	line = leading.ReplaceAllString(line, `\$0`)
	return leadingNumber.ReplaceAllString(line, `$1\$2`)
}
