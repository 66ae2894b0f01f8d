package flags

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Evaluate returns what a flag is for a user in an environment. The zero user
// is an anonymous caller, who counts only where a flag is on for everybody.
func Evaluate(f voiceassist.Flag, environment string, u voiceassist.User) voiceassist.FlagVerdict {
	on, variant := decide(f, environment, u)
	v := voiceassist.FlagVerdict{Type: f.Type, On: on, Variant: variant, Value: valueOf(f, on)}
	for _, each := range f.Variants {
		if each.Name == variant && len(each.Value) > 0 {
			v.Value = each.Value
		}
	}
	return v
}

func decide(f voiceassist.Flag, environment string, u voiceassist.User) (on bool, variant string) {
	if !f.Enabled || f.Archived || f.Environment != voiceassist.AnyEnvironment && f.Environment != environment {
		return false, ""
	}
	for _, r := range f.Rules {
		if !fits(r, u) {
			continue
		}
		if r.Variant != "" {
			return true, r.Variant
		}
		if !*r.Enabled {
			return false, ""
		}
		return true, draw(f, u)
	}
	if u.ID == uuid.Nil && f.Rollout < 100 || bucket(f.Name, "", u) >= points(f.Rollout) {
		return false, ""
	}
	return true, draw(f, u)
}

// draw returns the variant that falls to a user, "" if none does.
func draw(f voiceassist.Flag, u voiceassist.User) string {
	if u.ID == uuid.Nil {
		return ""
	}
	at, end := bucket(f.Name, "variant", u), 0
	for _, v := range f.Variants {
		end += points(v.Weight)
		if at < end {
			return v.Name
		}
	}
	return ""
}

// buckets is how finely users are told apart: a hundredth of a percent.
const buckets = 10_000

// points are the buckets of a percentage.
func points(percentage float64) int { return int(math.Round(percentage * buckets / 100)) }

// bucket returns where a user falls for a flag, 0 to buckets-1: always the same
// place, unrelated to where they fall for another flag or purpose. A percentage
// takes the places from 0 on, so raising it takes nobody out.
func bucket(flag, purpose string, u voiceassist.User) int {
	sum := sha256.Sum256([]byte(flag + "\x00" + purpose + "\x00" + u.ID.String()))
	return int(binary.BigEndian.Uint64(sum[:]) % buckets)
}

// fits reports whether a rule is about a user. Roles and domains are compared
// in any case, and so are specialties, which people write themselves.
func fits(r voiceassist.FlagRule, u voiceassist.User) bool {
	attribute := attributeOf(r.Attribute, u)
	if attribute == "" {
		return false
	}
	listed := slices.ContainsFunc(r.Values, func(v string) bool { return strings.EqualFold(v, attribute) })
	return listed != strings.HasPrefix(r.Operator, "not_")
}

func attributeOf(name string, u voiceassist.User) string {
	if u.ID == uuid.Nil {
		return ""
	}
	switch name {
	case "role":
		return string(u.Role)
	case "email_domain":
		return u.Email[strings.LastIndexByte(u.Email, '@')+1:]
	case "user_id":
		return u.ID.String()
	case "specialty":
		return u.Specialty
	default:
		return ""
	}
}

// valueOf is what a flag gives when it is on, or off, apart from its variants.
func valueOf(f voiceassist.Flag, on bool) json.RawMessage {
	value, otherwise := f.Default, "null"
	if on {
		value = f.Value
	}
	if f.Type == voiceassist.FlagBoolean {
		otherwise = "false"
		if on {
			otherwise = "true"
		}
	}
	if len(value) == 0 || string(value) == "null" {
		return json.RawMessage(otherwise)
	}
	return value
}
