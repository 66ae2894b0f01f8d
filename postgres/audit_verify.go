package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// How many entries one transaction chains or removes, and one query reads.
const (
	chainBatch  = 2000
	verifyBatch = 5000
)

// ChainAudit gives the committed entries that have none their place in the
// chain, in the order of their ids within a batch, and returns how many. One
// that commits late gets a later place. Any number of processes may call it: it
// does nothing while another is at work.
func (db *DB) ChainAudit(ctx context.Context) (chained int, err error) {
	for more := true; more; {
		err := db.tx(ctx, func(tx pgx.Tx) error {
			n, err := chainSome(ctx, tx)
			more = n == chainBatch
			chained += n
			return err
		})
		if err != nil {
			return chained, err
		}
	}
	return chained, nil
}

func chainSome(ctx context.Context, tx pgx.Tx) (int, error) {
	var head voiceassist.AuditLink
	err := tx.QueryRow(ctx, `SELECT head_seq, head_hash FROM audit_chain FOR UPDATE SKIP LOCKED`).Scan(&head.Seq, &head.Hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil // another chains
	}
	if err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT `+linkColumns+`
		FROM audit_entries e
		WHERE e.seq IS NULL
		ORDER BY e.id
		LIMIT $1`, chainBatch)
	if err != nil {
		return 0, err
	}
	links, err := pgx.CollectRows(rows, scanLink)
	if err != nil || len(links) == 0 {
		return 0, err
	}
	return len(links), appendLinks(ctx, tx, head, links)
}

// appendLinks puts the links behind the head, which the caller has locked.
func appendLinks(ctx context.Context, tx pgx.Tx, head voiceassist.AuditLink, links []*auditLink) error {
	ids, seqs := make([]uuid.UUID, len(links)), make([]int64, len(links))
	prevs, hashes := make([][]byte, len(links)), make([][]byte, len(links))
	for i, l := range links {
		hash, err := l.digest(head.Seq+1, head.Hash)
		if err != nil {
			return err
		}
		ids[i], seqs[i], prevs[i], hashes[i] = l.id, head.Seq+1, head.Hash, hash
		head = voiceassist.AuditLink{Seq: head.Seq + 1, Hash: hash}
	}
	if _, err := tx.Exec(ctx, `
		UPDATE audit_entries e
		SET seq = place.seq, prev_hash = place.prev_hash, hash = place.hash
		FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[]) AS place (id, seq, prev_hash, hash)
		WHERE e.id = place.id`, ids, seqs, prevs, hashes); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE audit_chain SET head_seq = $1, head_hash = $2`, head.Seq, head.Hash)
	return err
}

// AuditBacklog returns how many entries wait for their place in the chain, and
// since when the oldest does.
func (db *DB) AuditBacklog(ctx context.Context) (n int, oldest time.Duration, err error) {
	var seconds float64
	err = db.pool.QueryRow(ctx, `
		SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8
		FROM audit_entries
		WHERE seq IS NULL`).Scan(&n, &seconds)
	return n, time.Duration(seconds * float64(time.Second)), classify(err)
}

// auditEnds reads both ends of the chain. What lock says is added to the query.
func auditEnds(ctx context.Context, tx pgx.Tx, lock string) (anchor, head voiceassist.AuditLink, err error) {
	err = tx.QueryRow(ctx, `SELECT anchor_seq, anchor_hash, head_seq, head_hash FROM audit_chain `+lock).
		Scan(&anchor.Seq, &anchor.Hash, &head.Seq, &head.Hash)
	return anchor, head, err
}

// VerifyAudit checks a part of the chain as it stands at one moment: that no
// entry in it was changed, added, removed or moved, and, if the part reaches
// the end, that the chain ends where the chainer left it. It holds one entry.
// A From beyond the end is Invalid.
func (db *DB) VerifyAudit(ctx context.Context, r voiceassist.AuditRange) (v voiceassist.AuditVerdict, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		v, err = verifyAudit(ctx, tx, r)
		return err
	})
	return v, classify(err)
}

func verifyAudit(ctx context.Context, tx pgx.Tx, r voiceassist.AuditRange) (v voiceassist.AuditVerdict, err error) {
	if v.Anchor, v.Head, err = auditEnds(ctx, tx, ""); err != nil {
		return v, err
	}
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM audit_entries WHERE seq IS NULL`).Scan(&v.Unchained); err != nil {
		return v, err
	}
	w := auditWalk{v.Anchor}
	if r.From > v.Anchor.Seq+1 {
		if w.AuditLink, v.Bad, err = linkBefore(ctx, tx, r.From, v.Head); v.Bad != nil || err != nil {
			return v, err
		}
	}
	began := time.Now()
	for {
		n := verifyBatch
		if r.Limit > 0 {
			n = min(n, r.Limit-v.Checked)
		}
		read, fault, err := w.follow(ctx, tx, n, time.Time{})
		v.Checked += read
		switch {
		case fault != nil || err != nil:
			v.Bad = fault
			return v, err
		case read < n:
			v.Bad = w.endsAt(v.Head)
			return v, nil
		case r.Limit > 0 && v.Checked >= r.Limit, r.Budget > 0 && time.Since(began) >= r.Budget:
			v.Next = w.Seq + 1
			return v, nil
		}
	}
}

// linkBefore returns the entry before a place in the middle, which is believed.
func linkBefore(ctx context.Context, tx pgx.Tx, seq int64, head voiceassist.AuditLink) (voiceassist.AuditLink, *voiceassist.AuditFault, error) {
	before := voiceassist.AuditLink{Seq: seq - 1}
	if seq > head.Seq+1 {
		return before, nil, voiceassist.FieldError("from_seq", "the chain ends at %d", head.Seq)
	}
	err := tx.QueryRow(ctx, `SELECT hash FROM audit_entries WHERE seq = $1`, before.Seq).Scan(&before.Hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return before, &voiceassist.AuditFault{Seq: before.Seq, Why: "the entry is missing"}, nil
	}
	return before, nil, err
}

// errStop ends a walk early.
var errStop = errors.New("stop")

// follow walks over at most n entries, and only over those from before a time
// if it is given. read is how many were in order.
func (w *auditWalk) follow(ctx context.Context, tx pgx.Tx, n int, before time.Time) (read int, fault *voiceassist.AuditFault, err error) {
	rows, err := tx.Query(ctx, `
		SELECT `+linkColumns+`, `+personColumns+`
		FROM audit_entries e
		LEFT JOIN audit_people p ON p.entry_id = e.id
		WHERE e.seq > $1
		ORDER BY e.seq
		LIMIT $2`, w.Seq, n)
	if err != nil {
		return 0, nil, err
	}
	var l auditLink
	_, err = pgx.ForEachRow(rows, slices.Concat(l.fields(), l.personFields()), func() error {
		if !before.IsZero() && !l.at.Before(before) {
			return errStop
		}
		var broken error
		if fault, broken = w.step(&l); broken != nil {
			return broken
		}
		if fault != nil {
			return errStop
		}
		read++
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return read, fault, err
}

// ExpireAudit removes the chained entries from before a time, as far as they are
// the beginning of the chain, a batch in each transaction, and returns how many.
// The last one removed becomes the chain's anchor. That entries were removed is
// an entry itself. What is not in order is evidence: it is kept, and the error
// says where.
func (db *DB) ExpireAudit(ctx context.Context, before time.Time) (removed int, err error) {
	for more := true; more; {
		err := db.tx(ctx, func(tx pgx.Tx) error {
			n, err := expireSome(ctx, tx, before)
			more = n == verifyBatch
			removed += n
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func expireSome(ctx context.Context, tx pgx.Tx, before time.Time) (int, error) {
	anchor, _, err := auditEnds(ctx, tx, "FOR UPDATE")
	if err != nil {
		return 0, err
	}
	w := auditWalk{anchor}
	n, fault, err := w.follow(ctx, tx, verifyBatch, before)
	if err != nil {
		return 0, err
	}
	if fault != nil {
		return 0, fmt.Errorf("the audit chain is broken at %d: %s", fault.Seq, fault.Why)
	}
	if n == 0 {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, `UPDATE audit_chain SET anchor_seq = $1, anchor_hash = $2, anchored_at = now()`, w.Seq, w.Hash); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM audit_entries WHERE seq <= $1`, w.Seq); err != nil {
		return 0, err
	}
	return n, addAudit(ctx, tx, voiceassist.AuditEntry{
		Action: "audit.expired", Level: voiceassist.AuditWarning, ResourceType: "audit",
		Details: map[string]any{
			"removed": n, "through_seq": w.Seq, "through_hash": hex.EncodeToString(w.Hash),
			"before": before.UTC().Format(time.RFC3339),
		},
	})
}
