package postgres_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Whoever waits for the first of two rows must not hold the second: whoever
// takes them in the right order would wait for them in turn. A second connection
// holds the first row until f waits for it, and looks whether it can have the
// other.
func (p people) holdsNothingElse(first, second string, f func(context.Context) error) error {
	p.t.Helper()
	done := make(chan error, 1)
	p.exec(`BEGIN`)
	p.exec(first)
	go func() { done <- f(p.t.Context()) }()
	p.waitFor(1)
	if _, err := p.conn.Exec(p.t.Context(), second+` NOWAIT`); err != nil {
		p.t.Errorf("it is held: %v", err)
	}
	p.exec(`ROLLBACK`)
	return <-done
}

func TestAResetLinkIsTakenAfterItsUser(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	ada := p.add("ada", voiceassist.RoleUser)
	p.link(ada)
	if err := p.holdsNothingElse(`SELECT FROM users FOR NO KEY UPDATE`, `SELECT FROM password_resets FOR UPDATE`, func(ctx context.Context) error {
		_, err := p.db.ResetPassword(ctx, resetLink, "new")
		return err
	}); err != nil {
		t.Errorf("ResetPassword: %v", err)
	}
}

func TestAFlagIsTakenAfterTheirVersion(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	if _, err := p.db.AddFlag(t.Context(), flag("f")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"a change", func(ctx context.Context) error {
			_, err := p.db.ChangeFlag(ctx, "f", "flag.updated", func(f *voiceassist.Flag) error { f.Rollout = 5; return nil })
			return err
		}},
		{"a deletion", func(ctx context.Context) error { return p.db.DeleteFlag(ctx, "f") }},
	} {
		if err := p.holdsNothingElse(`SELECT FROM feature_flags_version FOR UPDATE`, `SELECT FROM feature_flags FOR UPDATE`, c.do); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTheFilesOfAQuestionAreTakenInTheOrderOfTheirIDs(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	ada := p.add("ada", voiceassist.RoleUser)
	files := []uuid.UUID{addFile(t, p.db, ada.ID).ID, addFile(t, p.db, ada.ID).ID}
	slices.SortFunc(files, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	first, last := files[0].String(), files[1].String()
	if err := p.holdsNothingElse(`SELECT FROM files WHERE id = '`+first+`' FOR UPDATE`, `SELECT FROM files WHERE id = '`+last+`' FOR UPDATE`,
		func(ctx context.Context) error {
			_, err := p.db.BeginAnswer(ctx, voiceassist.Question{UserID: ada.ID, Content: "Why?", Attachments: []uuid.UUID{files[1], files[0]}})
			return err
		}); err != nil {
		t.Errorf("BeginAnswer: %v", err)
	}
}
