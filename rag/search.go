package rag

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// maxHits is the most passages one search returns.
const maxHits = 100

// Search returns the passages that answer the query best, at most limit
// (1–100), the best first. A query that is empty, too long or not text is
// Invalid.
func (s *Service) Search(ctx context.Context, query string, filter voiceassist.SearchFilter, limit int) ([]voiceassist.Hit, error) {
	if err := checkText("query", query); err != nil {
		return nil, err
	}
	return s.find(ctx, query, filter, min(max(limit, 1), maxHits))
}

func checkText(field, text string) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return voiceassist.FieldError(field, "%s is not valid text", field)
	case strings.TrimSpace(text) == "":
		return voiceassist.FieldError(field, "%s must not be empty", field)
	case utf8.RuneCountInString(text) > voiceassist.MaxQuestionLength:
		return voiceassist.FieldError(field, "%s must be at most %d characters long", field, voiceassist.MaxQuestionLength)
	}
	return nil
}

// Bounds of a search that meets points which the ledger does not show.
const (
	spareMatches = 8 // asked for beyond the limit, so that a few stale points cost no second round
	maxRounds    = 6 // each asks for twice as many as the one before
)

// find asks the index and keeps what the ledger shows: the index lags behind,
// so a point may stand for a passage that was deleted or superseded. It asks
// on until there are limit passages or the index has no more.
func (s *Service) find(ctx context.Context, text string, filter voiceassist.SearchFilter, limit int) ([]voiceassist.Hit, error) {
	defer s.metrics.retrieved(time.Now())
	dense, err := s.embed(ctx, text)
	if err != nil {
		return nil, err
	}
	var hits []voiceassist.Hit
	seen := make(map[uuid.UUID]bool)
	query := voiceassist.IndexQuery{Text: text, Dense: dense, Filter: filter, Limit: limit + spareMatches}
	for range maxRounds {
		matches, err := s.index.Search(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("search the index: %w", err)
		}
		more, err := s.hydrate(ctx, matches, seen)
		if err != nil {
			return nil, err
		}
		for _, h := range more {
			if letsThrough(filter, h.Document) { // the index may not know yet how it was edited
				hits = append(hits, h)
			}
		}
		if len(hits) >= limit || len(matches) < query.Limit {
			break
		}
		query.Offset, query.Limit = query.Offset+query.Limit, query.Limit*2
	}
	return hits[:min(limit, len(hits))], nil
}

// letsThrough reports whether a document is one of those that f selects. The
// index has seen to DocumentIDs: ids do not change.
func letsThrough(f voiceassist.SearchFilter, d voiceassist.Document) bool {
	return (f.SourceType == "" || f.SourceType == d.SourceType) &&
		(f.Specialty == "" || f.Specialty == d.Specialty) &&
		(f.Category == "" || f.Category == d.Category)
}

// embed returns the vector of a question, nil without an embedder.
func (s *Service) embed(ctx context.Context, text string) ([]float32, error) {
	embedder := s.embedder(ctx)
	if embedder == nil {
		return nil, nil
	}
	vectors, err := embedder.Embed(ctx, []string{text})
	if err != nil {
		return nil, fmt.Errorf("embed the question: %w", err)
	}
	return vectors[0], nil
}

// hydrate returns the passages of the matches that were not seen before, in
// their order.
func (s *Service) hydrate(ctx context.Context, matches []voiceassist.IndexMatch, seen map[uuid.UUID]bool) ([]voiceassist.Hit, error) {
	scores := make(map[uuid.UUID]float64, len(matches))
	var ids []uuid.UUID
	for _, m := range matches {
		if !seen[m.PassageID] {
			seen[m.PassageID] = true
			scores[m.PassageID] = m.Score
			ids = append(ids, m.PassageID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	hits, err := s.store.HydratePassages(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("load passages: %w", err)
	}
	for i := range hits {
		hits[i].Score = scores[hits[i].Passage.ID]
	}
	return hits, nil
}
