package rag

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of an extractive answer.
const (
	maxQuotes     = 5
	minQuotes     = 2 // taken even when the second is much weaker than the first
	maxQuotesEach = 3 // of one document
)

// The weights of a quote beside what it covers of the question.
const (
	repeatWeight   = 0.7  // of what earlier quotes have covered already
	rankDiscount   = 0.05 // for each passage ranked before it
	findingBonus   = 1.2  // for telling what came out
	purposeMalus   = 0.75 // for telling what was intended
	worthOfTheBest = 0.5  // a quote further below the first than this is left out
	sameShare      = 0.8  // of the stems of the shorter of two quotes that say the same
)

// Words by which authors tell what they found, and what they set out to do.
var (
	findings = stemSet(`conclude conclusion found showed demonstrated revealed observed significant significantly suggest indicate
		increased decreased reduced improved higher lower effective`)
	purposes = stemSet(`aim aims aimed objective hypothesize hypothesis designed investigate evaluate explore purpose protocol will`)
)

// quotable is a sentence that may answer the question.
type quotable struct {
	hit   voiceassist.Hit
	rank  int // of its passage, from 0
	quote sentence
	words map[string]bool // its stems
	stems []string        // of the question, that it has
	prior float64         // how well it would answer any question
}

// quote writes an answer of the sentences in the sources that cover most of
// the question, word for word and grouped by document. It reports whether
// there were any.
func (s *Service) quote(ctx context.Context, q inquiry, sources []voiceassist.Hit, w *writer) (bool, error) {
	sources = q.nearest(sources)
	from := quotables(q, sources, min(2, len(q.stems)))
	if len(from) == 0 {
		from = quotables(q, sources, 1)
	}
	chosen := pick(q, from)
	intro := "From the library, word for word:"
	for group := range slices.Values(byDocument(chosen)) {
		lines, err := citedLines(ctx, w.prover, group)
		if err != nil {
			return false, err
		}
		if len(lines) == 0 {
			continue
		}
		heading := "\n\n" + strings.TrimRight(cmp.Or(group[0].hit.Document.Title, group[0].hit.Document.Filename), ".:") + ":"
		if !w.write(intro+heading) || !w.write(strings.Join(lines, "")) {
			return true, nil
		}
		intro = ""
	}
	return len(w.prover.citations) > 0, nil
}

// quoteShare is how relevant a passage must be, compared with the best, to be
// quoted. A model weighs what it is given; a reader of quotes takes each for an
// answer.
const quoteShare = 0.65

// nearest returns the sources that are about as relevant as the best of them.
func (q inquiry) nearest(sources []voiceassist.Hit) []voiceassist.Hit {
	best := 0.0
	values := make([]float64, len(sources))
	for i, hit := range sources {
		values[i] = relevance(q.stems, q.idf, hit)
		best = max(best, values[i])
	}
	var near []voiceassist.Hit
	for i, hit := range sources {
		if values[i] >= quoteShare*best {
			near = append(near, hit)
		}
	}
	return near
}

// citedLines returns the quotes that the stored pages prove, one a line.
func citedLines(ctx context.Context, p *prover, group []quotable) ([]string, error) {
	var lines []string
	for _, c := range group {
		number, ok, err := p.cite(ctx, c.hit, c.quote)
		if err != nil {
			return nil, err
		}
		if ok {
			lines = append(lines, fmt.Sprintf("\n%s [%d]", c.quote.Text, number))
		}
	}
	return lines, nil
}

// quotables returns the statements of the sources that have at least so many
// stems of the question, each once.
func quotables(q inquiry, sources []voiceassist.Hit, atLeast int) []quotable {
	var found []quotable
	seen := make(map[string]bool)
	for rank, hit := range sources {
		for _, sentence := range statements(hit.Passage) {
			words := stemSet(sentence.Text)
			stems := covered(q.stems, words)
			key := normalize(sentence.Text)
			if len(stems) < atLeast || seen[key] {
				continue
			}
			seen[key] = true
			found = append(found, quotable{hit: hit, rank: rank, quote: sentence, words: words, stems: stems, prior: prior(words, rank)})
		}
	}
	return found
}

// prior is what a sentence is worth before the question is looked at.
func prior(words map[string]bool, rank int) float64 {
	worth := 1 / (1 + rankDiscount*float64(rank))
	if shared(words, findings) > 0 {
		worth *= findingBonus
	}
	if shared(words, purposes) > 0 {
		worth *= purposeMalus
	}
	return worth
}

// shared returns how many stems two sets have in common.
func shared(a, b map[string]bool) int {
	n := 0
	for stem := range a {
		if b[stem] {
			n++
		}
	}
	return n
}

// pick chooses quotes one by one, each the one that adds most to those before.
func pick(q inquiry, from []quotable) []quotable {
	var chosen []quotable
	told := make(map[string]bool)
	each := make(map[uuid.UUID]int)
	first := 0.0
	for len(chosen) < maxQuotes {
		best, worth := -1, 0.0
		for i, c := range from {
			if value := q.worth(c, told); value > worth && each[c.hit.Document.ID] < maxQuotesEach && !c.repeats(chosen) {
				best, worth = i, value
			}
		}
		first = max(first, worth)
		if best < 0 || len(chosen) >= minQuotes && worth < worthOfTheBest*first {
			break
		}
		next := from[best]
		chosen, from = append(chosen, next), slices.Delete(from, best, best+1)
		each[next.hit.Document.ID]++
		for _, stem := range next.stems {
			told[stem] = true
		}
	}
	return chosen
}

// repeats reports whether one of the quotes says the same in nearly the same
// words, as an abstract and a conclusion do.
func (c quotable) repeats(quotes []quotable) bool {
	for _, other := range quotes {
		n := shared(c.words, other.words)
		if float64(n) >= sameShare*float64(min(len(c.words), len(other.words))) {
			return true
		}
	}
	return false
}

// worth is what a quote adds to quotes that have told some stems already.
func (q inquiry) worth(c quotable, told map[string]bool) float64 {
	sum := 0.0
	for _, stem := range c.stems {
		if told[stem] {
			sum += repeatWeight * q.idf[stem]
		} else {
			sum += q.idf[stem]
		}
	}
	return sum * c.prior
}

// byDocument groups quotes by document, the document of the best quote first,
// each group in reading order.
func byDocument(chosen []quotable) [][]quotable {
	var groups [][]quotable
	at := make(map[uuid.UUID]int)
	for _, c := range chosen {
		i, known := at[c.hit.Document.ID]
		if !known {
			i = len(groups)
			at[c.hit.Document.ID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	for _, group := range groups {
		slices.SortFunc(group, func(a, b quotable) int {
			return cmp.Or(cmp.Compare(a.hit.Passage.Page, b.hit.Passage.Page),
				cmp.Compare(a.hit.Passage.CharStart+a.quote.Start, b.hit.Passage.CharStart+b.quote.Start))
		})
	}
	return groups
}
