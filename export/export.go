// Package export prints conversations for people to keep: as Markdown, piece by
// piece, and as PDF.
//
// Each answer is followed by its references, under the numbers that it uses.
package export

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// stampLayout says when something was said, in UTC.
const stampLayout = "2006-01-02 15:04 UTC"

func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

// titleOf names a conversation that may have no title.
func titleOf(c voiceassist.Conversation) string {
	if title := oneLine(c.Title); title != "" {
		return title
	}
	return "Conversation"
}

var speakers = map[voiceassist.MessageRole]string{
	voiceassist.SpeakerUser: "User", voiceassist.SpeakerAssistant: "Assistant", voiceassist.SpeakerSystem: "System",
}

// speaker says who wrote a message, and how it ended if not well.
func speaker(m voiceassist.Message) string {
	name := speakers[m.Role]
	if m.Status != voiceassist.MessageComplete {
		name += " (" + string(m.Status) + ")"
	}
	return name
}

// attached names the files of a message, "" if it has none.
func attached(m voiceassist.Message) string {
	names := make([]string, len(m.Attachments))
	for i, a := range m.Attachments {
		names[i] = oneLine(a.File.Filename)
	}
	if len(names) == 0 {
		return ""
	}
	return "Attached: " + strings.Join(names, ", ")
}

// source describes what a citation cites, in the usual order: authors (year),
// title, journal, page, DOI.
func source(c voiceassist.Citation) string {
	var parts []string
	who := strings.Join(c.Authors, ", ")
	if c.Year != 0 {
		who = strings.TrimSpace(who + " (" + strconv.Itoa(c.Year) + ")")
	}
	doi := ""
	if c.DOI != "" {
		doi = "doi:" + c.DOI
	}
	for _, part := range []string{who, c.Title, c.Journal, fmt.Sprintf("p. %d", c.Page), doi, c.URL} {
		if part = oneLine(part); part != "" {
			parts = append(parts, strings.TrimSuffix(part, "."))
		}
	}
	return strings.Join(parts, ". ")
}

// oneLine puts s on one line without control characters.
func oneLine(s string) string { return strings.Join(strings.Fields(printable(s)), " ") }

// printable returns s with every kind of line break as \n, and without other
// control characters.
func printable(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n", "\t", " ").Replace(s)
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || isDirection(r) {
			return -1
		}
		return r
	}, s)
}

// isDirection reports whether r changes the direction of the text around it,
// with which text can be made to look like other text.
func isDirection(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }
