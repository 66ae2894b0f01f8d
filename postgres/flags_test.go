package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgrestest"
)

func flag(name string) voiceassist.Flag {
	return voiceassist.Flag{Name: name, Type: voiceassist.FlagBoolean, Environment: voiceassist.AnyEnvironment}
}

func TestEveryChangeOfAFlagCountsItsVersionUp(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	last := int64(0)
	counted := func(what string) {
		t.Helper()
		version, err := db.FlagsVersion(t.Context())
		if err != nil || version <= last {
			t.Errorf("%s: version %d after %d, %v", what, version, last, err)
		}
		last = version
	}
	counted("the first")
	if _, err := db.AddFlag(t.Context(), flag("f")); err != nil {
		t.Fatal(err)
	}
	counted("added")
	if _, err := db.ChangeFlag(t.Context(), "f", "flag.updated", func(f *voiceassist.Flag) error { f.Rollout = 5; return nil }); err != nil {
		t.Fatal(err)
	}
	counted("changed")
	if err := db.DeleteFlag(t.Context(), "f"); err != nil {
		t.Fatal(err)
	}
	counted("deleted")
	refusal := errors.New("no")
	if _, err := db.ChangeFlag(t.Context(), "voice_mode", "flag.updated", func(f *voiceassist.Flag) error { f.Enabled = false; return refusal }); !errors.Is(err, refusal) {
		t.Errorf("a refused change is %v", err)
	}
	if version, err := db.FlagsVersion(t.Context()); err != nil || version != last {
		t.Errorf("version %d after a refused change, want %d; %v", version, last, err)
	}
	if f, err := db.Flag(t.Context(), "voice_mode"); err != nil || !f.Enabled {
		t.Errorf("half of a refused change is stored: %+v, %v", f, err)
	}
}

func TestFlagsAreBounded(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	all, _, err := db.Flags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := len(all); i < voiceassist.MaxFlags; i++ {
		if _, err := db.AddFlag(t.Context(), flag(fmt.Sprintf("f%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.AddFlag(t.Context(), flag("one.too.many")); voiceassist.CodeOf(err) != voiceassist.Conflict {
		t.Errorf("one flag too many is %v, want Conflict", err)
	}
}
