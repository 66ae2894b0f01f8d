package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// userColumns are read by scanUser, in this order.
const userColumns = `
	u.id, u.email, u.full_name, u.first_name, u.last_name, u.specialty, u.role, u.is_active,
	u.created_at, u.updated_at, u.last_login_at`

func userFields(u *voiceassist.User) []any {
	return []any{
		&u.ID, &u.Email, &u.FullName, &u.FirstName, &u.LastName, &u.Specialty, &u.Role, &u.IsActive,
		&u.CreatedAt, &u.UpdatedAt, &u.LastLoginAt,
	}
}

func scanUser(row pgx.Row) (voiceassist.User, error) {
	var u voiceassist.User
	err := row.Scan(userFields(&u)...)
	return u, err
}

// AddUser stores a new user and begins a session of theirs. It is Conflict when
// the address is taken.
func (db *DB) AddUser(ctx context.Context, u voiceassist.User, passwordHash string, g voiceassist.Grant) (added voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := insertUser(ctx, tx, u, passwordHash); err != nil {
			return err
		}
		if added, err = beginSession(ctx, tx, u.ID, passwordHash, g); err != nil {
			return err
		}
		return addAudit(ctx, tx, signInEntry("auth.registered", added, g.SessionID))
	})
	return added, emailTaken(err)
}

func insertUser(ctx context.Context, tx pgx.Tx, u voiceassist.User, passwordHash string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO users (id, email, full_name, first_name, last_name, specialty, role, is_active, password_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		u.ID, u.Email, u.FullName, u.FirstName, u.LastName, u.Specialty, u.Role, u.IsActive, passwordHash)
	return err
}

// PutAdmin makes the owner of an address an active admin with this password and
// reports whether it had to create the account. Sessions, API keys and reset
// links of an account that existed end; its names stay.
func (db *DB) PutAdmin(ctx context.Context, u voiceassist.User, passwordHash string) (admin voiceassist.User, created bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		was, err := scanUser(tx.QueryRow(ctx, `SELECT `+userColumns+` FROM users u WHERE u.email = $1 FOR NO KEY UPDATE`, u.Email))
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		row := tx.QueryRow(ctx, `
			INSERT INTO users AS u (id, email, full_name, first_name, last_name, specialty, role, is_active, password_hash)
			VALUES ($1, $2, $3, $4, $5, $6, 'admin', true, $7)
			ON CONFLICT (email) DO UPDATE
			SET role = 'admin', is_active = true, erase_at = NULL, password_hash = $7, updated_at = now()
			RETURNING `+userColumns,
			u.ID, u.Email, u.FullName, u.FirstName, u.LastName, u.Specialty, passwordHash)
		admin, err = scanUser(row)
		if err != nil {
			return err
		}
		if created = admin.ID == u.ID; created {
			return addAudit(ctx, tx, aboutUser("auth.registered", admin))
		}
		return afterTakeover(ctx, tx, was, admin)
	})
	return admin, created, err
}

// afterTakeover ends the ways in that an account had before an operator gave it
// another password, and notes what they made of it.
func afterTakeover(ctx context.Context, tx pgx.Tx, was, admin voiceassist.User) error {
	if err := endSessions(ctx, tx, admin.ID, "password"); err != nil {
		return err
	}
	if err := endOtherWays(ctx, tx, admin.ID); err != nil {
		return err
	}
	if _, err := removeLock(ctx, tx, admin, "new password"); err != nil {
		return err
	}
	if err := addAudit(ctx, tx, aboutUser("auth.password_changed", admin)); err != nil {
		return err
	}
	return auditChange(ctx, tx, was, admin, "an operator")
}

// endSessions ends all sessions of a user, and with them their tokens.
func endSessions(ctx context.Context, tx pgx.Tx, userID uuid.UUID, reason string) error {
	_, err := tx.Exec(ctx, `
		UPDATE sessions
		SET revoked_at = now(), revoke_reason = $2
		WHERE user_id = $1 AND revoked_at IS NULL`, userID, reason)
	return err
}

// aboutUser is an audit entry of what somebody did to their own account, for
// when nobody is signed in yet.
func aboutUser(action string, u voiceassist.User) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{Action: action, UserID: u.ID, Email: u.Email, ResourceType: "user", ResourceID: u.ID.String()}
}

// signInEntry is an audit entry about the beginning of a session.
func signInEntry(action string, u voiceassist.User, session uuid.UUID) voiceassist.AuditEntry {
	e := aboutUser(action, u)
	e.Details = map[string]any{"session_id": session}
	return e
}

// Credentials returns what a login to the account of an address is checked
// against, or NotFound.
func (db *DB) Credentials(ctx context.Context, email string) (voiceassist.Credentials, error) {
	return db.credentials(ctx, `u.email = $1`, email)
}

// CredentialsByID is Credentials for the account itself.
func (db *DB) CredentialsByID(ctx context.Context, userID uuid.UUID) (voiceassist.Credentials, error) {
	return db.credentials(ctx, `u.id = $1`, userID)
}

func (db *DB) credentials(ctx context.Context, condition string, arg any) (voiceassist.Credentials, error) {
	var c voiceassist.Credentials
	err := db.pool.QueryRow(ctx, `
		SELECT u.password_hash, f.secret, `+userColumns+`
		FROM users u
		LEFT JOIN second_factors f ON f.user_id = u.id AND f.enabled_at IS NOT NULL
		WHERE `+condition, arg).Scan(append([]any{&c.PasswordHash, &c.SecondFactor}, userFields(&c.User)...)...)
	return c, notFound(err, "user")
}

// BeginSession begins a session of an active user, notes the login and forgets
// the failures before it. It is Unauthorized if passwordHash is no longer the
// user's ("" asks for none), or if the code of the second factor was used before
// (nil asks for none), and Forbidden if the account has been locked meanwhile.
func (db *DB) BeginSession(ctx context.Context, a voiceassist.Attempt, passwordHash string, proof *voiceassist.FactorProof, g voiceassist.Grant) (u voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if u, err = beginSession(ctx, tx, a.UserID, passwordHash, g); err != nil {
			return err
		}
		if proof != nil {
			if err := spendProof(ctx, tx, a.UserID, *proof); err != nil {
				return err
			}
		}
		if err := forgetFailures(ctx, tx, a); err != nil {
			return err
		}
		// Expired sessions have no more use; their refresh tokens go with them.
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND expires_at < now()`, a.UserID); err != nil {
			return err
		}
		e := signInEntry("auth.login", u, g.SessionID)
		e.Details["second_factor"] = proof != nil
		return addAudit(ctx, tx, e)
	})
	return u, err
}

// ChangePassword gives an active user a new password, ends their sessions and
// begins another. It is Unauthorized if oldHash is no longer the user's.
func (db *DB) ChangePassword(ctx context.Context, userID uuid.UUID, oldHash, newHash string, g voiceassist.Grant) (u voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE users
			SET password_hash = $3, updated_at = now()
			WHERE id = $1 AND password_hash = $2`, userID, oldHash, newHash)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return voiceassist.Errorf(voiceassist.Unauthorized, "The password has been changed meanwhile")
		}
		if err := endSessions(ctx, tx, userID, "password"); err != nil {
			return err
		}
		if err := endResets(ctx, tx, userID); err != nil {
			return err
		}
		if u, err = beginSession(ctx, tx, userID, newHash, g); err != nil {
			return err
		}
		return addAudit(ctx, tx, signInEntry("auth.password_changed", u, g.SessionID))
	})
	return u, err
}

// beginSession holds the user from the start: PutAdmin, which changes the
// password, either waits and ends this session, or is seen.
func beginSession(ctx context.Context, tx pgx.Tx, userID uuid.UUID, passwordHash string, g voiceassist.Grant) (voiceassist.User, error) {
	u, err := scanUser(tx.QueryRow(ctx, `
		UPDATE users u
		SET last_login_at = now()
		WHERE u.id = $1 AND u.is_active AND $2 IN ('', u.password_hash)
		RETURNING `+userColumns, userID, passwordHash))
	if errors.Is(err, pgx.ErrNoRows) {
		return voiceassist.User{}, voiceassist.Errorf(voiceassist.Unauthorized, "Incorrect email or password")
	}
	if err != nil {
		return voiceassist.User{}, err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO sessions (id, user_id, expires_at, ends_at)
		VALUES ($1, $2, now() + least($3::interval, $4::interval), now() + $4::interval)`, g.SessionID, userID, g.TTL, g.MaxAge); err != nil {
		return voiceassist.User{}, err
	}
	return u, insertRefreshToken(ctx, tx, g)
}

func insertRefreshToken(ctx context.Context, tx pgx.Tx, g voiceassist.Grant) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO refresh_tokens (digest, session_id, expires_at)
		VALUES ($1, $2, now() + $3::interval)`, g.Digest[:], g.SessionID, g.TTL)
	return err
}

// Rotate spends the refresh token spent and stores g in its session. A token
// that was spent no longer than grace ago may be spent again; after that its
// session is revoked. Possible ends: the user; Unauthorized for a token that is
// unknown, expired, of a dead session or revoked just now.
func (db *DB) Rotate(ctx context.Context, spent [32]byte, g voiceassist.Grant, grace time.Duration) (u voiceassist.User, err error) {
	reused := false
	err = db.tx(ctx, func(tx pgx.Tx) error {
		u, reused, err = lockToken(ctx, tx, spent, g.SessionID, grace)
		if err != nil {
			return err
		}
		if reused {
			e := signInEntry("auth.refresh_reused", u, g.SessionID)
			e.Level, e.Failed = voiceassist.AuditWarning, true
			if err := addAudit(ctx, tx, e); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				UPDATE sessions
				SET revoked_at = now(), revoke_reason = 'refresh token reused'
				WHERE id = $1 AND revoked_at IS NULL`, g.SessionID)
			return err
		}
		return replaceToken(ctx, tx, spent, g)
	})
	if reused && err == nil {
		return voiceassist.User{}, voiceassist.Errorf(voiceassist.Unauthorized, "The refresh token was used before; the session has ended")
	}
	return u, err
}

// lockToken holds the session against other rotations and returns its user, and
// whether the token was spent longer than grace ago.
func lockToken(ctx context.Context, tx pgx.Tx, digest [32]byte, session uuid.UUID, grace time.Duration) (u voiceassist.User, reused bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce(t.used_at < now() - $3::interval, false), `+userColumns+`
		FROM refresh_tokens t
		JOIN sessions s ON s.id = t.session_id
		JOIN users u ON u.id = s.user_id
		WHERE t.digest = $1 AND s.id = $2 AND t.expires_at > now()
			AND s.revoked_at IS NULL AND s.expires_at > now() AND u.is_active
		FOR UPDATE OF s, t`, digest[:], session, grace).Scan(append([]any{&reused}, userFields(&u)...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, false, voiceassist.Errorf(voiceassist.Unauthorized, "Invalid or expired refresh token")
	}
	return u, reused, err
}

func replaceToken(ctx context.Context, tx pgx.Tx, spent [32]byte, g voiceassist.Grant) error {
	if _, err := tx.Exec(ctx, `
		UPDATE refresh_tokens
		SET used_at = coalesce(used_at, now())
		WHERE digest = $1`, spent[:]); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		DELETE FROM refresh_tokens
		WHERE session_id = $1 AND expires_at < now()`, g.SessionID); err != nil {
		return err
	}
	if err := insertRefreshToken(ctx, tx, g); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE sessions
		SET last_used_at = now(), expires_at = least(now() + $2::interval, ends_at)
		WHERE id = $1`, g.SessionID, g.TTL)
	return err
}

// SessionUser returns the active user of a living session, or NotFound.
func (db *DB) SessionUser(ctx context.Context, sessionID uuid.UUID) (voiceassist.User, error) {
	u, err := scanUser(db.pool.QueryRow(ctx, `
		SELECT `+userColumns+`
		FROM sessions s
		JOIN users u ON u.id = s.user_id
		WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND u.is_active`, sessionID))
	return u, notFound(err, "session")
}

// Session returns a living session, or NotFound.
func (db *DB) Session(ctx context.Context, id uuid.UUID) (voiceassist.Session, error) {
	s := voiceassist.Session{ID: id}
	err := db.pool.QueryRow(ctx, `
		SELECT user_id, created_at, last_used_at, expires_at, ends_at
		FROM sessions
		WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()`, id).
		Scan(&s.UserID, &s.CreatedAt, &s.LastUsedAt, &s.ExpiresAt, &s.EndsAt)
	return s, notFound(err, "session")
}

// RevokeSessions ends sessions, each of which is a logout in the audit log;
// dead ones and unknown ones are no error.
func (db *DB) RevokeSessions(ctx context.Context, ids []uuid.UUID, reason string) error {
	return db.tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE sessions s
			SET revoked_at = now(), revoke_reason = $2
			FROM users u
			WHERE s.id = ANY($1) AND s.revoked_at IS NULL AND u.id = s.user_id
			RETURNING s.id, u.id, u.email`, ids, reason)
		if err != nil {
			return err
		}
		var session uuid.UUID
		var u voiceassist.User
		var ended []voiceassist.AuditEntry
		if _, err := pgx.ForEachRow(rows, []any{&session, &u.ID, &u.Email}, func() error {
			e := signInEntry("auth.logout", u, session)
			e.Details["reason"] = reason
			ended = append(ended, e)
			return nil
		}); err != nil {
			return err
		}
		for _, e := range ended {
			if err := addAudit(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
