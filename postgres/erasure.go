package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// eraseBatch is how many conversations of a user one transaction removes.
const eraseBatch = 100

// EraseUsers erases users whose time has come, at most limit, the longest
// overdue first, and returns how many. One that cannot be erased keeps none of
// the others.
func (db *DB) EraseUsers(ctx context.Context, limit int) (n int, err error) {
	rows, err := db.pool.Query(ctx, `
		SELECT id
		FROM users
		WHERE erase_at <= now()
		ORDER BY erase_at
		LIMIT $1`, limit)
	if err != nil {
		return 0, classify(err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, classify(err)
	}
	var failed []error
	for _, id := range due {
		switch err := db.EraseUser(ctx, id); {
		case err == nil:
			n++
		case !errors.Is(err, voiceassist.NotFound): // somebody else was faster
			failed = append(failed, err)
		}
	}
	return n, errors.Join(failed...)
}

// EraseUser removes a deleted user whose time has come, with all that is
// theirs; their address is free again. What documents they brought into the
// library stays, and so do the audit entries about them, without address and
// client address. It is NotFound for everybody else.
//
// Conversations go first, some in each transaction, since there may be very
// many. Once they have begun to go nobody can activate the user again, and
// whoever erases next goes on where this broke off.
func (db *DB) EraseUser(ctx context.Context, id uuid.UUID) error {
	for {
		tag, err := db.pool.Exec(ctx, `
			DELETE FROM conversations
			WHERE id IN (
				SELECT v.id
				FROM conversations v
				JOIN users u ON u.id = v.user_id
				WHERE v.user_id = $1 AND u.erase_at <= now()
				LIMIT $2
				FOR SHARE OF u
			)`, id, eraseBatch)
		if err != nil {
			return classify(err)
		}
		if tag.RowsAffected() < eraseBatch {
			break
		}
	}
	return db.tx(ctx, func(tx pgx.Tx) error { return eraseUser(ctx, tx, id) })
}

// withoutReference removes what is about a user and does not refer to their row:
// an invitation that they did not need, and the networks of their failures.
var withoutReference = []string{
	`DELETE FROM invitations i USING users u WHERE u.id = $1 AND i.email = u.email`,
	`DELETE FROM sign_in_failures WHERE subject = '` + accountSubject + `' || $1::uuid`,
	`DELETE FROM sign_in_failures WHERE starts_with(subject, '` + pairSubject + `' || $1::uuid || ' ')`,
}

func eraseUser(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if err := eraseAudit(ctx, tx, id); err != nil { // which looks for their address
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE citation_reports SET comment = '' WHERE user_id = $1`, id); err != nil {
		return err
	}
	for _, sql := range withoutReference {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return err
		}
	}
	// What belongs to a user refers to their row and goes with it.
	tag, err := tx.Exec(ctx, `DELETE FROM users WHERE id = $1 AND erase_at <= now()`, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return notFound(err, "deleted user")
	}
	return addAudit(ctx, tx, voiceassist.AuditEntry{
		Action: voiceassist.ActionUserErased, Level: voiceassist.AuditWarning, ResourceType: "user", ResourceID: id.String(),
	})
}
