package rag

import (
	"fmt"
	"slices"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

// writer passes an answer on to its reader and keeps what has been passed on.
type writer struct {
	answer voiceassist.Message // as begun
	prover *prover
	yield  func(voiceassist.AnswerEvent, error) bool
	text   strings.Builder
	seq    int
	left   bool // the reader has gone
}

func newWriter(x voiceassist.Exchange, p *prover, yield func(voiceassist.AnswerEvent, error) bool) *writer {
	return &writer{answer: x.Answer, prover: p, yield: yield}
}

// write appends text to the answer and reports whether somebody still reads.
func (w *writer) write(text string) bool {
	if w.left {
		return false
	}
	if text == "" {
		return true
	}
	w.text.WriteString(text)
	w.seq++
	w.left = !w.yield(voiceassist.AnswerEvent{Seq: w.seq, Delta: text, Message: w.answer}, nil)
	return !w.left
}

// message returns the answer as it is to be stored.
func (w *writer) message(status voiceassist.MessageStatus, kind answerKind, model string) voiceassist.Message {
	m := w.answer
	m.Content, m.Status = w.text.String(), status
	m.Citations = slices.DeleteFunc(slices.Clone(w.prover.citations), func(c voiceassist.Citation) bool {
		return !strings.Contains(m.Content, fmt.Sprintf("[%d]", c.Index)) // proved, but the reader left before it was said
	})
	m.Tokens = voiceassist.CountTokens(m.Content)
	m.Model = voiceassist.ExtractiveModel
	if kind == kindModel {
		m.Model = model
	}
	return m
}

// end yields the final event, if somebody still reads.
func (w *writer) end(m voiceassist.Message, err error) {
	if !w.left {
		w.yield(voiceassist.AnswerEvent{Seq: w.seq + 1, Final: true, Message: m}, err)
	}
}
