package rag

import (
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of the sources of an answer.
const (
	candidates       = 24 // passages looked at
	maxSources       = 10 // passages answered from
	maxPerDocument   = 3  // of one document, so that one voice is not taken for the library's
	leadingHits      = 3  // all of one document: the question is about it, and may have
	maxOfTheDocument = 6
)

// choose returns the hits to answer from, best first: several documents where
// there are several, within a budget of tokens. The best hit is always one.
func choose(hits []voiceassist.Hit, budget int) []voiceassist.Hit {
	about := subject(hits)
	taken := make(map[uuid.UUID]int)
	var chosen []voiceassist.Hit
	for _, hit := range hits {
		id, tokens := hit.Document.ID, voiceassist.CountTokens(hit.Passage.Text)
		most := maxPerDocument
		if id == about {
			most = maxOfTheDocument
		}
		if len(chosen) == maxSources || taken[id] == most || len(chosen) > 0 && tokens > budget {
			continue
		}
		taken[id]++
		budget -= tokens
		chosen = append(chosen, hit)
	}
	return chosen
}

// subject returns the document that the question seems to be about, or zero:
// the one that all leading hits are from.
func subject(hits []voiceassist.Hit) uuid.UUID {
	if len(hits) < leadingHits {
		return uuid.Nil
	}
	for _, hit := range hits[1:leadingHits] {
		if hit.Document.ID != hits[0].Document.ID {
			return uuid.Nil
		}
	}
	return hits[0].Document.ID
}
