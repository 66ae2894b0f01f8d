package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// presetColumns are read by onePreset, in this order.
const presetColumns = `p.id, p.user_id, p.name, p.description, p.facts, p.created_at, p.updated_at`

func onePreset(rows pgx.Rows, err error) (voiceassist.ClinicalPreset, error) {
	if err == nil {
		var p voiceassist.ClinicalPreset
		p, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[voiceassist.ClinicalPreset])
		if err == nil {
			return p, nil
		}
	}
	if violates(err, "clinical_presets_name_key") {
		return voiceassist.ClinicalPreset{}, voiceassist.Errorf(voiceassist.Conflict, "You have a preset of this name already")
	}
	return voiceassist.ClinicalPreset{}, notFound(err, "preset")
}

// ClinicalPresets returns the user's own presets by name.
func (db *DB) ClinicalPresets(ctx context.Context, userID uuid.UUID) ([]voiceassist.ClinicalPreset, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+presetColumns+`
		FROM clinical_presets p
		WHERE p.user_id = $1
		ORDER BY lower(p.name)`, userID)
	if err != nil {
		return nil, classify(err)
	}
	presets, err := pgx.CollectRows(rows, pgx.RowToStructByPos[voiceassist.ClinicalPreset])
	return presets, classify(err)
}

// ClinicalPreset returns one of the user's own presets.
func (db *DB) ClinicalPreset(ctx context.Context, userID, id uuid.UUID) (voiceassist.ClinicalPreset, error) {
	return onePreset(db.pool.Query(ctx, `
		SELECT `+presetColumns+`
		FROM clinical_presets p
		WHERE p.id = $1 AND p.user_id = $2`, id, userID))
}

// CreateClinicalPreset stores a preset of p.UserID. It is a Conflict when they
// have one of this name, or MaxPresetsPerUser.
func (db *DB) CreateClinicalPreset(ctx context.Context, p voiceassist.ClinicalPreset) (voiceassist.ClinicalPreset, error) {
	created, err := onePreset(db.pool.Query(ctx, `
		INSERT INTO clinical_presets AS p (id, user_id, name, description, facts)
		SELECT $1, $2, $3, $4, $5
		WHERE (SELECT count(*) FROM clinical_presets WHERE user_id = $2) < $6
		RETURNING `+presetColumns,
		uuid.Must(uuid.NewV7()), p.UserID, p.Name, p.Description, p.Facts, voiceassist.MaxPresetsPerUser))
	if errors.Is(err, voiceassist.NotFound) {
		return created, voiceassist.Errorf(voiceassist.Conflict, "You have %d presets: delete some first", voiceassist.MaxPresetsPerUser)
	}
	return created, err
}

// UpdateClinicalPreset replaces one of p.UserID's presets, p.ID.
func (db *DB) UpdateClinicalPreset(ctx context.Context, p voiceassist.ClinicalPreset) (voiceassist.ClinicalPreset, error) {
	return onePreset(db.pool.Query(ctx, `
		UPDATE clinical_presets AS p
		SET name = $3, description = $4, facts = $5, updated_at = now()
		WHERE p.id = $1 AND p.user_id = $2
		RETURNING `+presetColumns, p.ID, p.UserID, p.Name, p.Description, p.Facts))
}

// DeleteClinicalPreset removes one of the user's presets.
func (db *DB) DeleteClinicalPreset(ctx context.Context, userID, id uuid.UUID) error {
	tag, err := db.pool.Exec(ctx, `DELETE FROM clinical_presets WHERE id = $1 AND user_id = $2`, id, userID)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return notFound(err, "preset")
}
