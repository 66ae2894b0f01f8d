package extract

import (
	"context"
	"regexp"
	"strings"
	"unicode/utf8"

	voiceassist "github.com/voiceassist/backend"
)

// Plain reads text files. Their paragraphs stay as they are; lines are joined
// only where an editor or a mail program has clearly wrapped them.
type Plain struct{}

var _ voiceassist.TextEngine = Plain{}

// Name implements voiceassist.TextEngine.
func (Plain) Name() string { return "text/1" }

// Extract implements voiceassist.TextEngine. The file is one page, whatever its
// length up to 32 MiB, and has no title.
func (Plain) Extract(_ context.Context, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	raw, err := readFile(path)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	text, err := decode(raw)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	return voiceassist.FileInfo{Pages: 1}, emitOnly(pages, tidy(text), emit)
}

// tidy normalises line ends, separates paragraphs by exactly one empty line and
// unwraps wrapped text.
func tidy(text string) string {
	text = lineEnds.Replace(text)
	paragraphs := make([]string, 0, 64)
	for block := range strings.SplitSeq(blankLines.ReplaceAllString(text, "\n\n"), "\n\n") {
		if block = strings.Trim(block, "\n"); strings.TrimSpace(block) != "" {
			paragraphs = append(paragraphs, block)
		}
	}
	if wrapped(paragraphs) {
		for i, p := range paragraphs {
			paragraphs[i] = unwrap(p)
		}
	}
	for i, p := range paragraphs {
		paragraphs[i] = trimLines(p)
	}
	return strings.Join(paragraphs, "\n\n")
}

var (
	lineEnds   = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\f", "\n\n", "\u2028", "\n", "\u2029", "\n\n", "\x00", "")
	blankLines = regexp.MustCompile(`\n[ \t]*\n\s*\n|\n[ \t]+\n`)
)

func trimLines(p string) string {
	lines := strings.Split(p, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t")
	}
	return strings.Join(lines, "\n")
}

// wrapWidth is the longest line, in code points, that text wrapped by a program
// has.
const wrapWidth = 100

// wrapped reports whether the paragraphs were clearly broken at a right margin:
// there are enough lines to tell, none is longer than wrapWidth, and nine of
// ten that are followed by another of their paragraph come so close to the
// longest that it would not have taken the next word, give or take a tenth.
func wrapped(paragraphs []string) bool {
	const enough = 4
	margin := 0
	for _, p := range paragraphs {
		for line := range strings.SplitSeq(p, "\n") {
			margin = max(margin, utf8.RuneCountInString(line))
		}
	}
	if margin > wrapWidth {
		return false
	}
	full, inner := 0, 0
	for _, p := range paragraphs {
		lines := strings.Split(p, "\n")
		for i, next := range lines[1:] {
			if listItem.MatchString(next) {
				continue
			}
			inner++
			word, _, _ := strings.Cut(strings.TrimLeft(next, " \t"), " ")
			if utf8.RuneCountInString(lines[i])+1+utf8.RuneCountInString(word) > margin-margin/10 {
				full++
			}
		}
	}
	return inner >= enough && full*10 >= inner*9
}

// unwrap joins a paragraph's lines, but leaves lists and indented blocks as they
// are.
func unwrap(p string) string {
	lines := strings.Split(p, "\n")
	var b strings.Builder
	for i, line := range lines {
		switch {
		case i == 0:
		case listItem.MatchString(line) || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
			line = strings.TrimLeft(line, " \t")
		}
		b.WriteString(strings.TrimRight(line, " \t"))
	}
	return b.String()
}

var listItem = regexp.MustCompile(`^\s*([-*•]|\d{1,3}[.)])\s`)
