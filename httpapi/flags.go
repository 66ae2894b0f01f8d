package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

// Flags is what this package asks of flags.Service.
type Flags interface {
	List(ctx context.Context) ([]voiceassist.Flag, error)
	// Get and the methods that change a flag are NotFound when there is none of
	// this name.
	Get(ctx context.Context, name string) (voiceassist.Flag, error)
	// Create is Conflict when there is a flag of this name, Invalid when it
	// makes no sense.
	Create(ctx context.Context, f voiceassist.Flag) (voiceassist.Flag, error)
	// Update and Toggle are Conflict for an archived flag, Archive and Delete
	// for a built-in one.
	Update(ctx context.Context, name string, change func(*voiceassist.Flag) error) (voiceassist.Flag, error)
	Toggle(ctx context.Context, name string) (voiceassist.Flag, error)
	Archive(ctx context.Context, name string, archived bool) (voiceassist.Flag, error)
	Delete(ctx context.Context, name string) error

	// Enabled and Verdicts answer from memory. The zero user is anonymous.
	Enabled(name string, u voiceassist.User) bool
	Verdicts(u voiceassist.User) voiceassist.FlagVerdicts
	// Changed returns a channel that is closed when a flag has changed.
	Changed() <-chan struct{}
}

// flag reports whether a built-in flag is on for whoever makes the request.
func (s *Server) flag(ctx context.Context, name string) bool {
	return s.o.Flags == nil || s.o.Flags.Enabled(name, principal(ctx).User)
}

// flags returns Options.Flags, or Unavailable without any.
func (s *Server) flags() (Flags, error) {
	if s.o.Flags == nil {
		return nil, voiceassist.Errorf(voiceassist.Unavailable, "feature flags are not configured")
	}
	return s.o.Flags, nil
}

// flagBody is a flag as administrators see it.
type flagBody struct {
	Name              string                 `json:"name" example:"voice_mode"`
	Enabled           bool                   `json:"enabled"`
	Description       string                 `json:"description"`
	FlagType          voiceassist.FlagType   `json:"flag_type" enum:"boolean,string,number,json,variant"`
	Value             json.RawMessage        `json:"value" doc:"what it gives where it is on"`
	DefaultValue      json.RawMessage        `json:"default_value" doc:"what it gives where it is off"`
	RolloutPercentage float64                `json:"rollout_percentage" minimum:"0" maximum:"100"`
	Variants          []voiceassist.Variant  `json:"variants"`
	TargetingRules    []voiceassist.FlagRule `json:"targeting_rules"`
	Environment       string                 `json:"environment"`
	Archived          bool                   `json:"archived"`
	BuiltIn           bool                   `json:"built_in" doc:"the program itself obeys it; it cannot be archived or deleted"`
	CreatedAt         string                 `json:"created_at" format:"date-time"`
	UpdatedAt         string                 `json:"updated_at" format:"date-time"`
	Metadata          json.RawMessage        `json:"metadata" doc:"an object of the administrators' own"`
}

func flagOf(f voiceassist.Flag) flagBody {
	if f.Type == voiceassist.FlagBoolean { // what it gives unless something else was said
		f.Value = json.RawMessage(cmp.Or(string(f.Value), "true"))
		f.Default = json.RawMessage(cmp.Or(string(f.Default), "false"))
	}
	return flagBody{
		Name:              f.Name,
		Enabled:           f.Enabled,
		Description:       f.Description,
		FlagType:          f.Type,
		Value:             jsonOrNull(f.Value),
		DefaultValue:      jsonOrNull(f.Default),
		RolloutPercentage: f.Rollout,
		Variants:          append([]voiceassist.Variant{}, f.Variants...),
		TargetingRules:    append([]voiceassist.FlagRule{}, f.Rules...),
		Environment:       f.Environment,
		Archived:          f.Archived,
		BuiltIn:           f.BuiltIn,
		CreatedAt:         stamp(f.CreatedAt),
		UpdatedAt:         stamp(f.UpdatedAt),
		Metadata:          jsonOrNull(f.Metadata),
	}
}

func jsonOrNull(value json.RawMessage) json.RawMessage {
	if len(value) == 0 {
		return json.RawMessage("null")
	}
	return value
}

type flagsInput struct {
	Paging
	Archived    string `query:"archived" doc:"true or false; both by default"`
	Environment string `query:"environment" doc:"those of this environment"`
	Search      string `query:"search" maxLength:"200" doc:"a part of the name or the description"`
}

// flagsBody is all flags that match, or a page of them if one was asked for:
// there are at most 500, and panels show them all.
type flagsBody struct {
	Flags  []twins[flagBody] `json:"flags"`
	Total  int               `json:"total"`
	Offset int               `json:"offset"`
	Limit  int               `json:"limit"`
}

func (b flagsBody) named() string { return "flags" }

func (s *Server) listFlags(ctx context.Context, in *flagsInput) (flagsBody, error) {
	fs, err := s.flags()
	if err != nil {
		return flagsBody{}, err
	}
	matches, err := in.filter()
	if err != nil {
		return flagsBody{}, err
	}
	all, err := fs.List(ctx)
	if err != nil {
		return flagsBody{}, err
	}
	rows := []twins[flagBody]{}
	for _, f := range all {
		if matches(f) {
			rows = append(rows, both(flagOf(f)))
		}
	}
	body := flagsBody{Total: len(rows), Limit: voiceassist.MaxFlags}
	if in.Paging != (Paging{}) {
		body.Offset, body.Limit = in.window(false)
	}
	from := min(body.Offset, len(rows))
	body.Flags = rows[from:min(from+body.Limit, len(rows))]
	return body, nil
}

// filter returns which flags were asked for.
func (in *flagsInput) filter() (func(voiceassist.Flag) bool, error) {
	var archived *bool
	if in.Archived != "" {
		b, err := strconv.ParseBool(in.Archived)
		if err != nil {
			return nil, queryError("archived", notABool)
		}
		archived = &b
	}
	search := strings.ToLower(in.Search)
	return func(f voiceassist.Flag) bool {
		return (archived == nil || f.Archived == *archived) &&
			(in.Environment == "" || f.Environment == in.Environment) &&
			(strings.Contains(f.Name, search) || strings.Contains(strings.ToLower(f.Description), search))
	}, nil
}

type flagInput struct {
	Name string `path:"name"`
}

func (s *Server) getFlag(ctx context.Context, in *flagInput) (twins[flagBody], error) {
	fs, err := s.flags()
	if err != nil {
		return twins[flagBody]{}, err
	}
	f, err := fs.Get(ctx, in.Name)
	return both(flagOf(f)), err
}

// FlagFields are what can be said of a flag; what is left out stays as it is.
// It is exported because huma overlooks embedded structs that are not.
type FlagFields struct {
	Enabled           *bool                `json:"enabled,omitempty"`
	Description       *string              `json:"description,omitempty"`
	FlagType          *string              `json:"flag_type,omitempty" enum:"boolean,string,number,json,variant"`
	Value             json.RawMessage      `json:"value,omitempty"`
	DefaultValue      json.RawMessage      `json:"default_value,omitempty"`
	RolloutPercentage *float64             `json:"rollout_percentage,omitempty" minimum:"0" maximum:"100"`
	Variants          *[]FlagVariantFields `json:"variants,omitempty"`
	TargetingRules    *[]FlagRuleFields    `json:"targeting_rules,omitempty"`
	Environment       *string              `json:"environment,omitempty" doc:"all by default"`
	Metadata          json.RawMessage      `json:"metadata,omitempty" doc:"an object"`
}

// FlagVariantFields are a variant of a flag.
type FlagVariantFields struct {
	Name   string          `json:"name" example:"control"`
	Weight float64         `json:"weight,omitempty" minimum:"0" maximum:"100" doc:"percentage of those whom the flag is on for"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// FlagRuleFields are a rule of a flag.
type FlagRuleFields struct {
	Attribute string   `json:"attribute" enum:"role,email_domain,user_id,specialty"`
	Operator  string   `json:"operator" enum:"in,not_in,equals,not_equals"`
	Values    []string `json:"values,omitempty"`
	Value     string   `json:"value,omitempty" doc:"instead of values, if it is one" example:"admin"`
	Enabled   *bool    `json:"enabled,omitempty"`
	Variant   string   `json:"variant,omitempty"`
}

// apply puts what was said into a flag.
func (b FlagFields) apply(f *voiceassist.Flag) {
	f.Enabled = or(b.Enabled, f.Enabled)
	f.Description = or(b.Description, f.Description)
	f.Environment = or(b.Environment, f.Environment)
	f.Rollout = or(b.RolloutPercentage, f.Rollout)
	if b.FlagType != nil {
		f.Type = voiceassist.FlagType(*b.FlagType)
	}
	if b.Variants != nil {
		f.Variants = make([]voiceassist.Variant, len(*b.Variants))
		for i, v := range *b.Variants {
			f.Variants[i] = voiceassist.Variant{Name: v.Name, Weight: v.Weight, Value: v.Value}
		}
	}
	if b.TargetingRules != nil {
		f.Rules = make([]voiceassist.FlagRule, len(*b.TargetingRules))
		for i, r := range *b.TargetingRules {
			f.Rules[i] = r.rule()
		}
	}
	for _, each := range []struct {
		to   *json.RawMessage
		from json.RawMessage
	}{{&f.Value, b.Value}, {&f.Default, b.DefaultValue}, {&f.Metadata, b.Metadata}} {
		if len(each.from) > 0 {
			*each.to = bytes.TrimSpace(each.from)
		}
	}
}

func (b FlagRuleFields) rule() voiceassist.FlagRule {
	r := voiceassist.FlagRule{Attribute: b.Attribute, Operator: b.Operator, Values: b.Values, Enabled: b.Enabled, Variant: b.Variant}
	if len(r.Values) == 0 && b.Value != "" {
		r.Values = []string{b.Value}
	}
	return r
}

type createFlagInput struct {
	Body struct {
		Name string `json:"name" doc:"a small letter, then small letters, digits and _ . -" example:"voice_mode"`
		FlagFields
	}
}

// createFlag adds a flag that is off for everybody unless the body says more.
func (s *Server) createFlag(ctx context.Context, in *createFlagInput) (twins[flagBody], error) {
	fs, err := s.flags()
	if err != nil {
		return twins[flagBody]{}, err
	}
	f := voiceassist.Flag{Name: in.Body.Name, Type: voiceassist.FlagBoolean, Environment: voiceassist.AnyEnvironment, Rollout: 100}
	in.Body.apply(&f)
	f, err = fs.Create(ctx, f)
	return s.flagChanged(ctx, "flag.created", f, err)
}

type updateFlagInput struct {
	Name string `path:"name"`
	Body FlagFields
}

func (s *Server) updateFlag(ctx context.Context, in *updateFlagInput) (twins[flagBody], error) {
	fs, err := s.flags()
	if err != nil {
		return twins[flagBody]{}, err
	}
	f, err := fs.Update(ctx, in.Name, func(f *voiceassist.Flag) error {
		in.Body.apply(f)
		return nil
	})
	return s.flagChanged(ctx, "flag.updated", f, err)
}

func (s *Server) toggleFlag(ctx context.Context, in *flagInput) (twins[flagBody], error) {
	fs, err := s.flags()
	if err != nil {
		return twins[flagBody]{}, err
	}
	f, err := fs.Toggle(ctx, in.Name)
	return s.flagChanged(ctx, "flag.toggled", f, err)
}

type archiveFlagInput struct {
	Name string `path:"name"`
	Body *struct {
		Archived *bool `json:"archived,omitempty" doc:"false restores the flag; true by default"`
	}
}

func (s *Server) archiveFlag(ctx context.Context, in *archiveFlagInput) (twins[flagBody], error) {
	fs, err := s.flags()
	if err != nil {
		return twins[flagBody]{}, err
	}
	archived, kind := in.Body == nil || or(in.Body.Archived, true), "flag.archived"
	if !archived {
		kind = "flag.restored"
	}
	f, err := fs.Archive(ctx, in.Name, archived)
	return s.flagChanged(ctx, kind, f, err)
}

// deletedFlagBody is the reply to the deletion of a flag.
type deletedFlagBody struct {
	Name    string `json:"name" example:"voice_mode"`
	Status  string `json:"status" enum:"deleted"`
	Message string `json:"message"`
}

func (s *Server) deleteFlag(ctx context.Context, in *flagInput) (deletedFlagBody, error) {
	fs, err := s.flags()
	if err != nil {
		return deletedFlagBody{}, err
	}
	_, err = s.flagChanged(ctx, "flag.deleted", voiceassist.Flag{Name: in.Name}, fs.Delete(ctx, in.Name))
	return deletedFlagBody{Name: in.Name, Status: "deleted", Message: "Feature flag deleted"}, err
}

// flagChanged tells the admin panels of a change that was made, and is the
// reply to it.
func (s *Server) flagChanged(ctx context.Context, kind string, f voiceassist.Flag, err error) (twins[flagBody], error) {
	if err == nil {
		s.adminEvent(ctx, kind, f.Name)
	}
	return both(flagOf(f)), err
}

// myFlagsBody is what the flags say to a caller. A boolean flag, or one with
// variants, is true or false here; one of another type is its value.
type myFlagsBody struct {
	Flags    map[string]json.RawMessage `json:"flags"`
	Variants map[string]string          `json:"variants" doc:"the caller's variant of each flag that has one for them"`
	Values   map[string]json.RawMessage `json:"values" doc:"the values of these variants, null for those without"`
	Version  string                     `json:"version" doc:"the same as long as the flags say the same to the caller"`
}

func (s *Server) myFlags(ctx context.Context, _ *none) (myFlagsBody, error) {
	fs, err := s.flags()
	if err != nil {
		return myFlagsBody{}, err
	}
	return myFlagsOf(fs.Verdicts(principal(ctx).User)), nil
}

func myFlagsOf(verdicts voiceassist.FlagVerdicts) myFlagsBody {
	b := myFlagsBody{Flags: map[string]json.RawMessage{}, Variants: map[string]string{}, Values: map[string]json.RawMessage{}}
	for name, v := range verdicts {
		b.Flags[name] = v.Value
		if v.Type == voiceassist.FlagVariant {
			b.Flags[name] = json.RawMessage(strconv.FormatBool(v.On))
		}
		if v.Variant != "" {
			b.Variants[name], b.Values[name] = v.Variant, v.Value
		}
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic("httpapi: flags cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(text)
	b.Version = hex.EncodeToString(sum[:8])
	return b
}
