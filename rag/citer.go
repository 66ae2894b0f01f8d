package rag

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	voiceassist "github.com/voiceassist/backend"
)

// citer passes on a model's text as it arrives and turns its handles into
// proved citations. Text that may turn out to be part of a handle is held
// back, so what has been passed on never changes. A handle names a source by
// its place in the prompt ([3], [1, 3], [2–4]); it is replaced by the numbers of
// the citations that prove the sentence before it, or dropped.
type citer struct {
	prover  *prover
	sources []voiceassist.Hit
	held    string          // not passed on yet
	said    strings.Builder // passed on, without handles
	claimed int             // bytes of said up to the last handle
}

// write takes more of the model's text and returns what may be passed on.
func (c *citer) write(ctx context.Context, text string) (string, error) {
	c.held += strings.ReplaceAll(text, "\x00", "")
	var out strings.Builder
	for {
		open := strings.IndexByte(c.held, '[')
		if open < 0 {
			out.WriteString(c.say(len(strings.TrimRightFunc(c.held, unicode.IsSpace))))
			return out.String(), nil
		}
		// The space before a handle goes when the handle goes.
		out.WriteString(c.say(len(strings.TrimRightFunc(c.held[:open], unicode.IsSpace))))
		open = strings.IndexByte(c.held, '[')
		end := handleEnd(c.held[open:])
		switch {
		case end == handleOpen:
			return out.String(), nil
		case end == handleNone:
			out.WriteString(c.say(open + 1))
		default:
			cited, err := c.resolve(ctx, c.held[open:open+end])
			if err != nil {
				return out.String(), err
			}
			if cited != "" {
				out.WriteString(c.held[:open] + cited)
			}
			c.held = c.held[open+end:]
		}
	}
}

// close returns what was held back and is text after all.
func (c *citer) close() string {
	if open := strings.IndexByte(c.held, '['); open >= 0 {
		c.held = c.held[:open] // a handle that never ended
	}
	return c.say(len(strings.TrimRightFunc(c.held, unicode.IsSpace)))
}

// say passes on the first n bytes held.
func (c *citer) say(n int) string {
	text := c.held[:n]
	c.held = c.held[n:]
	c.said.WriteString(text)
	return text
}

const (
	handleNone = -1 // the bracket opens no handle
	handleOpen = 0  // it may, the text is not complete
	maxHandle  = 40 // bytes
)

// handleEnd returns where the handle ends that s begins with.
func handleEnd(s string) int {
	for i, r := range s[1:] {
		switch {
		case r == ']':
			if handleNumbers(s[:i+2]) == nil {
				return handleNone
			}
			return i + 2
		case i > maxHandle || !unicode.IsDigit(r) && !unicode.IsSpace(r) && !strings.ContainsRune(",;-–^", r):
			return handleNone
		}
	}
	return handleOpen
}

var handlePart = regexp.MustCompile(`(\d+)(?:\s*[-–]\s*(\d+))?`)

// handleNumbers returns the numbers that a handle names, nil when it names
// none.
func handleNumbers(handle string) []int {
	var numbers []int
	for _, part := range handlePart.FindAllStringSubmatch(handle, -1) {
		from, _ := strconv.Atoi(part[1])
		to := from
		if part[2] != "" {
			to, _ = strconv.Atoi(part[2])
		}
		for n := from; n <= min(to, from+maxSources); n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// resolve returns what stands for the handle in the answer, "" when nothing of
// it can be proved.
func (c *citer) resolve(ctx context.Context, handle string) (string, error) {
	claims := c.claims()
	var proved []int
	for _, n := range handleNumbers(handle) {
		number, ok, err := c.prove(ctx, claims, n)
		if err != nil {
			return "", err
		}
		if ok && !slices.Contains(proved, number) {
			proved = append(proved, number)
		}
	}
	c.claimed = c.said.Len()
	var out strings.Builder
	for _, number := range proved {
		fmt.Fprintf(&out, "[%d]", number)
	}
	return out.String(), nil
}

// prove finds the sentence of source n that bears out one of the claims.
func (c *citer) prove(ctx context.Context, claims []string, n int) (number int, ok bool, err error) {
	if n < 1 || n > len(c.sources) {
		c.prover.metrics.cited(false)
		return 0, false, nil
	}
	hit := c.sources[n-1]
	for _, claim := range claims {
		if quote, found := align(claim, hit.Passage.Text); found {
			return c.prover.cite(ctx, hit, quote)
		}
	}
	c.prover.metrics.cited(false)
	return 0, false, nil
}

// claims returns what the handle at the end of the text stands for: what was
// said since the last handle in the same sentence, then the whole sentence.
func (c *citer) claims() []string {
	said := c.said.String()
	line := strings.TrimRightFunc(said, unicode.IsSpace)
	line = line[strings.LastIndexByte(line, '\n')+1:]
	sentences := splitSentences(line)
	if len(sentences) == 0 {
		return nil
	}
	last := sentences[len(sentences)-1].Text
	since := strings.Trim(said[c.claimed:], " \t\r\n.,;:")
	if since == "" || len(since) >= len(last) {
		return []string{last}
	}
	return []string{since, last}
}
