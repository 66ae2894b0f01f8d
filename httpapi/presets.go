package httpapi

import (
	"context"
	"slices"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// presetBody is a preset as clients see it. The built-in ones have no times.
type presetBody struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description"`
	IsBuiltIn   bool             `json:"is_built_in"`
	Context     twins[FactsBody] `json:"context"`
	CreatedAt   *string          `json:"created_at" format:"date-time"`
	UpdatedAt   *string          `json:"updated_at" format:"date-time"`
}

func presetOf(p voiceassist.ClinicalPreset) presetBody {
	b := presetBody{
		ID:          p.ID.String(),
		Name:        p.Name,
		Description: p.Description,
		IsBuiltIn:   p.BuiltIn(),
		Context:     both(factsOf(p.Facts)),
	}
	if !p.BuiltIn() {
		b.CreatedAt, b.UpdatedAt = stampOrNil(&p.CreatedAt), stampOrNil(&p.UpdatedAt)
	}
	return b
}

// listPresets lists the built-in presets and then the user's own.
func (s *Server) listPresets(ctx context.Context, _ *none) (array[twins[presetBody]], error) {
	own, err := s.o.Clinical.ClinicalPresets(ctx, principal(ctx).User.ID)
	if err != nil {
		return array[twins[presetBody]]{}, err
	}
	var rows []twins[presetBody]
	for _, p := range slices.Concat(voiceassist.BuiltInPresets(), own) {
		rows = append(rows, both(presetOf(p)))
	}
	return array[twins[presetBody]]{rows: rows, total: len(rows), limit: len(rows)}, nil
}

// presetFields are what a client says of a preset.
type presetFields struct {
	Name        string      `json:"name"`
	Description *string     `json:"description,omitempty" nullable:"true"`
	Context     nestedFacts `json:"context"`
}

// preset returns the preset that the fields make, checked.
func (f presetFields) preset(user uuid.UUID) (voiceassist.ClinicalPreset, error) {
	facts, err := f.Context.facts()
	if err != nil {
		return voiceassist.ClinicalPreset{}, err
	}
	p := voiceassist.ClinicalPreset{UserID: user, Name: f.Name, Description: or(f.Description, ""), Facts: facts}
	err = p.Clean()
	return p, err
}

type createPresetInput struct{ Body presetFields }

func (s *Server) createPreset(ctx context.Context, in *createPresetInput) (twins[presetBody], error) {
	p, err := in.Body.preset(principal(ctx).User.ID)
	if err != nil {
		return twins[presetBody]{}, err
	}
	p, err = s.o.Clinical.CreateClinicalPreset(ctx, p)
	return both(presetOf(p)), err
}

type presetInput struct {
	ID string `path:"id"`
}

func (s *Server) getPreset(ctx context.Context, in *presetInput) (twins[presetBody], error) {
	p, err := s.preset(ctx, in.ID)
	return both(presetOf(p)), err
}

// preset returns a built-in preset or one of the user's own.
func (s *Server) preset(ctx context.Context, name string) (voiceassist.ClinicalPreset, error) {
	id, err := parseID(name, "preset")
	if err != nil {
		return voiceassist.ClinicalPreset{}, err
	}
	if p, ok := builtInPreset(id); ok {
		return p, nil
	}
	return s.o.Clinical.ClinicalPreset(ctx, principal(ctx).User.ID, id)
}

func builtInPreset(id uuid.UUID) (voiceassist.ClinicalPreset, bool) {
	presets := voiceassist.BuiltInPresets()
	i := slices.IndexFunc(presets, func(p voiceassist.ClinicalPreset) bool { return p.ID == id })
	if i < 0 {
		return voiceassist.ClinicalPreset{}, false
	}
	return presets[i], true
}

// ownPreset is parseID for presets that are to be changed, which those built in
// cannot be.
func ownPreset(name string) (uuid.UUID, error) {
	id, err := parseID(name, "preset")
	if _, ok := builtInPreset(id); ok {
		return id, voiceassist.Errorf(voiceassist.Forbidden, "Built-in presets cannot be changed")
	}
	return id, err
}

type updatePresetInput struct {
	ID   string `path:"id"`
	Body presetFields
}

func (s *Server) updatePreset(ctx context.Context, in *updatePresetInput) (twins[presetBody], error) {
	id, err := ownPreset(in.ID)
	if err != nil {
		return twins[presetBody]{}, err
	}
	p, err := in.Body.preset(principal(ctx).User.ID)
	if err != nil {
		return twins[presetBody]{}, err
	}
	p.ID = id
	p, err = s.o.Clinical.UpdateClinicalPreset(ctx, p)
	return both(presetOf(p)), err
}

func (s *Server) deletePreset(ctx context.Context, in *presetInput) (messageBody, error) {
	id, err := ownPreset(in.ID)
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Preset deleted"}, s.o.Clinical.DeleteClinicalPreset(ctx, principal(ctx).User.ID, id)
}

type applyPresetInput struct {
	ID   string `path:"id"`
	Body *struct {
		SessionID *string `json:"session_id,omitempty" nullable:"true"`
	}
}

// applyPreset makes a context of a preset's facts.
func (s *Server) applyPreset(ctx context.Context, in *applyPresetInput) (twins[contextBody], error) {
	p, err := s.preset(ctx, in.ID)
	if err != nil {
		return twins[contextBody]{}, err
	}
	var session *string
	if in.Body != nil {
		session = in.Body.SessionID
	}
	conversation, err := optionalID(session, "conversation")
	if err != nil {
		return twins[contextBody]{}, err
	}
	c, err := s.o.Clinical.SaveClinicalContext(ctx, principal(ctx).User.ID, conversation, p.Facts)
	return both(contextOf(c)), err
}
