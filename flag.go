package voiceassist

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The built-in flags: those that the program itself obeys. They are there from
// the first migration on and can be switched, but neither archived nor deleted.
const (
	FlagVoice         = "voice_mode"     // the voice routes
	FlagRegistration  = "registration"   // accounts that people make for themselves
	FlagModelAnswers  = "model_answers"  // answers written by the language model; off: they quote
	FlagOutsideModels = "outside_models" // texts sent to configured models at all; off: words and quotes alone
)

// FlagType says what a flag gives to whom it is on for.
type FlagType string

// The types of flags.
const (
	FlagBoolean FlagType = "boolean" // on or off
	FlagString  FlagType = "string"
	FlagNumber  FlagType = "number"
	FlagJSON    FlagType = "json"
	FlagVariant FlagType = "variant" // one of its variants
)

// AnyEnvironment is the environment of flags that hold everywhere.
const AnyEnvironment = "all"

// Flag is a switch that administrators turn while the program runs. Whether it
// is on for somebody follows from its rules and its rollout (package flags).
type Flag struct {
	Name        string
	Description string
	Type        FlagType
	Enabled     bool
	Rollout     float64         // percentage of the users it is on for, to the hundredth
	Value       json.RawMessage // given where the flag is on; nil is null
	Default     json.RawMessage // given where it is off
	Variants    []Variant       // of a FlagVariant
	Rules       []FlagRule      // the first that fits decides, before the rollout
	Environment string          // in which it holds; AnyEnvironment is every one
	Archived    bool            // kept for the record, off for everybody
	BuiltIn     bool
	Metadata    json.RawMessage // an object of the administrators' own
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Variant is one of the things that a flag may be for a user.
type Variant struct {
	Name   string          `json:"name"`
	Weight float64         `json:"weight"` // percentage of the users whom the flag is on for
	Value  json.RawMessage `json:"value,omitempty"`
}

// FlagRule decides for those callers whom it fits, whatever the rollout is.
// Enabled or Variant says what.
type FlagRule struct {
	Attribute string   `json:"attribute"`
	Operator  string   `json:"operator"`
	Values    []string `json:"values"`
	Enabled   *bool    `json:"enabled,omitempty"`
	Variant   string   `json:"variant,omitempty"`
}

// What rules can ask about a caller, and how. A caller who lacks an attribute
// fits no rule about it.
var (
	flagAttributes = []string{"role", "email_domain", "user_id", "specialty"}
	flagOperators  = []string{"in", "not_in", "equals", "not_equals"}
)

// FlagVerdict is what one flag is for one caller.
type FlagVerdict struct {
	Type    FlagType
	On      bool
	Variant string          // "" if the flag has none for the caller
	Value   json.RawMessage // of the variant, if there is one; never nil
}

// FlagVerdicts are what all flags are for one caller, by name.
type FlagVerdicts map[string]FlagVerdict

// Bounds of flags. A name is in URLs and in clients' code; values are read by
// every process and sent to every client.
const (
	MaxFlags          = 500
	maxFlagText       = 1000 // code points of a description
	maxFlagJSON       = 16 << 10
	maxFlagDepth      = 32
	maxFlagVariants   = 50
	maxFlagRules      = 50
	maxFlagRuleValues = 200
	maxFlagWord       = 200 // bytes of a value of a rule
)

var (
	flagName    = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)
	variantName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	environment = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
)

// CheckFlagName returns NotFound for what can be no flag's name.
func CheckFlagName(name string) error {
	if !flagName.MatchString(name) {
		return Errorf(NotFound, "feature flag not found")
	}
	return nil
}

// IsEnvironment reports whether name can be that of an environment.
func IsEnvironment(name string) bool { return environment.MatchString(name) && name != AnyEnvironment }

// Check returns an Invalid error that names the first field that is wrong.
func (f Flag) Check() error {
	switch {
	case !flagName.MatchString(f.Name):
		return FieldError("name", "name must begin with a small letter and have up to 64 small letters, digits and _ . -")
	case !utf8.ValidString(f.Description) || strings.ContainsRune(f.Description, 0):
		return FieldError("description", "description is not valid text")
	case utf8.RuneCountInString(f.Description) > maxFlagText:
		return FieldError("description", "description must be at most %d characters long", maxFlagText)
	case !slices.Contains([]FlagType{FlagBoolean, FlagString, FlagNumber, FlagJSON, FlagVariant}, f.Type):
		return FieldError("flag_type", "flag_type must be boolean, string, number, json or variant")
	case f.BuiltIn && f.Type != FlagBoolean:
		return FieldError("flag_type", "a built-in flag is a boolean one")
	case !isPercentage(f.Rollout):
		return FieldError("rollout_percentage", "rollout_percentage must be between 0 and 100")
	case !environment.MatchString(f.Environment):
		return FieldError("environment", "environment must begin with a small letter and have up to 32 small letters, digits, _ and -")
	}
	if err := f.checkVariants(); err != nil {
		return err
	}
	for i := range f.Rules {
		if err := f.checkRule(f.Rules[i]); err != nil {
			return err
		}
	}
	if len(f.Rules) > maxFlagRules {
		return FieldError("targeting_rules", "a flag has at most %d rules", maxFlagRules)
	}
	return f.checkValues()
}

func isPercentage(p float64) bool { return p >= 0 && p <= 100 } // NaN is none

func (f Flag) checkVariants() error {
	switch {
	case len(f.Variants) > 0 && f.Type != FlagVariant:
		return FieldError("variants", "only a flag of type variant has variants")
	case len(f.Variants) > maxFlagVariants:
		return FieldError("variants", "a flag has at most %d variants", maxFlagVariants)
	}
	sum := 0.0
	seen := map[string]bool{}
	for _, v := range f.Variants {
		switch {
		case !variantName.MatchString(v.Name):
			return FieldError("variants", "a variant's name has up to 64 letters, digits and _ . -")
		case seen[v.Name]:
			return FieldError("variants", "two variants are named %s", v.Name)
		case !isPercentage(v.Weight):
			return FieldError("variants", "a variant's weight must be between 0 and 100")
		}
		if err := checkFlagJSON("variants", v.Value); err != nil {
			return err
		}
		seen[v.Name] = true
		sum += v.Weight
	}
	if math.Round(sum*100) > 100*100 {
		return FieldError("variants", "the weights of the variants add up to more than 100")
	}
	return nil
}

func (f Flag) checkRule(r FlagRule) error {
	const field = "targeting_rules"
	switch {
	case !slices.Contains(flagAttributes, r.Attribute):
		return FieldError(field, "a rule's attribute must be one of %s", strings.Join(flagAttributes, ", "))
	case !slices.Contains(flagOperators, r.Operator):
		return FieldError(field, "a rule's operator must be one of %s", strings.Join(flagOperators, ", "))
	case len(r.Values) == 0 || len(r.Values) > maxFlagRuleValues:
		return FieldError(field, "a rule needs 1 to %d values", maxFlagRuleValues)
	case strings.HasSuffix(r.Operator, "equals") && len(r.Values) != 1:
		return FieldError(field, "%s takes one value", r.Operator)
	case (r.Enabled == nil) == (r.Variant == ""):
		return FieldError(field, "a rule says either enabled or variant")
	case r.Variant != "" && !slices.ContainsFunc(f.Variants, func(v Variant) bool { return v.Name == r.Variant }):
		return FieldError(field, "a rule names a variant that the flag does not have")
	}
	for _, v := range r.Values {
		if v == "" || len(v) > maxFlagWord || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return FieldError(field, "a rule's values must be texts of up to %d bytes", maxFlagWord)
		}
	}
	return nil
}

func (f Flag) checkValues() error {
	for _, each := range []struct {
		field string
		value json.RawMessage
	}{{"value", f.Value}, {"default_value", f.Default}, {"metadata", f.Metadata}} {
		if err := checkFlagJSON(each.field, each.value); err != nil {
			return err
		}
		if each.field != "metadata" && !f.Type.takes(each.value) {
			return FieldError(each.field, "%s is not of the flag's type", each.field)
		}
	}
	if kind := jsonKind(f.Metadata); kind != '{' && kind != 0 {
		return FieldError("metadata", "metadata must be an object")
	}
	return nil
}

// takes reports whether a flag of the type may have a value.
func (t FlagType) takes(value json.RawMessage) bool {
	kind := jsonKind(value)
	switch t {
	case FlagBoolean:
		return kind == 0 || kind == 't' || kind == 'f'
	case FlagString, FlagVariant:
		return kind == 0 || kind == '"'
	case FlagNumber:
		return kind == 0 || kind == '0'
	default:
		return true
	}
}

// jsonKind tells values apart by their first byte: { [ " t f, 0x30 for numbers,
// zero for null and nothing.
func jsonKind(value json.RawMessage) byte {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || value[0] == 'n' {
		return 0
	}
	if value[0] == '-' || '0' <= value[0] && value[0] <= '9' {
		return '0'
	}
	return value[0]
}

func checkFlagJSON(field string, value json.RawMessage) error {
	switch {
	case len(value) == 0:
		return nil
	case len(value) > maxFlagJSON:
		return FieldError(field, "%s must be at most %d bytes long", field, maxFlagJSON)
	case !json.Valid(value) || !utf8.Valid(value):
		return FieldError(field, "%s is not valid JSON", field)
	case jsonDepth(value) > maxFlagDepth:
		return FieldError(field, "%s is nested more than %d levels deep", field, maxFlagDepth)
	}
	return nil
}

// jsonDepth returns how deep a valid value is nested.
func jsonDepth(value json.RawMessage) int {
	deepest, depth := 0, 0
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		deepest = max(deepest, depth)
	}
}
