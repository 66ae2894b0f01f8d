package rag

import (
	"context"
	"fmt"
	"slices"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

// historyMessages is how many earlier messages of the branch a question is
// read with: three turns.
const historyMessages = 6

// anaphora are words that point back at something said before.
var anaphora = wordSet(`it its they them their these those this that he him his she her hers one ones such former latter same`)

// Bounds within which a question is taken for a follow-up, in content stems.
const (
	alwaysFollowUp  = 1 // this short, whatever its words: "And in children?"
	pointedFollowUp = 4 // with a word that points back: "Does it raise blood pressure?"
)

// followsUp reports whether a question cannot stand alone.
func followsUp(question string, stems []string) bool {
	if len(stems) <= alwaysFollowUp {
		return true
	}
	if len(stems) > pointedFollowUp {
		return false
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(question), func(r rune) bool { return !('a' <= r && r <= 'z') }) {
		if anaphora[word] {
			return true
		}
	}
	return false
}

// inquire reads a question in its conversation: a follow-up is searched for
// together with the question before it.
func inquire(question string, history []voiceassist.Message) inquiry {
	own := contentStems(question)
	q := inquiry{text: question, stems: own, own: own}
	previous := lastQuestion(history)
	if previous == "" || !followsUp(question, own) {
		return q
	}
	q.text = previous + "\n" + question
	q.stems = contentStems(q.text)
	return q
}

func lastQuestion(history []voiceassist.Message) string {
	for _, m := range slices.Backward(history) {
		if m.Role == voiceassist.SpeakerUser {
			return m.Content
		}
	}
	return ""
}

// history returns what was said before the question, oldest first.
func (s *Service) history(ctx context.Context, question voiceassist.Message) ([]voiceassist.Message, error) {
	if question.ParentID == nil {
		return nil, nil
	}
	messages, err := s.store.History(ctx, question, historyMessages)
	if err != nil {
		return nil, fmt.Errorf("load the conversation: %w", err)
	}
	return messages, nil
}
