package rag

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Begin stores a question and the answer to it that Answer will write. The
// question is checked: one that is empty, too long or not text is Invalid; a
// conversation, file or clinical context of somebody else is NotFound, and
// nothing is stored then. One that was asked before (by
// ClientMessageID) is not asked again; its exchange says so.
func (s *Service) Begin(ctx context.Context, q voiceassist.Question) (voiceassist.Exchange, error) {
	if err := checkText("content", q.Content); err != nil {
		return voiceassist.Exchange{}, err
	}
	if err := checkNames(q); err != nil {
		return voiceassist.Exchange{}, err
	}
	facts, err := s.clinicalFacts(ctx, q.UserID, q.ClinicalContextID)
	if err != nil {
		return voiceassist.Exchange{}, fmt.Errorf("begin an answer: %w", err)
	}
	x, err := s.store.BeginAnswer(ctx, q)
	if err != nil {
		return voiceassist.Exchange{}, fmt.Errorf("begin an answer: %w", err)
	}
	x.Clinical = facts
	return x, nil
}

// Regenerate stores the beginning of another answer, which Answer will write,
// to a question that was answered before. A style that cannot be is Invalid, a
// message or context of somebody else is NotFound, one that answers no question Conflict.
func (s *Service) Regenerate(ctx context.Context, r voiceassist.Regeneration) (voiceassist.Exchange, error) {
	if t := r.Style.Temperature; t != nil && !(*t >= 0 && *t <= maxTemperature) {
		return voiceassist.Exchange{}, voiceassist.FieldError("temperature", "temperature must be between 0 and %d", maxTemperature)
	}
	facts, err := s.clinicalFacts(ctx, r.UserID, r.ClinicalContextID)
	if err != nil {
		return voiceassist.Exchange{}, fmt.Errorf("begin another answer: %w", err)
	}
	x, err := s.store.BeginRegeneration(ctx, r)
	if err != nil {
		return voiceassist.Exchange{}, fmt.Errorf("begin another answer: %w", err)
	}
	x.Clinical = facts
	return x, nil
}

// maxTemperature is the highest that models know.
const maxTemperature = 2

// clinicalFacts returns the facts of one of a user's contexts, nil for the zero
// id.
func (s *Service) clinicalFacts(ctx context.Context, userID, id uuid.UUID) (*voiceassist.ClinicalFacts, error) {
	if id == uuid.Nil {
		return nil, nil //nolint:nilnil // no context is no mistake
	}
	c, err := s.store.ClinicalContext(ctx, userID, id)
	return &c.Facts, err
}

// maxNameLength is the longest name that a client may give a branch or a
// message, in bytes.
const maxNameLength = 200

func checkNames(q voiceassist.Question) error {
	if len(q.BranchID) > maxNameLength || strings.ToValidUTF8(q.BranchID, "") != q.BranchID || strings.ContainsRune(q.BranchID, 0) {
		return voiceassist.FieldError("branch_id", "branch_id is not a valid name")
	}
	if len(q.ClientMessageID) > maxNameLength || strings.ToValidUTF8(q.ClientMessageID, "") != q.ClientMessageID || strings.ContainsRune(q.ClientMessageID, 0) {
		return voiceassist.FieldError("client_message_id", "client_message_id is not a valid name")
	}
	return nil
}

// Ask is Begin and Answer in one. When the question cannot be taken, the error
// is all that it yields.
func (s *Service) Ask(ctx context.Context, q voiceassist.Question) iter.Seq2[voiceassist.AnswerEvent, error] {
	return func(yield func(voiceassist.AnswerEvent, error) bool) {
		x, err := s.Begin(ctx, q)
		if err != nil {
			yield(voiceassist.AnswerEvent{}, err)
			return
		}
		s.Answer(ctx, x)(yield)
	}
}

// Answer writes the answer of an exchange and stores it. It yields deltas and
// then exactly one final event with the message as stored; the content of the
// message is the deltas, joined. The error comes with the final event only and
// says why the answer failed.
//
// When ctx ends, or the loop is left, the answer ends cancelled with the text
// so far. An exchange that was begun before yields its final event alone, once
// whoever writes it has finished.
func (s *Service) Answer(ctx context.Context, x voiceassist.Exchange) iter.Seq2[voiceassist.AnswerEvent, error] {
	return func(yield func(voiceassist.AnswerEvent, error) bool) {
		if x.Question.Duplicate {
			final, err := s.await(ctx, x.Answer)
			yield(voiceassist.AnswerEvent{Seq: 1, Final: true, Message: final}, err)
			return
		}
		s.write(ctx, x, yield)
	}
}

// write composes, stores and ends one answer.
func (s *Service) write(ctx context.Context, x voiceassist.Exchange, yield func(voiceassist.AnswerEvent, error) bool) {
	begun := time.Now()
	w := newWriter(x, s.newProver(), yield)
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	kind, err := s.compose(limited, x, w)
	cancel()

	status, err := outcome(ctx, err, w.left)
	if status == voiceassist.MessageFailed {
		w.write(explanation(w.text.Len() > 0))
	}
	stored, storeErr := s.finish(ctx, w.message(status, kind, s.modelName()))
	if storeErr != nil {
		err = storeErr
	}
	s.metrics.answered(string(kind), stored.Status, begun)
	s.logAnswer(ctx, stored, kind, time.Since(begun), err)
	w.end(stored, err)
}

func (s *Service) logAnswer(ctx context.Context, m voiceassist.Message, kind answerKind, took time.Duration, err error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("message_id", m.ID.String()), slog.String("kind", string(kind)), slog.String("status", string(m.Status)),
		slog.Int("citations", len(m.Citations)), slog.Int("tokens", m.Tokens), slog.Duration("took", took),
	}
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.log.LogAttrs(ctx, level, "answer done", attrs...)
}

// answerKind is how an answer came about.
type answerKind string

const (
	kindModel      answerKind = "model"
	kindExtractive answerKind = "extractive"
	kindNothing    answerKind = "nothing_found"
)

// NothingFound is the whole answer to a question that the library says nothing
// about.
const NothingFound = "I found nothing about this in the library. " +
	"It may hold no document on the subject, or use other words for it: try naming the condition, drug or study."

// compose writes the text of the answer and gathers its citations.
func (s *Service) compose(ctx context.Context, x voiceassist.Exchange, w *writer) (answerKind, error) {
	history, err := s.history(ctx, x.Question)
	if err != nil {
		return kindNothing, err
	}
	attached, err := s.attached(ctx, x.Question, history)
	if err != nil {
		return kindNothing, err
	}
	q := inquire(x.Question.Content, history)
	sources, err := s.sources(ctx, &q)
	if err != nil {
		return kindNothing, err
	}
	if model := s.model(ctx); model != nil && len(sources)+len(attached) > 0 {
		return kindModel, s.generate(ctx, model, material{
			question: x.Question.Content, style: x.Style, history: history, sources: sources,
			attached: excerpts(q.stems, attached, s.opts.AttachTokens), clinical: x.Clinical,
		}, w)
	}
	return s.extractive(ctx, q, sources, attached, w)
}

// extractive answers without a model: with the best sentences of the library,
// and then those of the attachments.
func (s *Service) extractive(ctx context.Context, q inquiry, sources []voiceassist.Hit, attached []voiceassist.AttachedText, w *writer) (answerKind, error) {
	kind := kindNothing
	if len(sources) > 0 {
		quoted, err := s.quote(ctx, q, sources, w)
		if err != nil {
			return kindExtractive, err
		}
		if quoted {
			kind = kindExtractive
		}
	}
	if kind == kindNothing {
		w.write(NothingFound)
	}
	quoteAttached(q.own, attached, w)
	return kind, nil
}

// sources returns the passages to answer from, none when the library says
// nothing about the question.
func (s *Service) sources(ctx context.Context, q *inquiry) ([]voiceassist.Hit, error) {
	hits, err := s.find(ctx, q.text, voiceassist.SearchFilter{}, candidates)
	if err != nil || len(hits) == 0 {
		return nil, err
	}
	if err := s.weigh(ctx, q); err != nil {
		return nil, err
	}
	hits = substance(hits)
	about := q.relevant(hits)
	if len(about) == 0 {
		similar, err := s.similar(ctx, *q)
		if err != nil || !similar {
			return nil, err
		}
		about = hits
	}
	return choose(about, s.opts.ContextTokens), nil
}

// generate lets the model answer from the sources, and from what the user gave.
func (s *Service) generate(ctx context.Context, model ChatModel, m material, w *writer) error {
	request := prompt(m, s.opts.AnswerTokens)
	stream := func(ctx context.Context) iter.Seq2[string, error] { return model.Stream(ctx, request) }
	c := citer{prover: w.prover, sources: m.sources}
	for text, err := range coalesce(ctx, stream, deltaInterval, s.opts.Stall) {
		if err != nil {
			w.write(c.close())
			return fmt.Errorf("stream the answer: %w", err)
		}
		proved, err := c.write(ctx, text)
		if !w.write(proved) || err != nil {
			return err
		}
	}
	w.write(c.close())
	if w.text.Len() == 0 {
		return errSilent
	}
	if len(w.prover.citations) == 0 && !strings.Contains(w.text.String(), unanswered) {
		w.write(unproved)
	}
	return nil
}

// errSilent is a reply of the model without any text.
var errSilent = errors.New("the language model gave an empty answer")

// unproved ends a written answer of which nothing could be traced to a source.
const unproved = "\n\nNote: no statement of this answer could be traced to a passage of the library."

func (s *Service) modelName() string {
	if s.opts.Model == nil {
		return ""
	}
	return s.opts.Model.Name()
}

// outcome tells how an answer ended, and why if it failed. parent is the
// context without the answer's own time limit.
func outcome(parent context.Context, err error, left bool) (voiceassist.MessageStatus, error) {
	switch {
	case left || parent.Err() != nil && err != nil:
		return voiceassist.MessageCancelled, nil //nolint:nilerr // whoever cancels an answer knows why it ended
	case err == nil:
		return voiceassist.MessageComplete, nil
	}
	return voiceassist.MessageFailed, failure(err)
}

// failure gives the error of an answer its code.
func failure(err error) error {
	if _, coded := errors.AsType[*voiceassist.Error](err); coded {
		return err
	}
	if paced, ok := errors.AsType[*voiceassist.Paced](err); ok {
		return &voiceassist.Error{
			Code: voiceassist.RateLimited, Message: "the language model is busy, try again later", RetryAfter: paced.After, Err: err,
		}
	}
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the answer could not be completed, try again", Err: err}
}

// explanation is what the reader of a failed answer is told.
func explanation(begun bool) string {
	if begun {
		return "\n\nThis answer broke off and is not complete. Please ask again."
	}
	return "This question could not be answered just now. Please ask again."
}

// finishTimeout bounds the last write of an answer, which happens whatever
// became of the caller's context.
const finishTimeout = 10 * time.Second

// finish stores the end of an answer. When it has been ended by somebody else,
// it returns what they stored; when nothing can be stored, m as failed.
func (s *Service) finish(ctx context.Context, m voiceassist.Message) (voiceassist.Message, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	stored, err := s.store.FinishAnswer(ctx, m)
	if errors.Is(err, voiceassist.Conflict) {
		stored, err = s.store.Answer(ctx, m.ID)
	}
	if err != nil {
		m.Status = voiceassist.MessageFailed
		return m, fmt.Errorf("store the answer: %w", err)
	}
	return stored, nil
}

// awaitInterval is how often an answer that another process writes is looked
// at.
const awaitInterval = 250 * time.Millisecond

// await returns a stored answer once it has ended.
func (s *Service) await(ctx context.Context, m voiceassist.Message) (voiceassist.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	for m.Status == voiceassist.MessageStreaming {
		select {
		case <-time.After(awaitInterval):
		case <-ctx.Done():
			return m, fmt.Errorf("wait for the answer: %w", ctx.Err())
		}
		stored, err := s.store.Answer(ctx, m.ID)
		if err != nil {
			return m, fmt.Errorf("wait for the answer: %w", err)
		}
		m = stored
	}
	return m, nil
}
