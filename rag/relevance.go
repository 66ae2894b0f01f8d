package rag

import (
	"context"
	"fmt"

	voiceassist "github.com/voiceassist/backend"
)

// The relevance that a passage must reach grows with the highest IDF, that is
// with the logarithm of the number of passages: the larger the library, the
// more often words meet by chance. Measured on passages as the pipeline cuts
// them, with plain-words questions and questions about cooking, tax, football
// and the like:
//
//	passages   floor   plain words pass   off topic pass
//	     945    0.27          33 of 34          2 of 32    30 papers' text, TestGate…
//	   1,640    0.32          34 of 34          1 of 32    30 papers' PDF files and 13 leaflets
//	  10,150    0.51          15 of 16          2 of 32    a third of MedQuAD
const (
	relevanceSlope = 0.103
	relevanceFrom  = 4.95
	leastRelevance = 0.2 // in a small library
)

// floor is the relevance that a passage must reach.
func (q *inquiry) floor() float64 {
	return max(leastRelevance, relevanceSlope*(q.idf[absentStem]-relevanceFrom))
}

// absentStem is a stem that no text has, which asks IDF for its highest value.
const absentStem = "\x00"

// inquiry is a question as retrieval sees it.
type inquiry struct {
	text  string   // what the index is asked
	stems []string // content stems of text
	own   []string // content stems of the question alone; fewer than stems in a follow-up
	idf   idfs
}

// weigh fills in what the stems are worth.
func (s *Service) weigh(ctx context.Context, q *inquiry) error {
	idf, err := s.index.IDF(ctx, append([]string{absentStem}, q.stems...))
	if err != nil {
		return fmt.Errorf("weigh the question: %w", err)
	}
	q.idf = idf
	return nil
}

// worthShare is how relevant a passage must be, compared with the best, to be
// answered from: the rest share a word with the question.
const worthShare = 0.55

// relevant returns the hits that are about the question, in order, none when
// no passage is: one where enough of what the question names occurs, and close
// together.
func (q *inquiry) relevant(hits []voiceassist.Hit) []voiceassist.Hit {
	if len(q.stems) == 0 {
		return nil
	}
	floor := q.floor()
	best, passed := 0.0, false
	values := make([]float64, len(hits))
	for i, hit := range hits {
		values[i] = relevance(q.stems, q.idf, hit)
		best = max(best, values[i])
		passed = passed || values[i] >= floor && q.ownShare(hit) >= floor
	}
	if !passed {
		return nil
	}
	var about []voiceassist.Hit
	for i, hit := range hits {
		if values[i] >= worthShare*best {
			about = append(about, hit)
		}
	}
	return about
}

// relevance is the mean of two coverages of the stems, 0–1: by the passage
// with its title and section, and by its best sentence. One shared word of
// several is a coincidence unless the document is named after it.
func relevance(stems []string, idf idfs, hit voiceassist.Hit) float64 {
	title := stemSet(hit.Document.Title)
	whole := wholeSet(hit)
	found := covered(stems, whole)
	if len(found) < min(2, len(stems)) && len(covered(found, title)) == 0 {
		return 0
	}
	best := 0.0
	for _, sentence := range splitSentences(hit.Passage.Text) {
		best = max(best, coverage(stems, idf, stemSet(sentence.Text)))
	}
	return (coverage(stems, idf, whole) + best) / 2
}

// wholeSet returns the stems of a passage with its title and section.
func wholeSet(hit voiceassist.Hit) map[string]bool {
	return stemSet(hit.Document.Title + "\n" + hit.Passage.Section + "\n" + hit.Passage.Text)
}

// ownShare is how much a passage covers of what a follow-up itself says, 1 if
// that is nothing: the question before it must not answer for it.
func (q *inquiry) ownShare(hit voiceassist.Hit) float64 {
	if len(q.own) == 0 {
		return 1
	}
	return coverage(q.own, q.idf, wholeSet(hit))
}

// similar reports whether some passage means nearly what the question does.
func (s *Service) similar(ctx context.Context, q inquiry) (bool, error) {
	if s.opts.CosineFloor == 0 {
		return false, nil
	}
	dense, err := s.embed(ctx, q.text)
	if err != nil || dense == nil {
		return false, err
	}
	best, err := s.index.Search(ctx, voiceassist.IndexQuery{Dense: dense, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("search the index: %w", err)
	}
	return len(best) > 0 && best[0].Score >= s.opts.CosineFloor, nil
}
