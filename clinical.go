package voiceassist

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ClinicalFacts are what a user says of a patient, without anything that tells
// who it is. They are patient data all the same: they reach the language model
// that the user asks and nobody else, no log and no audit entry. The tags are
// the form in which they are stored.
type ClinicalFacts struct {
	Age            *int           `json:"age,omitempty"` // years
	Gender         string         `json:"gender,omitempty"`
	WeightKg       *float64       `json:"weight_kg,omitempty"`
	HeightCm       *float64       `json:"height_cm,omitempty"`
	ChiefComplaint string         `json:"chief_complaint,omitempty"`
	Problems       []string       `json:"problems,omitempty"`
	Medications    []string       `json:"medications,omitempty"`
	Allergies      []string       `json:"allergies,omitempty"`
	Vitals         map[string]any `json:"vitals,omitempty"` // numbers and strings
}

// ClinicalContext is a set of facts that a user keeps, of a conversation or of
// none.
type ClinicalContext struct {
	ID             uuid.UUID
	UserID         uuid.UUID
	ConversationID *uuid.UUID
	Facts          ClinicalFacts
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// ClinicalPreset is a set of facts to begin contexts from: one of ours, which
// belongs to nobody, or a user's own.
type ClinicalPreset struct {
	ID          uuid.UUID
	UserID      uuid.UUID // zero: built in
	Name        string
	Description string
	Facts       ClinicalFacts
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// BuiltIn reports whether the preset is one of ours.
func (p ClinicalPreset) BuiltIn() bool { return p.UserID == uuid.Nil }

// Bounds of clinical facts and presets; lengths in code points.
const (
	maxAge            = 130
	maxWeightKg       = 700
	maxHeightCm       = 300
	maxGender         = 40
	maxComplaint      = 1000
	maxFactItems      = 50
	maxFactItem       = 200
	maxVitals         = 20
	maxVital          = 60
	MaxPresetName     = 100
	MaxPresetText     = 500
	MaxPresetsPerUser = 100
	MaxContexts       = 1000 // of one user
)

// Clean trims the facts, leaves out empty items and returns an Invalid error
// about the first one that is out of bounds.
func (f *ClinicalFacts) Clean() error {
	err := firstError(
		within("age", f.Age, 0, maxAge),
		within("weight_kg", f.WeightKg, 0, maxWeightKg),
		within("height_cm", f.HeightCm, 0, maxHeightCm),
		cleanLine("gender", &f.Gender, maxGender),
		cleanLine("chief_complaint", &f.ChiefComplaint, maxComplaint),
		cleanItems("problems", &f.Problems),
		cleanItems("medications", &f.Medications),
		cleanItems("allergies", &f.Allergies),
	)
	if err != nil {
		return err
	}
	return f.cleanVitals()
}

func (f *ClinicalFacts) cleanVitals() error {
	if len(f.Vitals) > maxVitals {
		return FieldError("vitals", "vitals must be at most %d", maxVitals)
	}
	vitals := make(map[string]any, len(f.Vitals))
	for _, name := range slices.Sorted(maps.Keys(f.Vitals)) {
		value := f.Vitals[name]
		if err := cleanLine("vitals", &name, maxVital); err != nil {
			return err
		}
		switch v := value.(type) {
		case nil:
			continue
		case float64:
		case string:
			if err := cleanLine("vitals", &v, maxVital); err != nil {
				return err
			}
			value = v
		default:
			return FieldError("vitals", "vitals must be numbers or texts") // whose name the client chose, which no log may show
		}
		if name != "" && value != "" {
			vitals[name] = value
		}
	}
	f.Vitals = vitals
	return nil
}

// Lines tells the facts for a reader, one a line, in a fixed order.
func (f ClinicalFacts) Lines() []string {
	var lines []string
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	if f.Age != nil {
		add("Age", fmt.Sprintf("%d years", *f.Age))
	}
	add("Gender", f.Gender)
	add("Weight", measure(f.WeightKg, "kg"))
	add("Height", measure(f.HeightCm, "cm"))
	add("Chief complaint", f.ChiefComplaint)
	add("Problems", strings.Join(f.Problems, "; "))
	add("Medications", strings.Join(f.Medications, "; "))
	add("Allergies", strings.Join(f.Allergies, "; "))
	for _, name := range slices.Sorted(maps.Keys(f.Vitals)) {
		add("Vital sign "+strings.ReplaceAll(name, "_", " "), fmt.Sprint(f.Vitals[name]))
	}
	return lines
}

func measure(value *float64, unit string) string {
	if value == nil {
		return ""
	}
	return strconv.FormatFloat(*value, 'f', -1, 64) + " " + unit
}

func within[N int | float64](field string, value *N, low, high N) error {
	if value == nil || low <= *value && *value <= high {
		return nil
	}
	return FieldError(field, "%s must be between %v and %v", field, low, high)
}

// cleanLine makes s one trimmed line, or is Invalid when it is too long or not
// text.
func cleanLine(field string, s *string, most int) error {
	if !utf8.ValidString(*s) || strings.ContainsRune(*s, 0) {
		return FieldError(field, "%s is not valid text", field)
	}
	*s = strings.Join(strings.FieldsFunc(*s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if utf8.RuneCountInString(*s) > most {
		return FieldError(field, "%s must be at most %d characters long", field, most)
	}
	return nil
}

func cleanItems(field string, items *[]string) error {
	if len(*items) > maxFactItems {
		return FieldError(field, "%s must be at most %d", field, maxFactItems)
	}
	var kept []string
	for i, item := range *items {
		if err := cleanLine(fmt.Sprintf("%s.%d", field, i), &item, maxFactItem); err != nil {
			return err
		}
		if item != "" {
			kept = append(kept, item)
		}
	}
	*items = kept
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Clean trims a preset and checks it.
func (p *ClinicalPreset) Clean() error {
	err := firstError(cleanLine("name", &p.Name, MaxPresetName), cleanLine("description", &p.Description, MaxPresetText), p.Facts.Clean())
	if err == nil && p.Name == "" {
		return FieldError("name", "name must not be empty")
	}
	return err
}

// presetSpace is the UUIDv5 namespace of the built-in presets.
var presetSpace = uuid.MustParse("b0b1c6a4-7f0f-5a53-9e0b-5c2d1f9a8e31")

func builtIn(name, description string, facts ClinicalFacts) ClinicalPreset {
	return ClinicalPreset{ID: uuid.NewSHA1(presetSpace, []byte(name)), Name: name, Description: description, Facts: facts}
}

// BuiltInPresets are what every user begins with. They describe typical
// constellations and no person.
func BuiltInPresets() []ClinicalPreset {
	return []ClinicalPreset{
		builtIn("Type 2 diabetes", "An adult with type 2 diabetes and hypertension on usual treatment", ClinicalFacts{
			Age: new(58), Problems: []string{"type 2 diabetes", "hypertension"}, Medications: []string{"metformin", "lisinopril"},
		}),
		builtIn("Heart failure", "An older adult with chronic heart failure and reduced ejection fraction", ClinicalFacts{
			Age: new(72), Problems: []string{"heart failure with reduced ejection fraction"},
			Medications: []string{"ramipril", "bisoprolol", "furosemide"},
		}),
		builtIn("Acute chest pain", "An adult with chest pain of recent onset", ClinicalFacts{
			Age: new(60), ChiefComplaint: "chest pain of recent onset", Vitals: map[string]any{"blood_pressure": "150/90", "heart_rate": 96.0},
		}),
		builtIn("Chronic kidney disease", "An older adult whose doses depend on renal function", ClinicalFacts{
			Age: new(69), Problems: []string{"chronic kidney disease stage 3b"},
		}),
		builtIn("Pregnancy", "An adult in the second trimester", ClinicalFacts{
			Age: new(31), Gender: "female", Problems: []string{"pregnancy, second trimester"},
		}),
		builtIn("Febrile child", "A small child with fever", ClinicalFacts{
			Age: new(3), WeightKg: new(14.0), ChiefComplaint: "fever since yesterday", Vitals: map[string]any{"temperature": 39.2},
		}),
	}
}
