package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

const verificationColumns = `id, night IS NOT NULL, repair, requested_at, started_at, finished_at, error, checked, counts, repaired, differences`

// RequestVerification asks for a comparison of ledger, index, blob store and
// queue, or joins the one that waits. It is a Conflict when repair is wanted and
// one that does not repair is under way.
func (db *DB) RequestVerification(ctx context.Context, repair bool) (v voiceassist.Verification, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			INSERT INTO verifications (id, repair)
			VALUES ($1, $2)
			ON CONFLICT ((true)) WHERE finished_at IS NULL DO UPDATE
			SET repair = CASE WHEN verifications.started_at IS NULL THEN verifications.repair OR excluded.repair ELSE verifications.repair END
			RETURNING `+verificationColumns, uuid.Must(uuid.NewV7()), repair)
		if err != nil {
			return err
		}
		if v, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[voiceassist.Verification]); err != nil {
			return err
		}
		if repair && !v.Repair {
			return voiceassist.Errorf(voiceassist.Conflict, "A verification that does not repair is under way; ask again when it has ended")
		}
		return addAudit(ctx, tx, voiceassist.AuditEntry{
			Action: "library.verification_requested", ResourceType: "verification", ResourceID: v.ID.String(), Details: map[string]any{"repair": repair},
		})
	})
	return v, err
}

// ScheduleVerification asks for the verification of a night, a date in UTC,
// unless that was done or another one is unfinished.
func (db *DB) ScheduleVerification(ctx context.Context, night time.Time) error {
	_, err := db.pool.Exec(ctx, `
		INSERT INTO verifications (id, night)
		VALUES ($1, $2::date)
		ON CONFLICT DO NOTHING`, uuid.Must(uuid.NewV7()), night.UTC().Format(time.DateOnly))
	return classify(err)
}

// verifyLock is the advisory lock of whoever verifies.
const verifyLock = 0x766572696679 // "verify"

// RunVerification has do carry out the verification that is unfinished, if there
// is one and no other process is about it, and stores its result. One whose
// process died, or whose context ended, stays unfinished and is begun again by the
// next call. ran reports whether there was anything to do.
func (db *DB) RunVerification(ctx context.Context, do func(ctx context.Context, repair bool) (voiceassist.Verification, error)) (ran bool, err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return false, classify(err)
	}
	defer conn.Release()
	var locked bool
	if err := conn.QueryRow(ctx, `
		SELECT EXISTS (SELECT 1 FROM verifications WHERE finished_at IS NULL) AND pg_try_advisory_lock($1)`, verifyLock).Scan(&locked); err != nil || !locked {
		return false, classify(err)
	}
	defer release(ctx, conn.Conn(), verifyLock)
	var id uuid.UUID
	var repair bool
	err = conn.QueryRow(ctx, `
		UPDATE verifications
		SET started_at = now()
		WHERE finished_at IS NULL
		RETURNING id, repair`).Scan(&id, &repair)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, classify(err)
	}
	v, err := do(ctx, repair)
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	return true, errors.Join(err, db.finishVerification(ctx, id, v, err))
}

// verificationMemory is how long results are kept.
const verificationMemory = 90 * 24 * time.Hour

func (db *DB) finishVerification(ctx context.Context, id uuid.UUID, v voiceassist.Verification, failure error) error {
	message := ""
	if failure != nil {
		message = "Something could not be read; the log of the scheduler has the cause."
	}
	if v.Differences == nil {
		v.Differences = []voiceassist.Difference{}
	}
	return db.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE verifications
			SET finished_at = now(), error = $2, checked = coalesce($3::jsonb, '{}'), counts = coalesce($4::jsonb, '{}'), repaired = $5, differences = $6
			WHERE id = $1`, id, message, v.Checked, v.Counts, v.Repaired, v.Differences); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM verifications WHERE finished_at < now() - $1::interval`, verificationMemory)
		return err
	})
}

func release(ctx context.Context, conn *pgx.Conn, lock int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	// On failure the lock ends with the connection.
	_, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, lock)
}

// Verifications returns the last finished verification and the unfinished one;
// either is nil if there is none.
func (db *DB) Verifications(ctx context.Context) (last, unfinished *voiceassist.Verification, err error) {
	rows, err := db.pool.Query(ctx, `
		(SELECT `+verificationColumns+` FROM verifications WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1)
		UNION ALL
		SELECT `+verificationColumns+` FROM verifications WHERE finished_at IS NULL`)
	if err != nil {
		return nil, nil, classify(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[voiceassist.Verification])
	for _, v := range found {
		if v.FinishedAt == nil {
			unfinished = v
		} else {
			last = v
		}
	}
	return last, unfinished, classify(err)
}

// VerificationSummary is what is known of verifications without their details.
type VerificationSummary struct {
	LastSuccess time.Time // when one was last done without error; zero if never
	Took        time.Duration
	Counts      map[voiceassist.DifferenceKind]int // of that one
	Repaired    int
}

// VerificationSummary returns the summary of the last verification that could
// be done.
func (db *DB) VerificationSummary(ctx context.Context) (s VerificationSummary, err error) {
	var started time.Time
	err = db.pool.QueryRow(ctx, `
		SELECT started_at, finished_at, counts, repaired
		FROM verifications
		WHERE finished_at IS NOT NULL AND error = ''
		ORDER BY finished_at DESC
		LIMIT 1`).Scan(&started, &s.LastSuccess, &s.Counts, &s.Repaired)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, nil
	}
	s.Took = s.LastSuccess.Sub(started)
	return s, classify(err)
}
