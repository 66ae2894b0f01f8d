package flags

import (
	"context"
	"log/slog"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// List returns all flags by name, as the ledger has them.
func (s *Service) List(ctx context.Context) ([]voiceassist.Flag, error) {
	all, _, err := s.store.Flags(ctx)
	return all, err
}

// Get returns a flag as the ledger has it, or NotFound.
func (s *Service) Get(ctx context.Context, name string) (voiceassist.Flag, error) {
	if err := voiceassist.CheckFlagName(name); err != nil {
		return voiceassist.Flag{}, err
	}
	return s.store.Flag(ctx, name)
}

// Create adds a flag. Possible ends: the flag; Invalid; Conflict when there is
// one of this name or there are too many.
func (s *Service) Create(ctx context.Context, f voiceassist.Flag) (voiceassist.Flag, error) {
	if err := f.Check(); err != nil {
		return f, err
	}
	f, err := s.store.AddFlag(ctx, f)
	if err == nil {
		s.tell(ctx)
	}
	return f, err
}

// Update lets change change a flag. Possible ends: the flag; NotFound; Conflict
// for an archived one; Invalid; the error of change.
func (s *Service) Update(ctx context.Context, name string, change func(*voiceassist.Flag) error) (voiceassist.Flag, error) {
	return s.change(ctx, name, "flag.updated", func(f *voiceassist.Flag) error {
		if err := alive(*f); err != nil {
			return err
		}
		if err := change(f); err != nil {
			return err
		}
		return f.Check()
	})
}

// Toggle turns a flag on if it is off, and off if it is on. Possible ends: the
// flag; NotFound; Conflict for an archived one.
func (s *Service) Toggle(ctx context.Context, name string) (voiceassist.Flag, error) {
	return s.change(ctx, name, "flag.toggled", func(f *voiceassist.Flag) error {
		f.Enabled = !f.Enabled
		return alive(*f)
	})
}

func alive(f voiceassist.Flag) error {
	if f.Archived {
		return voiceassist.Errorf(voiceassist.Conflict, "the feature flag is archived, restore it first")
	}
	return nil
}

// Archive puts a flag away, or restores it. Possible ends: the flag; NotFound;
// Conflict for a built-in one.
func (s *Service) Archive(ctx context.Context, name string, archived bool) (voiceassist.Flag, error) {
	action := "flag.archived"
	if !archived {
		action = "flag.restored"
	}
	return s.change(ctx, name, action, func(f *voiceassist.Flag) error {
		if f.BuiltIn && archived {
			return voiceassist.Errorf(voiceassist.Conflict, "the program needs this feature flag; switch it off instead")
		}
		f.Archived = archived
		return nil
	})
}

func (s *Service) change(ctx context.Context, name, action string, change func(*voiceassist.Flag) error) (voiceassist.Flag, error) {
	if err := voiceassist.CheckFlagName(name); err != nil {
		return voiceassist.Flag{}, err
	}
	f, err := s.store.ChangeFlag(ctx, name, action, change)
	if err == nil {
		s.tell(ctx)
	}
	return f, err
}

// Delete removes a flag. Possible ends: success; NotFound; Conflict for a
// built-in one.
func (s *Service) Delete(ctx context.Context, name string) error {
	if err := voiceassist.CheckFlagName(name); err != nil {
		return err
	}
	if err := s.store.DeleteFlag(ctx, name); err != nil {
		return err
	}
	s.tell(ctx)
	return nil
}

// tellTimeout bounds what telling of a change adds to it.
const tellTimeout = time.Second

// tell lets this process see a change that it has made, and the others know of
// it. The change stands: what fails here is found by looking.
func (s *Service) tell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	if err := s.load(ctx); err != nil {
		s.o.Log.WarnContext(ctx, "feature flags not read after a change", slog.Any("error", err))
	}
	if s.o.Bus == nil {
		return
	}
	if err := s.o.Bus.Publish(ctx, topic, nil); err != nil {
		s.o.Log.WarnContext(ctx, "other processes not told of a feature flag", slog.Any("error", err))
	}
}
