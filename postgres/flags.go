package postgres

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

const flagColumns = `name, description, flag_type, enabled, rollout_percentage, value, default_value,
	variants, targeting_rules, environment, archived, built_in, metadata, created_at, updated_at`

func scanFlag(row pgx.CollectableRow) (voiceassist.Flag, error) {
	var f voiceassist.Flag
	err := row.Scan(&f.Name, &f.Description, &f.Type, &f.Enabled, &f.Rollout, &f.Value, &f.Default,
		&f.Variants, &f.Rules, &f.Environment, &f.Archived, &f.BuiltIn, &f.Metadata, &f.CreatedAt, &f.UpdatedAt)
	return f, err
}

// Flags returns all flags by name, and their version: if it is an older one,
// the next version differs from it.
func (db *DB) Flags(ctx context.Context) (all []voiceassist.Flag, version int64, err error) {
	// First the version: a change between the two is then seen as news.
	if version, err = db.FlagsVersion(ctx); err != nil {
		return nil, 0, err
	}
	rows, err := db.pool.Query(ctx, `SELECT `+flagColumns+` FROM feature_flags ORDER BY name`)
	if err != nil {
		return nil, 0, classify(err)
	}
	all, err = pgx.CollectRows(rows, scanFlag)
	return all, version, classify(err)
}

// FlagsVersion returns a number that every change of a flag counts up.
func (db *DB) FlagsVersion(ctx context.Context) (version int64, err error) {
	err = db.pool.QueryRow(ctx, `SELECT version FROM feature_flags_version`).Scan(&version)
	return version, classify(err)
}

// Flag returns a flag, or NotFound.
func (db *DB) Flag(ctx context.Context, name string) (voiceassist.Flag, error) {
	rows, err := db.pool.Query(ctx, `SELECT `+flagColumns+` FROM feature_flags WHERE name = $1`, name)
	if err != nil {
		return voiceassist.Flag{}, classify(err)
	}
	f, err := pgx.CollectExactlyOneRow(rows, scanFlag)
	return f, notFound(err, "feature flag")
}

// AddFlag stores a new flag and returns it as stored. Conflict: there is one
// of this name, or there are MaxFlags.
func (db *DB) AddFlag(ctx context.Context, f voiceassist.Flag) (added voiceassist.Flag, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		count, err := lockFlags(ctx, tx)
		if err != nil {
			return err
		}
		if count >= voiceassist.MaxFlags {
			return voiceassist.Errorf(voiceassist.Conflict, "there are %d feature flags already, delete some first", voiceassist.MaxFlags)
		}
		added, err = insertFlag(ctx, tx, f)
		if violates(err, "feature_flags_pkey") {
			return voiceassist.Errorf(voiceassist.Conflict, "a feature flag of this name exists already")
		}
		if err != nil {
			return err
		}
		return auditFlag(ctx, tx, "flag.created", nil, &added)
	})
	return added, err
}

// lockFlags holds all flags against other changes and counts them.
func lockFlags(ctx context.Context, tx pgx.Tx) (count int, err error) {
	if _, err := tx.Exec(ctx, `SELECT FROM feature_flags_version FOR UPDATE`); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `SELECT count(*) FROM feature_flags`).Scan(&count)
	return count, err
}

func insertFlag(ctx context.Context, tx pgx.Tx, f voiceassist.Flag) (voiceassist.Flag, error) {
	rows, err := tx.Query(ctx, `
		INSERT INTO feature_flags (name, description, flag_type, enabled, rollout_percentage, value, default_value,
			variants, targeting_rules, environment, metadata)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		RETURNING `+flagColumns, flagValues(f)...)
	if err != nil {
		return voiceassist.Flag{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanFlag)
}

// flagValues are the first eleven parameters of a statement that stores f.
func flagValues(f voiceassist.Flag) []any {
	if f.Variants == nil {
		f.Variants = []voiceassist.Variant{}
	}
	if f.Rules == nil {
		f.Rules = []voiceassist.FlagRule{}
	}
	if len(f.Metadata) == 0 || string(f.Metadata) == "null" {
		f.Metadata = json.RawMessage("{}")
	}
	return []any{
		f.Name, f.Description, f.Type, f.Enabled, f.Rollout, orNull(f.Value), orNull(f.Default),
		f.Variants, f.Rules, f.Environment, f.Metadata,
	}
}

// orNull stores a JSON null as what the column has when nothing was said.
func orNull(value json.RawMessage) any {
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	return value
}

// ChangeFlag lets change change a flag, which nobody else changes meanwhile,
// and returns it as stored. action names the change in the audit log. Possible
// ends: success; NotFound; the error of change, and nothing is stored.
func (db *DB) ChangeFlag(ctx context.Context, name, action string, change func(*voiceassist.Flag) error) (changed voiceassist.Flag, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		old, err := lockFlag(ctx, tx, name)
		if err != nil {
			return err
		}
		changed = old
		if err := change(&changed); err != nil {
			return err
		}
		changed, err = updateFlag(ctx, tx, changed)
		if err != nil {
			return err
		}
		return auditFlag(ctx, tx, action, &old, &changed)
	})
	return changed, err
}

// lockFlag holds a flag, and all others with it: whoever would hold it first
// could meet an AddFlag of the same name.
func lockFlag(ctx context.Context, tx pgx.Tx, name string) (voiceassist.Flag, error) {
	if _, err := lockFlags(ctx, tx); err != nil {
		return voiceassist.Flag{}, err
	}
	rows, err := tx.Query(ctx, `SELECT `+flagColumns+` FROM feature_flags WHERE name = $1 FOR UPDATE`, name)
	if err != nil {
		return voiceassist.Flag{}, err
	}
	f, err := pgx.CollectExactlyOneRow(rows, scanFlag)
	return f, notFound(err, "feature flag")
}

func updateFlag(ctx context.Context, tx pgx.Tx, f voiceassist.Flag) (voiceassist.Flag, error) {
	rows, err := tx.Query(ctx, `
		UPDATE feature_flags
		SET description = $2, flag_type = $3, enabled = $4, rollout_percentage = $5, value = $6, default_value = $7,
			variants = $8, targeting_rules = $9, environment = $10, metadata = $11, archived = $12, updated_at = now()
		WHERE name = $1
		RETURNING `+flagColumns, append(flagValues(f), f.Archived)...)
	if err != nil {
		return voiceassist.Flag{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanFlag)
}

// DeleteFlag removes a flag. Possible ends: success; NotFound; Conflict for a
// built-in one.
func (db *DB) DeleteFlag(ctx context.Context, name string) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		f, err := lockFlag(ctx, tx, name)
		if err != nil {
			return err
		}
		if f.BuiltIn {
			return voiceassist.Errorf(voiceassist.Conflict, "the program needs this feature flag; switch it off instead")
		}
		if _, err := tx.Exec(ctx, `DELETE FROM feature_flags WHERE name = $1`, name); err != nil {
			return err
		}
		return auditFlag(ctx, tx, "flag.deleted", &f, nil)
	})
}

func auditFlag(ctx context.Context, tx pgx.Tx, action string, from, to *voiceassist.Flag) error {
	details := map[string]any{}
	name := ""
	if from != nil {
		name = from.Name
		details["old_enabled"], details["old_rollout_percentage"] = from.Enabled, from.Rollout
	}
	if to != nil {
		name = to.Name
		details["new_enabled"], details["new_rollout_percentage"] = to.Enabled, to.Rollout
	}
	return addAudit(ctx, tx, voiceassist.AuditEntry{Action: action, ResourceType: "feature_flag", ResourceID: name, Details: details})
}
