package rag

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/prose"
)

// maxAttached is how many attachments of a conversation an answer looks at, the
// latest.
const maxAttached = 10

// attached returns the texts of what is attached to the question and to what was
// said before it, the question's own first. They are asked for anew with every
// answer, so a file that was deleted is in none.
func (s *Service) attached(ctx context.Context, question voiceassist.Message, history []voiceassist.Message) ([]voiceassist.AttachedText, error) {
	ids := []uuid.UUID{question.ID}
	for _, m := range history {
		ids = append(ids, m.ID)
	}
	texts, err := s.store.AttachedTexts(ctx, ids, maxAttached)
	if err != nil {
		return nil, fmt.Errorf("load attachments: %w", err)
	}
	return texts, nil
}

// excerpts cuts attachments down to a budget of tokens, which they share
// equally: what one leaves over the next ones get. Those of which nothing fits
// are left out.
func excerpts(stems []string, attached []voiceassist.AttachedText, budget int) []voiceassist.AttachedText {
	var cut []voiceassist.AttachedText
	for i, a := range attached {
		a.Text = excerpt(stems, a.Text, budget/(len(attached)-i))
		if a.Text != "" {
			budget -= voiceassist.CountTokens(a.Text)
			cut = append(cut, a)
		}
	}
	return cut
}

// omission stands for text of an attachment that was left out.
const omission = "[…]"

// excerpt returns a text that fits the budget: all of it, or else those of its
// sentences that have most of the stems, in reading order.
func excerpt(stems []string, text string, budget int) string {
	if voiceassist.CountTokens(text) <= budget {
		return text
	}
	sentences := splitSentences(text)
	order := make([]int, len(sentences))
	matches := make([]int, len(sentences))
	for i, s := range sentences {
		order[i], matches[i] = i, len(covered(stems, stemSet(s.Text)))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(matches[b], matches[a]) })
	taken := make([]bool, len(sentences))
	for _, i := range order {
		cost := voiceassist.CountTokens(sentences[i].Text) + 1
		if cost <= budget {
			taken[i], budget = true, budget-cost
		}
	}
	return withGaps(sentences, taken)
}

// withGaps returns the sentences that were taken, with a mark for each gap.
func withGaps(sentences []sentence, taken []bool) string {
	var parts []string
	gap := false
	for i, s := range sentences {
		if !taken[i] {
			gap = true
			continue
		}
		if gap {
			parts = append(parts, omission)
		}
		parts, gap = append(parts, s.Text), false
	}
	if gap && len(parts) > 0 {
		parts = append(parts, omission)
	}
	return strings.Join(parts, " ")
}

// maxAttachedQuotes is how many sentences of attachments an extractive answer
// repeats.
const maxAttachedQuotes = 3

// attachedQuote is a sentence of an attachment.
type attachedQuote struct {
	name    string
	text    string
	matches int
}

// quoteAttached writes the sentences of the attachments that have most of what
// the question names. They stand apart from the library's and are marked as
// what they are: nothing proves them.
func quoteAttached(stems []string, attached []voiceassist.AttachedText, w *writer) {
	quotes := attachedQuotes(stems, attached)
	if len(quotes) == 0 {
		return
	}
	var b strings.Builder
	if w.text.Len() > 0 {
		b.WriteString("\n\n")
	}
	b.WriteString("From your attachments, which are no part of the library:")
	for _, q := range quotes {
		fmt.Fprintf(&b, "\n%s [attachment: %s]", uncited(q.text), uncited(q.name))
	}
	w.write(b.String())
}

func attachedQuotes(stems []string, attached []voiceassist.AttachedText) []attachedQuote {
	var quotes []attachedQuote
	least := min(2, len(stems))
	for _, a := range attached {
		for _, span := range prose.Sentences(a.Text) {
			text := strings.Join(strings.Fields(span.In(a.Text)), " ")
			if n := len(covered(stems, stemSet(text))); n >= max(1, least) && voiceassist.CountTokens(text) <= maxAttachedSentence {
				quotes = append(quotes, attachedQuote{name: a.Name, text: text, matches: n})
			}
		}
	}
	slices.SortStableFunc(quotes, func(a, b attachedQuote) int { return cmp.Compare(b.matches, a.matches) })
	return quotes[:min(len(quotes), maxAttachedQuotes)]
}

// maxAttachedSentence is the longest sentence quoted of an attachment, in
// tokens; what is longer is a table or no prose.
const maxAttachedSentence = 120

// uncited takes from a text what a reader would take for a citation of ours.
func uncited(text string) string {
	return citedHandle.ReplaceAllStringFunc(text, func(handle string) string {
		return strings.NewReplacer("[", "(", "]", ")").Replace(handle)
	})
}
