package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// What failed sign-ins cost. An account that fails from one network waits for
// 1, 2, 4, … seconds there after freeFailures; a network that fails with many
// accounts waits a little; an account that fails from anywhere is locked after
// lockAfter, for longer each time, until somebody signs in.
const (
	freeFailures    = 3
	longestWait     = 30 * time.Second
	freeOfNetwork   = 50
	longestOfOthers = 5 * time.Second
	lockAfter       = 10
	firstLock       = 5 * time.Minute
	longestLock     = 24 * time.Hour

	lockGrowth = 3.0 // times as long as the last one

	forgetAfter        = 2 * 24 * time.Hour // without another failure
	forgetNetworkAfter = 15 * time.Minute
)

// What subjects of failures begin with.
const (
	accountSubject = "account:"
	networkSubject = "network:"
	pairSubject    = "pair:"
)

// spared is true of a user u who is the last active admin without a lock. Asked
// with each attempt, it holds whatever happens to the other admins meanwhile.
const spared = `
	u.role = 'admin' AND u.is_active AND NOT EXISTS (
		SELECT 1
		FROM users o
		LEFT JOIN sign_in_failures f ON f.subject = '` + accountSubject + `' || o.id
		WHERE o.role = 'admin' AND o.is_active AND o.id <> u.id AND coalesce(f.locked_until <= now(), true)
	)`

// subjects are under what the failures of an attempt are counted, in the order
// in which rows are locked. An address that nobody has is kept as its digest.
func subjects(a voiceassist.Attempt) (account, network, pair string) {
	who := a.UserID.String()
	if a.UserID == uuid.Nil {
		digest := sha256.Sum256([]byte(a.Email))
		who = hex.EncodeToString(digest[:])
	}
	return accountSubject + who, networkSubject + a.Network, pairSubject + who + " " + a.Network
}

// MaySignIn returns nil, or RateLimited when the account or the network has to
// wait, or Forbidden when the account is locked. The last active admin who is
// not locked can only be made to wait.
func (db *DB) MaySignIn(ctx context.Context, a voiceassist.Attempt) error {
	account, network, pair := subjects(a)
	var wait float64
	var locked bool
	err := db.pool.QueryRow(ctx, `
		SELECT coalesce(extract(epoch FROM max(f.retry_at) - now()), 0)::float8, coalesce(bool_or(f.locked_until > now()), false)
		FROM sign_in_failures f
		WHERE f.subject = ANY($1)`, []string{account, network, pair}).Scan(&wait, &locked)
	if err != nil {
		return classify(err)
	}
	if locked {
		if locked, err = isLocked(ctx, db.pool, a.UserID); err != nil || locked {
			return lockedOr(err)
		}
	}
	if wait > 0 {
		return &voiceassist.Error{
			Code: voiceassist.RateLimited, Message: "Too many failed sign-ins, wait a moment before the next",
			RetryAfter: time.Duration(wait * float64(time.Second)),
		}
	}
	return nil
}

// isLocked is asked of an account that has a lock: does it hold?
func isLocked(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, userID uuid.UUID,
) (bool, error) {
	var isSpared bool
	err := q.QueryRow(ctx, `SELECT `+spared+` FROM users u WHERE u.id = $1`, userID).Scan(&isSpared)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil // nobody's address
	}
	return !isSpared, err
}

func lockedOr(err error) error {
	if err != nil {
		return classify(err)
	}
	return voiceassist.Errorf(voiceassist.Forbidden, "This account is locked after too many failed sign-ins; try again later or reset the password")
}

// SignInFailed counts a failed attempt, locks the account if there were too
// many, and notes both in the audit log. Attempts that end while the account is
// locked are not counted.
func (db *DB) SignInFailed(ctx context.Context, a voiceassist.Attempt, reason string) error {
	account, network, pair := subjects(a)
	return db.tx(ctx, func(tx pgx.Tx) error {
		e := voiceassist.AuditEntry{
			Action: "auth.login_failed", Level: voiceassist.AuditWarning, Failed: true, UserID: a.UserID, Email: a.Email,
			ResourceType: "user", Details: map[string]any{"reason": reason},
		}
		if a.UserID != uuid.Nil {
			e.ResourceID = a.UserID.String()
		}
		if err := addAudit(ctx, tx, e); err != nil {
			return err
		}
		n, err := countFailure(ctx, tx, account, forgetAfter)
		if err == nil && n >= lockAfter {
			err = lock(ctx, tx, a, account)
		}
		if err != nil || a.Network == "" {
			return err
		}
		if err := slowDown(ctx, tx, network, freeOfNetwork, longestOfOthers, forgetNetworkAfter); err != nil {
			return err
		}
		return slowDown(ctx, tx, pair, freeFailures, longestWait, forgetAfter)
	})
}

// countFailure returns how many failures of a subject there are now; 0 while it
// is locked, when they do not count.
func countFailure(ctx context.Context, tx pgx.Tx, subject string, forget time.Duration) (n int, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO sign_in_failures AS f (subject, failures)
		VALUES ($1, 1)
		ON CONFLICT (subject) DO UPDATE
		SET failures = CASE WHEN f.last_at < now() - $2::interval THEN 1 ELSE f.failures + 1 END,
			locks = CASE WHEN f.last_at < now() - $2::interval THEN 0 ELSE f.locks END,
			last_at = now()
		WHERE coalesce(f.locked_until <= now(), true)
		RETURNING f.failures`, subject, forget).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// slowDown counts a failure and makes the subject wait, twice as long each time,
// for those beyond the free ones.
func slowDown(ctx context.Context, tx pgx.Tx, subject string, free int, longest, forget time.Duration) error {
	n, err := countFailure(ctx, tx, subject, forget)
	if err != nil || n <= free {
		return err
	}
	wait := min(time.Second<<min(n-free-1, 10), longest)
	_, err = tx.Exec(ctx, `
		UPDATE sign_in_failures
		SET retry_at = now() + $2::interval
		WHERE subject = $1`, subject, wait)
	return err
}

// lock locks an account that has failed too often. The caller holds its row.
func lock(ctx context.Context, tx pgx.Tx, a voiceassist.Attempt, account string) error {
	if a.UserID != uuid.Nil {
		if lockable, err := isLocked(ctx, tx, a.UserID); err != nil || !lockable {
			return err
		}
	}
	var until time.Time
	if err := tx.QueryRow(ctx, `
		UPDATE sign_in_failures
		SET failures = 0, locks = locks + 1,
			locked_until = now() + least($2::interval * power($3::float8, least(locks, 20)), $4::interval)
		WHERE subject = $1
		RETURNING locked_until`, account, firstLock, lockGrowth, longestLock).Scan(&until); err != nil || a.UserID == uuid.Nil {
		return err
	}
	return addAudit(ctx, tx, voiceassist.AuditEntry{
		Action: "account.locked", Level: voiceassist.AuditWarning, ResourceType: "user", ResourceID: a.UserID.String(),
		Details: map[string]any{"reason": "failed sign-ins", "until": until.UTC().Format(time.RFC3339)},
	})
}

// forgetFailures is for an attempt that has succeeded. It is Forbidden if the
// account was locked while the attempt was looked at.
func forgetFailures(ctx context.Context, tx pgx.Tx, a voiceassist.Attempt) error {
	account, _, pair := subjects(a)
	var locked bool
	err := tx.QueryRow(ctx, `
		DELETE FROM sign_in_failures
		WHERE subject = $1
		RETURNING coalesce(locked_until > now(), false)`, account).Scan(&locked)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if locked && a.Network != "" {
		if locked, err := isLocked(ctx, tx, a.UserID); err != nil || locked {
			return lockedOr(err)
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM sign_in_failures WHERE subject = $1`, pair)
	return err
}

// UnlockAccount takes the lock and all waits off the account of an address and
// reports whether it was locked. It is NotFound when nobody has the address.
func (db *DB) UnlockAccount(ctx context.Context, email string) (locked bool, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		u, err := scanUser(tx.QueryRow(ctx, `SELECT `+userColumns+` FROM users u WHERE u.email = $1`, email))
		if err != nil {
			return notFound(err, "user")
		}
		locked, err = removeLock(ctx, tx, u, "an operator")
		return err
	})
	return locked, err
}

// removeLock removes what failures have cost a user, and notes in the audit
// log that an account that was locked no longer is.
func removeLock(ctx context.Context, tx pgx.Tx, u voiceassist.User, reason string) (locked bool, err error) {
	account, _, pair := subjects(voiceassist.Attempt{UserID: u.ID})
	err = tx.QueryRow(ctx, `
		DELETE FROM sign_in_failures
		WHERE subject = $1
		RETURNING coalesce(locked_until > now(), false)`, account).Scan(&locked)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM sign_in_failures WHERE starts_with(subject, $1)`, pair); err != nil || !locked {
		return locked, err
	}
	return locked, addAudit(ctx, tx, voiceassist.AuditEntry{
		Action: "account.unlocked", ResourceType: "user", ResourceID: u.ID.String(), Details: map[string]any{"reason": reason},
	})
}
