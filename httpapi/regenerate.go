package httpapi

import (
	"context"
	"errors"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// answerLengths are the names that clients have for lengths of answers.
var answerLengths = map[string]voiceassist.AnswerLength{
	"": "", "medium": "", "normal": "", "balanced": "", "standard": "", "same": "",
	"short": voiceassist.ShortAnswer, "shorter": voiceassist.ShortAnswer, "concise": voiceassist.ShortAnswer, "brief": voiceassist.ShortAnswer,
	"long": voiceassist.LongAnswer, "longer": voiceassist.LongAnswer, "detailed": voiceassist.LongAnswer,
}

type regenerateInput struct {
	ID        string `path:"id"`
	MessageID string `path:"mid" doc:"an answer, or a question"`
	Body      *struct {
		Temperature        *float64 `json:"temperature,omitempty" nullable:"true" minimum:"0" maximum:"2" doc:"of the language model, if one is configured"`
		LengthPreference   *string  `json:"length_preference,omitempty" nullable:"true" doc:"short, medium or long; concise, balanced and detailed mean the same"`
		UseClinicalContext *bool    `json:"use_clinical_context,omitempty" nullable:"true" doc:"true: the facts of the clinical context, or else of the conversation's, go to the language model; false: none do"`
		CreateBranch       *bool    `json:"create_branch,omitempty" nullable:"true" doc:"true, the default: the answer begins a branch after its question; false: it stands in the same branch"`
		ClinicalContextID  *string  `json:"clinical_context_id,omitempty" nullable:"true"`
	}
}

// regeneratedBody is an answer that was written again.
type regeneratedBody struct {
	Message           twins[turnBody] `json:"message"`
	BranchID          string          `json:"branch_id"`
	OriginalMessageID string          `json:"original_message_id"`
}

// regenerate answers a question again and waits for the answer, which goes on
// when the wait ends first: the message holds it then.
func (s *Server) regenerate(ctx context.Context, in *regenerateInput) (twins[regeneratedBody], error) {
	if s.o.Assistant == nil {
		return twins[regeneratedBody]{}, voiceassist.Errorf(voiceassist.Unavailable, "chat is not configured")
	}
	r, err := in.regeneration(principal(ctx).User.ID)
	if err != nil {
		return twins[regeneratedBody]{}, err
	}
	if r.ClinicalContextID, err = s.regenerationContext(ctx, in, r); err != nil {
		return twins[regeneratedBody]{}, err
	}
	a, err := s.sockets.answers.again(ctx, r)
	if err != nil {
		return twins[regeneratedBody]{}, err
	}
	m, err := a.end(ctx)
	if err != nil {
		return twins[regeneratedBody]{}, err
	}
	return both(regeneratedBody{Message: both(turnOf(m)), BranchID: m.BranchID, OriginalMessageID: r.MessageID.String()}), nil
}

// regeneration is what the request asks for.
func (in *regenerateInput) regeneration(user uuid.UUID) (r voiceassist.Regeneration, err error) {
	r = voiceassist.Regeneration{UserID: user, NewBranch: true}
	if r.ConversationID, r.MessageID, err = parseMessage(in.ID, in.MessageID); err != nil || in.Body == nil {
		return r, err
	}
	length, known := answerLengths[or(in.Body.LengthPreference, "")]
	if !known {
		return r, voiceassist.FieldError("length_preference", "length_preference must be short, medium or long")
	}
	if in.Body.CreateBranch != nil {
		r.NewBranch = *in.Body.CreateBranch
	}
	r.Style = voiceassist.AnswerStyle{Temperature: in.Body.Temperature, Length: length}
	return r, nil
}

// regenerationContext returns which clinical facts go along: of the context that
// the request names, or, if it only wants some, of the conversation's; zero if
// there are none or it wants none.
func (s *Server) regenerationContext(ctx context.Context, in *regenerateInput, r voiceassist.Regeneration) (uuid.UUID, error) {
	if in.Body == nil {
		return uuid.Nil, nil
	}
	id, err := parseOptionalID(in.Body.ClinicalContextID, "clinical context")
	wants := in.Body.UseClinicalContext
	switch {
	case err != nil || wants != nil && !*wants:
		return uuid.Nil, err
	case id != nil:
		return *id, nil
	case wants == nil:
		return uuid.Nil, nil
	}
	c, err := s.o.Clinical.CurrentClinicalContext(ctx, r.UserID, &r.ConversationID)
	if errors.Is(err, voiceassist.NotFound) {
		return uuid.Nil, nil // so there is nothing to tell
	}
	return c.ID, err
}

// end waits for the end of the answer and returns it as stored. It is an error
// that the answer failed or was cancelled.
func (a *answer) end(ctx context.Context) (voiceassist.Message, error) {
	for event, err := range a.follow(ctx) {
		switch {
		case !event.Final:
		case err != nil:
			return event.Message, err
		case event.Message.Status != voiceassist.MessageComplete:
			return event.Message, voiceassist.Errorf(voiceassist.Unavailable, "The answer was not finished, try again")
		default:
			return event.Message, nil
		}
	}
	return voiceassist.Message{}, voiceassist.Errorf(voiceassist.Unavailable, "The answer takes longer than expected; it will be in the conversation")
}
