// Package rag is the read side: it finds passages and answers questions from
// them, with proof.
//
// A question runs through retrieve → gate → choose → answer → prove:
//
//   - find asks the index and lets the ledger decide what may be seen;
//   - the gate turns away questions that the library says nothing about;
//   - choose takes sources from several documents, within a token budget;
//   - a language model answers from the sources, or, without one, their best
//     sentences are quoted; attachments of the conversation and facts about a
//     patient go along as what the user said, never as sources;
//   - every citation is a run of code points of a stored page, compared with
//     it before it is stored. What cannot be proved is not cited.
//
// An answer belongs to its message: whoever reads it may leave, the message
// ends in exactly one terminal state all the same.
package rag

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// Store is what the read side needs of the ledger; package postgres documents
// the methods.
type Store interface {
	BeginAnswer(ctx context.Context, q voiceassist.Question) (voiceassist.Exchange, error)
	BeginRegeneration(ctx context.Context, r voiceassist.Regeneration) (voiceassist.Exchange, error)
	FinishAnswer(ctx context.Context, m voiceassist.Message) (voiceassist.Message, error)
	Answer(ctx context.Context, id uuid.UUID) (voiceassist.Message, error)
	History(ctx context.Context, before voiceassist.Message, limit int) ([]voiceassist.Message, error)
	HydratePassages(ctx context.Context, ids []uuid.UUID) ([]voiceassist.Hit, error)
	PageText(ctx context.Context, documentID uuid.UUID, generation, page int) (voiceassist.Page, error)
	AttachedTexts(ctx context.Context, messages []uuid.UUID, limit int) ([]voiceassist.AttachedText, error)
	ClinicalContext(ctx context.Context, userID, id uuid.UUID) (voiceassist.ClinicalContext, error)
}

// Index finds candidates; package qdrant documents the methods.
type Index interface {
	Search(ctx context.Context, q voiceassist.IndexQuery) ([]voiceassist.IndexMatch, error)
	// IDF returns the inverse document frequency of each stem; one that no
	// passage has gets the highest.
	IDF(ctx context.Context, stems []string) (map[string]float64, error)
}

// ChatModel is a language model that streams its reply.
type ChatModel interface {
	// Name is what answers give as their Model.
	Name() string
	// Stream yields the reply in pieces. An error is the last thing it yields:
	// *voiceassist.Paced when the service is busy, the context's when it
	// ended, any other when the reply broke off.
	Stream(ctx context.Context, r voiceassist.ChatRequest) iter.Seq2[string, error]
}

// DefaultTimeout is the longest that an answer takes unless Options say
// otherwise.
const DefaultTimeout = 2 * time.Minute

// Options are what a Service can do without.
type Options struct {
	Embedder voiceassist.Embedder  // nil: search by words only
	Model    ChatModel             // nil: answers quote, they are not written
	Metrics  prometheus.Registerer // nil: not measured
	Log      *slog.Logger          // nil: silent

	// Allows reports whether a built-in flag lets whoever acts in ctx be served
	// by a model: FlagOutsideModels at all, FlagModelAnswers for answers. It is
	// asked with each question. nil: it always does.
	Allows func(ctx context.Context, flag string) bool

	Timeout       time.Duration // of a whole answer; 0 is DefaultTimeout
	Stall         time.Duration // how long the model may say nothing; 0 is 30 s
	ContextTokens int           // of sources in a prompt, by CountTokens; 0 is 6,000
	AnswerTokens  int           // of a written answer; 0 is 1,000
	AttachTokens  int           // of attachments in a prompt, by CountTokens; 0 is 2,000

	// CosineFloor is how similar a passage must be to a question for meaning
	// alone to make it relevant, where the words do not. Cosines differ between
	// embedding models, hence no default: 0 turns it off.
	CosineFloor float64
}

// Service searches and answers. It is safe for concurrent use.
type Service struct {
	store   Store
	index   Index
	opts    Options
	log     *slog.Logger
	metrics metrics
}

// New returns a Service that reads from store and index.
func New(store Store, index Index, o Options) *Service {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Stall = cmp.Or(o.Stall, 30*time.Second)
	o.ContextTokens = cmp.Or(o.ContextTokens, 6000)
	o.AnswerTokens = cmp.Or(o.AnswerTokens, 1000)
	o.AttachTokens = cmp.Or(o.AttachTokens, 2000)
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, index: index, opts: o, log: log, metrics: newMetrics(o.Metrics)}
}

// embedder returns what may embed the question of whoever acts in ctx, nil if
// nothing may.
func (s *Service) embedder(ctx context.Context) voiceassist.Embedder {
	if !s.allows(ctx, voiceassist.FlagOutsideModels) {
		return nil
	}
	return s.opts.Embedder
}

// model returns what may answer whoever acts in ctx, nil if nothing may and
// answers quote.
func (s *Service) model(ctx context.Context) ChatModel {
	if !s.allows(ctx, voiceassist.FlagOutsideModels) || !s.allows(ctx, voiceassist.FlagModelAnswers) {
		return nil
	}
	return s.opts.Model
}

func (s *Service) allows(ctx context.Context, flag string) bool {
	return s.opts.Allows == nil || s.opts.Allows(ctx, flag)
}
