package voiceassist

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may be done: N times in Per. The zero Rate sets
// no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// ratePeriods are the units of a rate as text.
var ratePeriods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// ParseRate reads rates such as "5/h", "10/m" and "300/s"; "off" is the zero
// Rate.
func ParseRate(s string) (Rate, error) {
	if s == "off" {
		return Rate{}, nil
	}
	count, unit, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	per, ok := ratePeriods[unit]
	if err != nil || !ok || n < 1 {
		return Rate{}, fmt.Errorf("rate %q is not of the form 10/m (units s, m, h, d) or off", s)
	}
	return Rate{N: n, Per: per}, nil
}

// UnmarshalText makes a Rate readable from the environment.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// String returns the rate as ParseRate reads it.
func (r Rate) String() string {
	for unit, per := range ratePeriods {
		if r.Per == per {
			return strconv.Itoa(r.N) + "/" + unit
		}
	}
	return "off"
}

// Decision is what a rate limit says to one request.
type Decision struct {
	Allowed    bool
	Limit      int
	Remaining  int           // requests that would be allowed at once now
	Reset      time.Time     // when all of Limit are available again
	RetryAfter time.Duration // when not Allowed: until the next would be
}
