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
		added, err = beginSession(ctx, tx, u.ID, passwordHash, g)
		return err
	})
	if violates(err, "users_email_key") {
		return voiceassist.User{}, &voiceassist.Error{Code: voiceassist.Conflict, Message: "Email already registered", Field: "email", Err: err}
	}
	return added, err
}

func insertUser(ctx context.Context, tx pgx.Tx, u voiceassist.User, passwordHash string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO users (id, email, full_name, first_name, last_name, specialty, role, is_active, password_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		u.ID, u.Email, u.FullName, u.FirstName, u.LastName, u.Specialty, u.Role, u.IsActive, passwordHash)
	return err
}

// PutAdmin makes the owner of an address an active admin with this password and
// reports whether it had to create the account. Sessions of an account that
// existed end; its names stay.
func (db *DB) PutAdmin(ctx context.Context, u voiceassist.User, passwordHash string) (admin voiceassist.User, created bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
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
		created = admin.ID == u.ID
		_, err = tx.Exec(ctx, `
			UPDATE sessions
			SET revoked_at = now(), revoke_reason = 'password'
			WHERE user_id = $1 AND revoked_at IS NULL`, admin.ID)
		return err
	})
	return admin, created, err
}

// Credentials returns a user and the hash of their password, or NotFound.
func (db *DB) Credentials(ctx context.Context, email string) (u voiceassist.User, passwordHash string, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT u.password_hash, `+userColumns+`
		FROM users u
		WHERE u.email = $1`, email).Scan(append([]any{&passwordHash}, userFields(&u)...)...)
	return u, passwordHash, notFound(err, "user")
}

// BeginSession begins a session of an active user and notes the login. It is
// Unauthorized if passwordHash is no longer the user's; "" asks for none.
func (db *DB) BeginSession(ctx context.Context, userID uuid.UUID, passwordHash string, g voiceassist.Grant) (u voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if u, err = beginSession(ctx, tx, userID, passwordHash, g); err != nil {
			return err
		}
		// Expired sessions have no more use; their refresh tokens go with them.
		_, err = tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND expires_at < now()`, userID)
		return err
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
		INSERT INTO sessions (id, user_id, expires_at)
		VALUES ($1, $2, now() + $3::interval)`, g.SessionID, userID, g.TTL); err != nil {
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
			return revokeSessions(ctx, tx, []uuid.UUID{g.SessionID}, "refresh token reused")
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
		SET last_used_at = now(), expires_at = now() + $2::interval
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

// RevokeSessions ends sessions; dead ones and unknown ones are no error.
func (db *DB) RevokeSessions(ctx context.Context, ids []uuid.UUID, reason string) error {
	return db.tx(ctx, func(tx pgx.Tx) error { return revokeSessions(ctx, tx, ids, reason) })
}

func revokeSessions(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, reason string) error {
	_, err := tx.Exec(ctx, `
		UPDATE sessions
		SET revoked_at = now(), revoke_reason = $2
		WHERE id = ANY($1) AND revoked_at IS NULL`, ids, reason)
	return err
}
