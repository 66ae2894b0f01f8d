package flags_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/flags"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// users returns n users, always the same ones.
func users(n int) []voiceassist.User {
	list := make([]voiceassist.User, n)
	for i := range list {
		list[i].ID = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i))
		list[i].Role = voiceassist.RoleUser
	}
	return list
}

func rollout(name string, percentage float64) voiceassist.Flag {
	return voiceassist.Flag{
		Name: name, Type: voiceassist.FlagBoolean, Enabled: true, Rollout: percentage, Environment: voiceassist.AnyEnvironment,
	}
}

func on(f voiceassist.Flag, u voiceassist.User) bool { return flags.Evaluate(f, "production", u).On }

func TestRaisingTheRolloutTakesNobodyOut(t *testing.T) {
	t.Parallel()
	for _, u := range users(500) {
		was := false
		for percentage := 0.0; percentage <= 100; percentage += 2.5 {
			is := on(rollout("f", percentage), u)
			if was && !is {
				t.Fatalf("user %s is out at %v %%, and was in below", u.ID, percentage)
			}
			was = is
		}
		if !was {
			t.Fatalf("user %s is out at 100 %%", u.ID)
		}
	}
}

// Of n users drawn with probability p, n·p are in, give or take √(n·p·(1-p)).
func TestRolloutReachesItsShareOfTheUsers(t *testing.T) {
	t.Parallel()
	all := users(20_000)
	for _, percentage := range []float64{0, 0.5, 1, 10, 33.33, 50, 90, 100} {
		in := 0
		for _, u := range all {
			if on(rollout("share", percentage), u) {
				in++
			}
		}
		n, p := float64(len(all)), percentage/100
		if off := math.Abs(float64(in) - n*p); off > 4*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%v %%: %d of %d users are in", percentage, in, len(all))
		}
	}
}

func TestFlagsDrawTheirUsersIndependently(t *testing.T) {
	t.Parallel()
	all := users(20_000)
	both := 0
	for _, u := range all {
		if on(rollout("one", 50), u) && on(rollout("two", 50), u) {
			both++
		}
	}
	if share := float64(both) / float64(len(all)); math.Abs(share-.25) > .015 {
		t.Errorf("%v of the users are in two halves at once, want a quarter", share)
	}
}

func TestVariantsFallByTheirWeights(t *testing.T) {
	t.Parallel()
	f := rollout("v", 50)
	f.Type = voiceassist.FlagVariant
	f.Variants = []voiceassist.Variant{{Name: "a", Weight: 50}, {Name: "b", Weight: 30, Value: json.RawMessage(`{"x":1}`)}}
	counts := map[string]float64{}
	for _, u := range users(20_000) {
		v := flags.Evaluate(f, "production", u)
		if !v.On {
			if v.Variant != "" {
				t.Fatalf("an off flag has variant %q", v.Variant)
			}
			continue
		}
		counts[v.Variant]++
		counts["all"]++
		if v.Variant == "b" && string(v.Value) != `{"x":1}` {
			t.Fatalf("the value of b is %s", v.Value)
		}
	}
	for name, want := range map[string]float64{"a": .5, "b": .3, "": .2} {
		if got := counts[name] / counts["all"]; math.Abs(got-want) > .03 {
			t.Errorf("variant %q has %.3f of the users, want %v", name, got, want)
		}
	}
}

func TestFirstRuleThatFitsDecides(t *testing.T) {
	t.Parallel()
	doctor := users(1)[0]
	doctor.Email, doctor.Specialty, doctor.Role = "a@clinic.example", "Cardiology", voiceassist.RoleViewer
	rule := func(attribute, operator string, enabled bool, values ...string) voiceassist.FlagRule {
		return voiceassist.FlagRule{Attribute: attribute, Operator: operator, Values: values, Enabled: &enabled}
	}
	for _, c := range []struct {
		name    string
		rules   []voiceassist.FlagRule
		rollout float64
		user    voiceassist.User
		want    bool
	}{
		{"role lets in whom the rollout leaves out", []voiceassist.FlagRule{rule("role", "equals", true, "viewer")}, 0, doctor, true},
		{"domain keeps out whom the rollout lets in", []voiceassist.FlagRule{rule("email_domain", "in", false, "x.example", "CLINIC.example")}, 100, doctor, false},
		{"the first of two", []voiceassist.FlagRule{rule("specialty", "equals", true, "cardiology"), rule("role", "equals", false, "viewer")}, 0, doctor, true},
		{"one that fits not", []voiceassist.FlagRule{rule("user_id", "equals", false, uuid.NewString())}, 100, doctor, true},
		{"a denial", []voiceassist.FlagRule{rule("role", "not_in", false, "admin")}, 100, doctor, false},
		{"an attribute that the caller lacks", []voiceassist.FlagRule{rule("specialty", "not_equals", false, "surgery")}, 100, users(1)[0], true},
		{"an anonymous caller", []voiceassist.FlagRule{rule("role", "not_in", true, "admin")}, 0, voiceassist.User{}, false},
	} {
		f := rollout("f", c.rollout)
		f.Rules = c.rules
		if err := f.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := on(f, c.user); got != c.want {
			t.Errorf("%s: on = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnonymousCallersCountOnlyAtAHundredPercent(t *testing.T) {
	t.Parallel()
	for percentage, want := range map[float64]bool{0: false, 99.99: false, 100: true} {
		if got := on(rollout("f", percentage), voiceassist.User{}); got != want {
			t.Errorf("at %v %%: on = %v, want %v", percentage, got, want)
		}
	}
}

func TestFlagsAreOffWhereTheyDoNotHold(t *testing.T) {
	t.Parallel()
	u := users(1)[0]
	for name, change := range map[string]func(*voiceassist.Flag){
		"disabled":    func(f *voiceassist.Flag) { f.Enabled = false },
		"archived":    func(f *voiceassist.Flag) { f.Archived = true },
		"environment": func(f *voiceassist.Flag) { f.Environment = "staging" },
	} {
		f := rollout("f", 100)
		change(&f)
		if on(f, u) {
			t.Errorf("%s: the flag is on", name)
		}
	}
	f := rollout("f", 100)
	f.Environment = "production"
	if !on(f, u) {
		t.Error("the flag is off in its own environment")
	}
}

// failing is a store that cannot be reached while down is set.
type failing struct {
	*postgres.DB
	down atomic.Bool
}

func (f *failing) Flags(ctx context.Context) ([]voiceassist.Flag, int64, error) {
	if f.down.Load() {
		return nil, 0, errors.New("down")
	}
	return f.DB.Flags(ctx)
}

func (f *failing) FlagsVersion(ctx context.Context) (int64, error) {
	if f.down.Load() {
		return 0, errors.New("down")
	}
	return f.DB.FlagsVersion(ctx)
}

// open returns a running service on a store.
func open(t *testing.T, store flags.Store) *flags.Service {
	t.Helper()
	s, err := flags.Open(t.Context(), store, flags.Options{Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

// await waits until a flag is what it should be for an anonymous caller.
func await(t *testing.T, s *flags.Service, name string, want bool) {
	t.Helper()
	for deadline := time.After(10 * time.Second); ; {
		changed := s.Changed()
		if s.Enabled(name, voiceassist.User{}) == want {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s does not become %v", name, want)
		}
	}
}

func TestChangeElsewhereIsFoundWithoutNews(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	here, there := open(t, db), open(t, db)
	if _, err := here.Toggle(t.Context(), voiceassist.FlagVoice); err != nil {
		t.Fatal(err)
	}
	if here.Enabled(voiceassist.FlagVoice, voiceassist.User{}) {
		t.Error("a process does not see its own change at once")
	}
	await(t, there, voiceassist.FlagVoice, false)
}

func TestWhatWasKnownHoldsWhileTheLedgerIsAway(t *testing.T) {
	t.Parallel()
	store := &failing{DB: postgrestest.Open(t)}
	s := open(t, store)
	store.down.Store(true)
	if !s.Enabled(voiceassist.FlagVoice, voiceassist.User{}) {
		t.Error("a flag goes off with the ledger")
	}
	if _, err := store.ChangeFlag(t.Context(), voiceassist.FlagVoice, "flag.updated", func(f *voiceassist.Flag) error {
		f.Enabled = false
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	store.down.Store(false)
	await(t, s, voiceassist.FlagVoice, false)
	store.down.Store(true)
	if _, err := flags.Open(t.Context(), store, flags.Options{}); err == nil {
		t.Error("a process starts without knowing the flags")
	}
}
