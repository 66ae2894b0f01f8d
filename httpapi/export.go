package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"unicode"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/export"
)

// branchQuery names the branch to export.
var branchQuery = []formField{{name: "branch_id", doc: "main by default"}, {name: "branchId", doc: "the same as branch_id"}}

// exportPage is how many messages an export loads at a time.
const exportPage = 100

// maxFilename is the longest name of an exported file without its extension,
// in code points.
const maxFilename = 80

// turns are the messages of a branch, loaded by the page.
type turns struct {
	ctx          context.Context //nolint:containedctx // of the request whose body this becomes
	chats        Chats
	user         uuid.UUID
	conversation voiceassist.Conversation
	branch       string
	offset       int
	ended        bool
}

// exported finds what a request wants to export.
func (s *Server) exported(c *fiber.Ctx) (*turns, error) {
	id, err := parseID(c.Params("id"), "conversation")
	if err != nil {
		return nil, err
	}
	ctx := c.UserContext()
	t := &turns{
		ctx: ctx, chats: s.o.Chats, user: principal(ctx).User.ID,
		branch: cmp.Or(c.Query("branch_id"), c.Query("branchId"), voiceassist.MainBranch),
	}
	t.conversation, err = s.o.Chats.Conversation(ctx, t.user, id)
	return t, err
}

// next returns the next messages, and io.EOF when there are no
// more.
func (t *turns) next() ([]voiceassist.Message, error) {
	if t.ended {
		return nil, io.EOF
	}
	ctx, cancel := context.WithTimeout(t.ctx, requestTimeout)
	defer cancel()
	page, _, err := t.chats.Messages(ctx, t.user, t.conversation.ID, t.branch, t.offset, exportPage)
	if err != nil {
		return nil, err
	}
	t.offset += len(page)
	t.ended = len(page) < exportPage
	return page, nil
}

// all yields every message.
func (t *turns) all() iter.Seq2[voiceassist.Message, error] {
	return func(yield func(voiceassist.Message, error) bool) {
		for {
			page, err := t.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(voiceassist.Message{}, err)
				return
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

// markdown is the Markdown of messages, rendered as it is read. An error in
// the middle breaks the connection off, so that nobody takes what there is for
// all.
type markdown struct {
	turns   *turns
	pending bytes.Buffer
}

// fill renders the next page.
func (m *markdown) fill() error {
	page, err := m.turns.next()
	for _, message := range page {
		m.pending.WriteString(export.MarkdownMessage(message))
	}
	return err
}

// Read implements io.Reader.
func (m *markdown) Read(p []byte) (int, error) {
	for m.pending.Len() == 0 {
		if err := m.fill(); err != nil {
			return 0, err
		}
	}
	return m.pending.Read(p)
}

// exportMarkdown sends a branch as Markdown.
func (s *Server) exportMarkdown(c *fiber.Ctx) error {
	t, err := s.exported(c)
	if err != nil {
		return err
	}
	m := &markdown{turns: t}
	m.pending.WriteString(export.MarkdownHead(t.conversation))
	if err := m.fill(); err != nil { // before the reply begins, so that it may be an error
		return err
	}
	c.Set("Content-Type", "text/markdown; charset=utf-8")
	c.Set("Content-Disposition", attachment(exportName(t.conversation.Title, ".md")))
	c.Context().SetBodyStream(m, -1)
	return nil
}

// exportPDF sends a branch as PDF. It is made in memory, so only a few are at a
// time.
func (s *Server) exportPDF(c *fiber.Ctx) error {
	t, err := s.exported(c)
	if err != nil {
		return err
	}
	leave, err := s.exports.enter(t.ctx)
	if err != nil {
		return err
	}
	defer leave()
	var pdf bytes.Buffer
	if err := export.PDF(&pdf, t.conversation, t.all()); err != nil {
		return err
	}
	c.Set("Content-Type", "application/pdf")
	c.Set("Content-Disposition", attachment(exportName(t.conversation.Title, ".pdf")))
	return c.Send(pdf.Bytes())
}

// exportName makes the name of a file from a title: without what separates
// directories or means something to a shell or a file system.
func exportName(title, extension string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || strings.ContainsRune(" -_.,()", r) {
			return r
		}
		return ' '
	}, title)
	name = strings.Join(strings.Fields(name), " ")
	if runes := []rune(name); len(runes) > maxFilename {
		name = string(runes[:maxFilename])
	}
	name = strings.Trim(name, " .-")
	return cmp.Or(name, "conversation") + extension
}
