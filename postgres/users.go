package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// A user with their figures is usageColumns of users u joined with
// usageFigures. Each figure is a look into one index, so a page of users is
// selected first and joined then.
const (
	usageColumns = userColumns + `, u.erase_at, v.count, m.count, d.count, s.count,
		greatest(u.last_login_at, v.last, s.last)`
	usageFigures = `
		CROSS JOIN LATERAL (
			SELECT count(*), max(v.updated_at) AS last
			FROM conversations v
			WHERE v.user_id = u.id
		) v
		CROSS JOIN LATERAL (
			SELECT count(*)
			FROM conversations v
			JOIN messages m ON m.conversation_id = v.id
			WHERE v.user_id = u.id
		) m
		CROSS JOIN LATERAL (
			SELECT count(*)
			FROM documents d
			WHERE d.uploaded_by = u.id AND d.deleted_at IS NULL
		) d
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE s.revoked_at IS NULL AND s.expires_at > now()), max(s.last_used_at) AS last
			FROM sessions s
			WHERE s.user_id = u.id
		) s`
)

func scanUsage(row pgx.CollectableRow) (voiceassist.UserUsage, error) {
	var u voiceassist.UserUsage
	err := row.Scan(append(userFields(&u.User), &u.EraseAt, &u.Conversations, &u.Messages, &u.Documents, &u.Sessions, &u.LastActiveAt)...)
	return u, err
}

// Users returns a page of users with their figures, the newest first, and how
// many the filter lets through.
func (db *DB) Users(ctx context.Context, f voiceassist.UserFilter) (page []voiceassist.UserUsage, total int, err error) {
	const matching = `
		FROM users u
		WHERE ($1::boolean IS NULL OR u.is_active = $1)
			AND ($2::boolean IS NULL OR (u.role = 'admin') = $2)
			AND $3 IN ('', u.role)
			AND ($4 = '' OR strpos(u.email, lower($4)) > 0 OR strpos(lower(u.full_name), lower($4)) > 0)`
	args := []any{f.Active, f.Admin, string(f.Role), f.Search}
	if err := db.pool.QueryRow(ctx, `SELECT count(*)`+matching, args...).Scan(&total); err != nil {
		return nil, 0, classify(err)
	}
	rows, err := db.pool.Query(ctx, `
		SELECT `+usageColumns+`
		FROM (
			SELECT u.*`+matching+`
			ORDER BY u.created_at DESC, u.id DESC
			OFFSET $5 LIMIT $6
		) u`+usageFigures+`
		ORDER BY u.created_at DESC, u.id DESC`, append(args, f.Offset, f.Limit)...)
	if err != nil {
		return nil, 0, classify(err)
	}
	page, err = pgx.CollectRows(rows, scanUsage)
	return page, total, classify(err)
}

// User returns a user with their figures.
func (db *DB) User(ctx context.Context, id uuid.UUID) (voiceassist.UserUsage, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+usageColumns+`
		FROM users u`+usageFigures+`
		WHERE u.id = $1`, id)
	if err != nil {
		return voiceassist.UserUsage{}, classify(err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, scanUsage)
	return u, notFound(err, "user")
}

// ChangeUser applies c to a user and returns what became of them. A change of
// role and deactivation end their sessions, another address ends the reset links
// that the old one was sent; activation takes a deletion back.
// Possible ends: the user; NotFound; Invalid; Conflict when the address is
// taken, and when the system would be left without an active admin.
func (db *DB) ChangeUser(ctx context.Context, id uuid.UUID, c voiceassist.UserChange) (changed voiceassist.User, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		changed, err = changeUser(ctx, tx, id, c)
		return err
	})
	if violates(err, "users_email_key") {
		return voiceassist.User{}, &voiceassist.Error{Code: voiceassist.Conflict, Message: "Email already registered", Field: "email", Err: err}
	}
	return changed, err
}

func changeUser(ctx context.Context, tx pgx.Tx, id uuid.UUID, c voiceassist.UserChange) (voiceassist.User, error) {
	now, err := lockUser(ctx, tx, id, c.MayRemoveAdmin())
	if err != nil {
		return voiceassist.User{}, err
	}
	if now.erasing {
		return voiceassist.User{}, notFound(pgx.ErrNoRows, "user")
	}
	next, err := c.Apply(now.User)
	if err != nil || next == now.User {
		return next, err
	}
	if now.onlyAdmin && !(next.IsAdmin() && next.IsActive) {
		return voiceassist.User{}, errLastAdmin
	}
	next, err = scanUser(tx.QueryRow(ctx, `
		UPDATE users u
		SET email = $2, full_name = $3, first_name = $4, last_name = $5, specialty = $6, role = $7, is_active = $8,
			erase_at = CASE WHEN NOT $8 THEN erase_at END, updated_at = now()
		WHERE id = $1
		RETURNING `+userColumns,
		id, next.Email, next.FullName, next.FirstName, next.LastName, next.Specialty, next.Role, next.IsActive))
	if err != nil {
		return voiceassist.User{}, err
	}
	if next.Role != now.Role || now.IsActive && !next.IsActive {
		if err := endSessions(ctx, tx, id, "role or status"); err != nil {
			return voiceassist.User{}, err
		}
	}
	if next.Email != now.Email {
		if err := endResets(ctx, tx, id); err != nil {
			return voiceassist.User{}, err
		}
	}
	return next, auditChange(ctx, tx, now.User, next, c.Reason)
}

// errLastAdmin keeps the system from being left to nobody.
var errLastAdmin = voiceassist.Errorf(voiceassist.Conflict, "This is the last active administrator; make somebody else one first")

// lockedUser is a user whose row this transaction holds.
type lockedUser struct {
	voiceassist.User
	erasing   bool // what is theirs may be going already
	onlyAdmin bool // no other admin is active; only known if it was asked for
}

// lockUser holds a user until tx ends. If admins is set, it holds all active
// admins first, always in the same order: of two transactions that each would
// take one of the last two away, the second sees what the first has left.
func lockUser(ctx context.Context, tx pgx.Tx, id uuid.UUID, admins bool) (u lockedUser, err error) {
	var active []uuid.UUID
	if admins {
		active, err = lockAdmins(ctx, tx)
		if err != nil {
			return u, err
		}
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce(u.erase_at <= now(), false), `+userColumns+`
		FROM users u
		WHERE u.id = $1
		FOR NO KEY UPDATE`, id).Scan(append([]any{&u.erasing}, userFields(&u.User)...)...)
	u.onlyAdmin = len(active) == 1 && active[0] == id
	return u, notFound(err, "user")
}

func lockAdmins(ctx context.Context, tx pgx.Tx) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT u.id
		FROM users u
		WHERE u.role = 'admin' AND u.is_active
		ORDER BY u.created_at, u.id
		FOR NO KEY UPDATE`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// auditChange adds an entry for each kind of thing that changed. Names and
// addresses are personal, so it only says that they did.
func auditChange(ctx context.Context, tx pgx.Tx, from, to voiceassist.User, reason string) error {
	entry := voiceassist.AuditEntry{ResourceType: "user", ResourceID: to.ID.String()}
	if fields := changedFields(from, to); len(fields) > 0 {
		entry.Action, entry.Details = voiceassist.ActionUserUpdated, map[string]any{"fields": fields}
		if err := addAudit(ctx, tx, entry); err != nil {
			return err
		}
	}
	if from.Role != to.Role {
		entry.Action = voiceassist.ActionRoleChanged
		entry.Details = map[string]any{"from_role": from.Role, "to_role": to.Role, "reason": reason}
		if err := addAudit(ctx, tx, entry); err != nil {
			return err
		}
	}
	if from.IsActive == to.IsActive {
		return nil
	}
	entry.Action, entry.Details = voiceassist.ActionUserDeactivated, map[string]any{"reason": reason}
	if to.IsActive {
		entry.Action = voiceassist.ActionUserActivated
	}
	return addAudit(ctx, tx, entry)
}

func changedFields(from, to voiceassist.User) (fields []string) {
	for _, f := range []struct{ name, from, to string }{
		{"email", from.Email, to.Email},
		{"full_name", from.FullName, to.FullName},
		{"first_name", from.FirstName, to.FirstName},
		{"last_name", from.LastName, to.LastName},
		{"specialty", from.Specialty, to.Specialty},
	} {
		if f.from != f.to {
			fields = append(fields, f.name)
		}
	}
	return fields
}

// DeleteUser shuts a user out at once and has them erased in grace from now on,
// or at the time that an earlier deletion has set if that is sooner. Possible
// ends: when they will be erased; NotFound; Conflict for the last active admin.
func (db *DB) DeleteUser(ctx context.Context, id uuid.UUID, grace time.Duration, reason string) (eraseAt time.Time, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		u, err := lockUser(ctx, tx, id, true)
		if err != nil {
			return err
		}
		if u.onlyAdmin {
			return errLastAdmin
		}
		if err := tx.QueryRow(ctx, `
			UPDATE users
			SET is_active = false, erase_at = least(erase_at, now() + $2::interval), updated_at = now()
			WHERE id = $1
			RETURNING erase_at`, id, grace).Scan(&eraseAt); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, id, "deleted"); err != nil {
			return err
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: voiceassist.ActionUserDeleted, Level: voiceassist.AuditWarning,
			ResourceType: "user", ResourceID: id.String(), Details: map[string]any{"reason": reason},
		})
	})
	return eraseAt, err
}
