package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// resetsPerHour bounds the mails that an account can be sent.
const resetsPerHour = 5

// AddPasswordReset stores the digest of a token that lets the owner of an
// address choose a new password, and returns who that is: nobody if no active
// user has the address, or if they asked too often. It does the same work for
// nobody as for a user.
func (db *DB) AddPasswordReset(ctx context.Context, email string, digest [32]byte, ttl time.Duration) (userID uuid.UUID, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		var owner *uuid.UUID
		if err := tx.QueryRow(ctx, `
			INSERT INTO password_resets (digest, user_id, expires_at)
			VALUES ($1, (
				SELECT u.id
				FROM users u
				WHERE u.email = $2 AND u.is_active AND (
					SELECT count(*)
					FROM password_resets r
					WHERE r.user_id = u.id AND r.created_at > now() - interval '1 hour'
				) < $3
			), now() + $4::interval)
			RETURNING user_id`, digest[:], email, resetsPerHour, ttl).Scan(&owner); err != nil {
			return err
		}
		e := voiceassist.AuditEntry{Action: "auth.reset_requested", ResourceType: "user"}
		if owner != nil {
			userID = *owner
			e.ResourceID = userID.String()
		}
		return addAudit(ctx, tx, e)
	})
	return userID, err
}

// ResetPassword spends a reset token: its owner has a new password, no lock, no
// sessions and no API keys. It is Invalid for a token that is unknown, expired
// or spent.
func (db *DB) ResetPassword(ctx context.Context, digest [32]byte, passwordHash string) (u voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		// The user first, like all others who take both: of two with the same
		// link the second finds it gone.
		spent := voiceassist.FieldError("token", "the link is not valid any more; ask for another")
		u, err = scanUser(tx.QueryRow(ctx, `
			UPDATE users u
			SET password_hash = $2, updated_at = now()
			WHERE u.is_active AND u.id = (SELECT r.user_id FROM password_resets r WHERE r.digest = $1 AND r.expires_at > now())
			RETURNING `+userColumns, digest[:], passwordHash))
		if errors.Is(err, pgx.ErrNoRows) {
			return spent
		}
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM password_resets WHERE digest = $1`, digest[:])
		if err == nil && tag.RowsAffected() == 0 {
			return spent
		}
		if err != nil {
			return err
		}
		return afterReset(ctx, tx, u)
	})
	return u, err
}

// afterReset takes away what the old password may have given to somebody else.
func afterReset(ctx context.Context, tx pgx.Tx, u voiceassist.User) error {
	if err := endSessions(ctx, tx, u.ID, "password reset"); err != nil {
		return err
	}
	if err := endOtherWays(ctx, tx, u.ID); err != nil {
		return err
	}
	if _, err := removeLock(ctx, tx, u, "password reset"); err != nil {
		return err
	}
	return addAudit(ctx, tx, aboutUser("auth.password_reset", u))
}

// endOtherWays ends the ways into an account that are not its password: reset
// links and API keys.
func endOtherWays(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	if err := endResets(ctx, tx, userID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM api_keys WHERE user_id = $1`, userID)
	return err
}

// endResets makes the reset links that a user was sent invalid.
func endResets(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	_, err := tx.Exec(ctx, `DELETE FROM password_resets WHERE user_id = $1`, userID)
	return err
}

// PutInvitation stores an invitation and the digest of its token, in place of an
// older one for the same address. It is Conflict when the address has an account.
func (db *DB) PutInvitation(ctx context.Context, i voiceassist.Invitation, digest [32]byte, ttl time.Duration) (voiceassist.Invitation, error) {
	err := db.tx(ctx, func(tx pgx.Tx) error {
		var taken bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE email = $1)`, i.Email).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return &voiceassist.Error{Code: voiceassist.Conflict, Message: "Email already registered", Field: "email"}
		}
		if err := tx.QueryRow(ctx, `
			INSERT INTO invitations (email, digest, full_name, role, invited_by, expires_at)
			VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
			ON CONFLICT (email) DO UPDATE
			SET digest = excluded.digest, full_name = excluded.full_name, role = excluded.role,
				invited_by = excluded.invited_by, created_at = now(), expires_at = excluded.expires_at
			RETURNING expires_at`, i.Email, digest[:], i.FullName, i.Role, i.InvitedBy, ttl).Scan(&i.ExpiresAt); err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: "user.invited", ResourceType: "user", Details: map[string]any{"role": i.Role},
		})
	})
	return i, err
}

// Invitation returns the open invitation of a token, or NotFound.
func (db *DB) Invitation(ctx context.Context, digest [32]byte) (voiceassist.Invitation, error) {
	var i voiceassist.Invitation
	var by *uuid.UUID
	err := db.pool.QueryRow(ctx, `
		SELECT email, full_name, role, invited_by, expires_at
		FROM invitations
		WHERE digest = $1 AND expires_at > now()`, digest[:]).Scan(&i.Email, &i.FullName, &i.Role, &by, &i.ExpiresAt)
	if by != nil {
		i.InvitedBy = *by
	}
	return i, notFound(err, "invitation")
}

// AddInvitedUser spends an invitation: it stores the user, with the address and
// the role of the invitation, and begins a session of theirs. Possible ends: the
// user; Invalid for a token that is unknown, expired or spent; Conflict when the
// address is taken.
func (db *DB) AddInvitedUser(ctx context.Context, invitation [32]byte, u voiceassist.User, passwordHash string, g voiceassist.Grant) (added voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			DELETE FROM invitations
			WHERE digest = $1 AND expires_at > now()
			RETURNING email, role`, invitation[:]).Scan(&u.Email, &u.Role)
		if errors.Is(err, pgx.ErrNoRows) {
			return voiceassist.FieldError("token", "the invitation is not valid any more; ask for another")
		}
		if err != nil {
			return err
		}
		if err := insertUser(ctx, tx, u, passwordHash); err != nil {
			return err
		}
		if added, err = beginSession(ctx, tx, u.ID, passwordHash, g); err != nil {
			return err
		}
		e := signInEntry("auth.registered", added, g.SessionID)
		e.Details["invited"] = true
		return addAudit(ctx, tx, e)
	})
	return added, emailTaken(err)
}

// emailTaken tells of an address that has an account.
func emailTaken(err error) error {
	if violates(err, "users_email_key") {
		return &voiceassist.Error{Code: voiceassist.Conflict, Message: "Email already registered", Field: "email", Err: err}
	}
	return err
}
