package voiceassist

import "github.com/google/uuid"

// IndexQuery is what is asked of the index: passages that resemble Text, and
// Dense where a vector is given.
type IndexQuery struct {
	Text   string
	Dense  []float32 // nil: by words only
	Filter SearchFilter
	Limit  int // at least 1
	Offset int // how many of the best to leave out
}

// IndexMatch is a passage as the index knows it. The index may lag behind the
// ledger, so a match is a candidate until the ledger has confirmed it.
type IndexMatch struct {
	PassageID  uuid.UUID
	DocumentID uuid.UUID
	Generation int
	Score      float64 // higher is better; only comparable within one query
}

// Exchange is a question in the ledger with the answer it gets.
type Exchange struct {
	Question Message // Duplicate: it had been asked before
	Answer   Message // MessageStreaming when it has only begun
	Style    AnswerStyle
	// Clinical are the facts that the model is told with the question, nil
	// without any.
	Clinical *ClinicalFacts
}
