package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// SecondFactor tells of a user's second factor; the zero status is none.
func (db *DB) SecondFactor(ctx context.Context, userID uuid.UUID) (voiceassist.FactorStatus, error) {
	var f voiceassist.FactorStatus
	err := db.pool.QueryRow(ctx, `
		SELECT f.secret, f.enabled_at, (SELECT count(*) FROM backup_codes c WHERE c.user_id = f.user_id)
		FROM second_factors f
		WHERE f.user_id = $1`, userID).Scan(&f.Secret, &f.EnabledAt, &f.BackupCodes)
	if errors.Is(err, pgx.ErrNoRows) {
		return voiceassist.FactorStatus{}, nil
	}
	return f, classify(err)
}

// BeginSecondFactor stores a second factor that is not enabled yet, in place of
// another such. It is Conflict when one is enabled.
func (db *DB) BeginSecondFactor(ctx context.Context, userID uuid.UUID, secret []byte, backup [][32]byte) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO second_factors AS f (user_id, secret)
			VALUES ($1, $2)
			ON CONFLICT (user_id) DO UPDATE
			SET secret = excluded.secret, created_at = now(), last_step = 0
			WHERE f.enabled_at IS NULL`, userID, secret)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return voiceassist.Errorf(voiceassist.Conflict, "Two-factor authentication is enabled already")
		}
		return replaceBackupCodes(ctx, tx, userID, backup)
	})
}

// EnableSecondFactor enables the second factor that has this secret, with its
// first code. It is Conflict if that is no longer the one being set up.
func (db *DB) EnableSecondFactor(ctx context.Context, userID uuid.UUID, secret []byte, step int64) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE second_factors
			SET enabled_at = now(), last_step = $3
			WHERE user_id = $1 AND secret = $2 AND enabled_at IS NULL`, userID, secret, step)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return voiceassist.Errorf(voiceassist.Conflict, "Two-factor authentication is not being set up")
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{Action: "auth.2fa_enabled", ResourceType: "user", ResourceID: userID.String()})
	})
}

// DisableSecondFactor removes a user's second factor. A proof that is not nil is
// spent; it is Unauthorized if it was spent before.
func (db *DB) DisableSecondFactor(ctx context.Context, userID uuid.UUID, proof *voiceassist.FactorProof) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if proof != nil {
			if err := spendProof(ctx, tx, userID, *proof); err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, `DELETE FROM second_factors WHERE user_id = $1`, userID)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return voiceassist.Errorf(voiceassist.Conflict, "Two-factor authentication is not enabled")
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: "auth.2fa_disabled", Level: voiceassist.AuditWarning, ResourceType: "user", ResourceID: userID.String(),
		})
	})
}

// ReplaceBackupCodes gives a user with a second factor new backup codes for
// proof.
func (db *DB) ReplaceBackupCodes(ctx context.Context, userID uuid.UUID, proof *voiceassist.FactorProof, backup [][32]byte) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		if proof != nil {
			if err := spendProof(ctx, tx, userID, *proof); err != nil {
				return err
			}
		}
		if err := replaceBackupCodes(ctx, tx, userID, backup); err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{Action: "auth.2fa_backup_codes", ResourceType: "user", ResourceID: userID.String()})
	})
}

func replaceBackupCodes(ctx context.Context, tx pgx.Tx, userID uuid.UUID, backup [][32]byte) error {
	if _, err := tx.Exec(ctx, `DELETE FROM backup_codes WHERE user_id = $1`, userID); err != nil {
		return err
	}
	digests := make([][]byte, len(backup))
	for i := range backup {
		digests[i] = backup[i][:]
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO backup_codes (user_id, digest)
		SELECT f.user_id, d.digest
		FROM second_factors f, unnest($2::bytea[]) AS d (digest)
		WHERE f.user_id = $1`, userID, digests)
	return err
}

// spendProof accepts the code of an enabled second factor, if neither it nor a
// later one has been accepted before; otherwise it is Unauthorized.
func spendProof(ctx context.Context, tx pgx.Tx, userID uuid.UUID, proof voiceassist.FactorProof) error {
	statement, arg := `
		UPDATE second_factors
		SET last_step = $2
		WHERE user_id = $1 AND enabled_at IS NOT NULL AND last_step < $2`, any(proof.Step)
	if proof.Step == 0 {
		statement, arg = `DELETE FROM backup_codes WHERE user_id = $1 AND digest = $2`, proof.Backup[:]
	}
	tag, err := tx.Exec(ctx, statement, userID, arg)
	if err == nil && tag.RowsAffected() == 0 {
		return voiceassist.Errorf(voiceassist.Unauthorized, "The code is wrong or was used before")
	}
	return err
}

// HasBackupCode reports whether a backup code of a user is still good.
func (db *DB) HasBackupCode(ctx context.Context, userID uuid.UUID, digest [32]byte) (ok bool, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT 1 FROM backup_codes WHERE user_id = $1 AND digest = $2)`, userID, digest[:]).Scan(&ok)
	return ok, classify(err)
}
