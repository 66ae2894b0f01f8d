package httpapi

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Clinical is what this package asks of postgres.DB about clinical contexts and
// presets. What belongs to somebody else is NotFound.
type Clinical interface {
	// SaveClinicalContext stores the context of a conversation, in place of the
	// one that it had, or one of none; Conflict says that there are too many.
	SaveClinicalContext(ctx context.Context, userID uuid.UUID, conversation *uuid.UUID, facts voiceassist.ClinicalFacts) (voiceassist.ClinicalContext, error)
	ClinicalContexts(ctx context.Context, userID uuid.UUID, offset, limit int) ([]voiceassist.ClinicalContext, int, error)
	ClinicalContext(ctx context.Context, userID, id uuid.UUID) (voiceassist.ClinicalContext, error)
	// CurrentClinicalContext returns the context of a conversation, or for nil
	// the last one of none.
	CurrentClinicalContext(ctx context.Context, userID uuid.UUID, conversation *uuid.UUID) (voiceassist.ClinicalContext, error)
	UpdateClinicalContext(ctx context.Context, userID, id uuid.UUID, facts voiceassist.ClinicalFacts) (voiceassist.ClinicalContext, error)
	DeleteClinicalContext(ctx context.Context, userID, id uuid.UUID) error

	// Presets here are the user's own. Creating and updating is a Conflict when
	// the name is taken.
	ClinicalPresets(ctx context.Context, userID uuid.UUID) ([]voiceassist.ClinicalPreset, error)
	ClinicalPreset(ctx context.Context, userID, id uuid.UUID) (voiceassist.ClinicalPreset, error)
	CreateClinicalPreset(ctx context.Context, p voiceassist.ClinicalPreset) (voiceassist.ClinicalPreset, error)
	UpdateClinicalPreset(ctx context.Context, p voiceassist.ClinicalPreset) (voiceassist.ClinicalPreset, error)
	DeleteClinicalPreset(ctx context.Context, userID, id uuid.UUID) error
}

// FactsInput are clinical facts as clients send them. Some say age, gender and
// measures in demographics; names and whatever else is not listed are ignored.
type FactsInput struct {
	Age            *int           `json:"age,omitempty" nullable:"true"`
	Gender         *string        `json:"gender,omitempty" nullable:"true"`
	WeightKg       *float64       `json:"weight_kg,omitempty" nullable:"true"`
	HeightCm       *float64       `json:"height_cm,omitempty" nullable:"true"`
	ChiefComplaint *string        `json:"chief_complaint,omitempty" nullable:"true"`
	Problems       []string       `json:"problems,omitempty"`
	Medications    []string       `json:"medications,omitempty"`
	Allergies      []string       `json:"allergies,omitempty"`
	Vitals         map[string]any `json:"vitals,omitempty" doc:"numbers and short texts by name" example:"{\"heart_rate\":96}"`
	Demographics   *demographics  `json:"demographics,omitempty"`
}

// demographics is the part of the facts that some clients nest.
type demographics struct {
	Age      *int     `json:"age,omitempty" nullable:"true"`
	Gender   *string  `json:"gender,omitempty" nullable:"true"`
	WeightKg *float64 `json:"weight_kg,omitempty" nullable:"true"`
	HeightCm *float64 `json:"height_cm,omitempty" nullable:"true"`
}

// UnmarshalJSON implements json.Unmarshaler; names may be in either casing.
func (d *demographics) UnmarshalJSON(data []byte) error {
	type plain demographics
	return unmarshal(data, (*plain)(d))
}

// facts returns what is said, cleaned, or an Invalid error.
func (in FactsInput) facts() (voiceassist.ClinicalFacts, error) {
	if in.Demographics == nil {
		in.Demographics = &demographics{}
	}
	f := voiceassist.ClinicalFacts{
		Age:            either(in.Age, in.Demographics.Age),
		Gender:         or(either(in.Gender, in.Demographics.Gender), ""),
		WeightKg:       either(in.WeightKg, in.Demographics.WeightKg),
		HeightCm:       either(in.HeightCm, in.Demographics.HeightCm),
		ChiefComplaint: or(in.ChiefComplaint, ""),
		Problems:       in.Problems,
		Medications:    in.Medications,
		Allergies:      in.Allergies,
		Vitals:         in.Vitals,
	}
	err := f.Clean()
	return f, err
}

func either[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// nestedFacts are facts that stand inside of something else.
type nestedFacts struct{ FactsInput }

// UnmarshalJSON implements json.Unmarshaler; names may be in either casing.
func (n *nestedFacts) UnmarshalJSON(data []byte) error { return unmarshal(data, &n.FactsInput) }

// FactsBody are clinical facts as clients see them.
type FactsBody struct {
	Age            *int                    `json:"age"`
	Gender         string                  `json:"gender"`
	WeightKg       *float64                `json:"weight_kg"`
	HeightCm       *float64                `json:"height_cm"`
	ChiefComplaint string                  `json:"chief_complaint"`
	Problems       []string                `json:"problems"`
	Medications    []string                `json:"medications"`
	Allergies      []string                `json:"allergies"`
	Vitals         map[string]any          `json:"vitals" example:"{\"heart_rate\":96}"`
	Demographics   twins[demographicsBody] `json:"demographics"`
}

type demographicsBody struct {
	Age      *int     `json:"age"`
	Gender   string   `json:"gender"`
	WeightKg *float64 `json:"weight_kg"`
	HeightCm *float64 `json:"height_cm"`
}

func factsOf(f voiceassist.ClinicalFacts) FactsBody {
	b := FactsBody{
		Age:            f.Age,
		Gender:         f.Gender,
		WeightKg:       f.WeightKg,
		HeightCm:       f.HeightCm,
		ChiefComplaint: f.ChiefComplaint,
		Problems:       append([]string{}, f.Problems...),
		Medications:    append([]string{}, f.Medications...),
		Allergies:      append([]string{}, f.Allergies...),
		Vitals:         f.Vitals,
		Demographics:   both(demographicsBody{f.Age, f.Gender, f.WeightKg, f.HeightCm}),
	}
	if b.Vitals == nil {
		b.Vitals = map[string]any{}
	}
	return b
}

// contextBody is a clinical context as clients see it.
type contextBody struct {
	FactsBody
	ID             string  `json:"id"`
	UserID         string  `json:"user_id"`
	SessionID      *string `json:"session_id"`
	ConversationID *string `json:"conversation_id"`
	CreatedAt      string  `json:"created_at" format:"date-time"`
	UpdatedAt      string  `json:"updated_at" format:"date-time"`
	LastUpdated    string  `json:"last_updated" format:"date-time"`
}

func contextOf(c voiceassist.ClinicalContext) contextBody {
	return contextBody{
		FactsBody:      factsOf(c.Facts),
		ID:             c.ID.String(),
		UserID:         c.UserID.String(),
		SessionID:      idOrNil(c.ConversationID),
		ConversationID: idOrNil(c.ConversationID),
		CreatedAt:      stamp(c.CreatedAt),
		UpdatedAt:      stamp(c.UpdatedAt),
		LastUpdated:    stamp(c.UpdatedAt),
	}
}

type contextsInput struct{ Paging }

func (s *Server) listContexts(ctx context.Context, in *contextsInput) (array[twins[contextBody]], error) {
	offset, limit := in.window(requestOf(ctx).flat)
	list, total, err := s.o.Clinical.ClinicalContexts(ctx, principal(ctx).User.ID, offset, limit)
	rows := make([]twins[contextBody], len(list))
	for i, c := range list {
		rows[i] = both(contextOf(c))
	}
	return array[twins[contextBody]]{rows: rows, total: total, offset: offset, limit: limit}, err
}

type createContextInput struct {
	Body struct {
		FactsInput
		SessionID      *string `json:"session_id,omitempty" nullable:"true" doc:"of the conversation whose context this becomes, in place of an earlier one"`
		ConversationID *string `json:"conversation_id,omitempty" nullable:"true"`
	}
}

func (s *Server) createContext(ctx context.Context, in *createContextInput) (twins[contextBody], error) {
	conversation, err := optionalID(either(in.Body.SessionID, in.Body.ConversationID), "conversation")
	if err != nil {
		return twins[contextBody]{}, err
	}
	facts, err := in.Body.facts()
	if err != nil {
		return twins[contextBody]{}, err
	}
	c, err := s.o.Clinical.SaveClinicalContext(ctx, principal(ctx).User.ID, conversation, facts)
	return both(contextOf(c)), err
}

// optionalID is parseID for an id that may be missing.
func optionalID(id *string, what string) (*uuid.UUID, error) {
	if or(id, "") == "" {
		return nil, nil //nolint:nilnil // no id is no mistake
	}
	parsed, err := parseID(*id, what)
	return &parsed, err
}

type currentContextInput struct {
	SessionID      string `query:"session_id" doc:"without it, the last context of no conversation"`
	SessionIDCamel string `query:"sessionId" doc:"the same as session_id"`
}

// currentContext returns null where there is no context.
func (s *Server) currentContext(ctx context.Context, in *currentContextInput) (*twins[contextBody], error) {
	user := principal(ctx).User.ID
	id := in.SessionID
	if id == "" {
		id = in.SessionIDCamel
	}
	conversation, err := optionalID(&id, "conversation")
	if err != nil {
		return nil, err
	}
	if conversation != nil {
		if _, err := s.o.Chats.Conversation(ctx, user, *conversation); err != nil {
			return nil, err
		}
	}
	c, err := s.o.Clinical.CurrentClinicalContext(ctx, user, conversation)
	if errors.Is(err, voiceassist.NotFound) {
		return nil, nil //nolint:nilnil // the contract: null is an answer
	}
	if err != nil {
		return nil, err
	}
	return new(both(contextOf(c))), nil
}

type contextInput struct {
	ID string `path:"id"`
}

func (s *Server) getContext(ctx context.Context, in *contextInput) (twins[contextBody], error) {
	id, err := parseID(in.ID, "clinical context")
	if err != nil {
		return twins[contextBody]{}, err
	}
	c, err := s.o.Clinical.ClinicalContext(ctx, principal(ctx).User.ID, id)
	return both(contextOf(c)), err
}

type updateContextInput struct {
	ID   string `path:"id"`
	Body FactsInput
}

func (s *Server) updateContext(ctx context.Context, in *updateContextInput) (twins[contextBody], error) {
	id, err := parseID(in.ID, "clinical context")
	if err != nil {
		return twins[contextBody]{}, err
	}
	facts, err := in.Body.facts()
	if err != nil {
		return twins[contextBody]{}, err
	}
	c, err := s.o.Clinical.UpdateClinicalContext(ctx, principal(ctx).User.ID, id, facts)
	return both(contextOf(c)), err
}

func (s *Server) deleteContext(ctx context.Context, in *contextInput) (messageBody, error) {
	id, err := parseID(in.ID, "clinical context")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Clinical context deleted"}, s.o.Clinical.DeleteClinicalContext(ctx, principal(ctx).User.ID, id)
}

// setClinical stores the facts that a client begins a session with, and has
// them go with the questions that this socket asks in it.
func (k *socket) setClinical(ctx context.Context, facts *voiceassist.ClinicalFacts, conversation uuid.UUID) error {
	if facts == nil {
		return nil
	}
	if _, err := k.ss.s.o.Clinical.SaveClinicalContext(ctx, k.principal().User.ID, &conversation, *facts); err != nil {
		return err
	}
	k.clinical = conversation
	return nil
}

// clinicalOf returns the context that goes with a question: the one that the
// frame names, else that of a session which this socket began with one, else
// zero. Facts never go along unasked: they might be another patient's.
func (k *socket) clinicalOf(ctx context.Context, f clientFrame, conversation uuid.UUID) (uuid.UUID, error) {
	if f.ClinicalContextID != "" {
		return parseID(f.ClinicalContextID, "clinical context")
	}
	if k.clinical == uuid.Nil || k.clinical != conversation {
		return uuid.Nil, nil
	}
	c, err := k.ss.s.o.Clinical.CurrentClinicalContext(ctx, k.principal().User.ID, &conversation)
	if errors.Is(err, voiceassist.NotFound) { // deleted since
		return uuid.Nil, nil
	}
	return c.ID, err
}

// clinicalFacts reads the facts of a session.start frame, nil without any.
func (f clientFrame) clinicalFacts() (*voiceassist.ClinicalFacts, error) {
	if len(f.ClinicalContext) == 0 || string(f.ClinicalContext) == "null" {
		return nil, nil //nolint:nilnil // no facts are no mistake
	}
	var in nestedFacts
	if err := json.Unmarshal(f.ClinicalContext, &in); err != nil {
		return nil, &voiceassist.Error{Code: voiceassist.Invalid, Field: "clinical_context", Message: "clinical_context is not a clinical context", Err: errFacts}
	}
	facts, err := in.facts()
	return &facts, err
}

// errFacts stands for errors of decoding, which quote what they decode.
var errFacts = errors.New("the facts cannot be read")
