package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// How a gate shuts and opens.
const (
	breakAfter    = 5                // failures in a row shut it
	firstCoolDown = 5 * time.Second  // before the first probe; twice as long after each that fails,
	maxCoolDown   = time.Minute      // up to this
	shortestPace  = time.Second      // a gate is shut for at least so long
	probeFor      = 90 * time.Second // a probe whose sender has died is out for so long
	probeAgain    = 2 * time.Second  // whoever meets a probe under way comes back after this
)

// Bounds of a gate's buckets, in the time in which they fill again.
const (
	bucketBurst   = time.Second     // may be asked for at once
	maxBucketWait = 2 * time.Second // that is worth waiting for; who would wait longer comes back
)

// GateCost is what one request takes out of a gate's buckets: for how long the
// limit of requests and that of tokens are used up. 0 is no limit.
type GateCost struct {
	Requests time.Duration
	Tokens   time.Duration
}

// GateState is how a gate stands.
type GateState struct {
	Name     voiceassist.Gate
	Open     bool
	Reason   voiceassist.GateReason // why it is shut
	Left     time.Duration          // until it may be probed; 0 when open
	Probing  bool                   // a request is under way that may open it
	Failures int                    // in a row
	Debt     time.Duration          // how long the buckets take to be full again
}

// EnterGate asks for leave to send one request through a gate. Either it is
// given, and the request may go after wait, or it is not, and asking again makes
// sense after wait, for the reason given.
func (db *DB) EnterGate(ctx context.Context, name voiceassist.Gate, cost GateCost) (wait time.Duration, refused voiceassist.GateReason, err error) {
	if cost == (GateCost{}) {
		g, err := gateByName(ctx, db.pool, name, "")
		if err != nil || g.shutUntil == nil && g.step == 0 {
			return 0, "", classify(err)
		}
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		g, err := gateByName(ctx, tx, name, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		if wait, refused = g.enter(cost); refused != "" {
			return nil
		}
		return g.save(ctx, tx)
	})
	return wait, refused, err
}

// GateOutcome is how a request that went through a gate ended.
type GateOutcome int

// The outcomes. A request that was given up says nothing about the service.
const (
	GatePassed  GateOutcome = iota // the service answered, be it with a refusal of the text
	GateFailed                     // it did not
	GatePaced                      // it asks to come back later
	GateGivenUp                    //
)

// LeaveGate tells how a request ended; after is for how long a paced one is. It
// returns how the gate stands then, and whether that has opened or shut it.
func (db *DB) LeaveGate(ctx context.Context, name voiceassist.Gate, outcome GateOutcome, after time.Duration) (state GateState, turned bool, err error) {
	if outcome == GatePassed || outcome == GateGivenUp {
		g, err := gateByName(ctx, db.pool, name, "")
		if err != nil || g.shutUntil == nil && g.failures == 0 {
			return g.state(), false, classify(err)
		}
	}
	err = db.tx(ctx, func(tx pgx.Tx) error {
		g, err := gateByName(ctx, tx, name, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		turned = g.leave(outcome, after)
		state = g.state()
		if turned {
			if _, err := tx.Exec(ctx, `SELECT pg_notify('`+JobsChannel+`', '')`); err != nil {
				return err
			}
		}
		return g.save(ctx, tx)
	})
	return state, turned, err
}

// Gates returns how all gates stand.
func (db *DB) Gates(ctx context.Context) ([]GateState, error) {
	rows, err := db.pool.Query(ctx, `SELECT `+gateColumns+` FROM gates ORDER BY name`)
	if err != nil {
		return nil, classify(err)
	}
	all, err := pgx.CollectRows(rows, scanGate)
	states := make([]GateState, len(all))
	for i, g := range all {
		states[i] = g.state()
	}
	return states, classify(err)
}

// openGates returns how many jobs may be published now for each gate that takes
// any; "" takes all.
func openGates(ctx context.Context, tx pgx.Tx) (map[voiceassist.Gate]int, error) {
	takes := map[voiceassist.Gate]int{"": math.MaxInt32}
	rows, err := tx.Query(ctx, `
		SELECT `+gateColumns+`,
			(SELECT count(*) FROM jobs j WHERE j.state = 'pending' AND j.published_at IS NOT NULL AND j.gate = gates.name)
		FROM gates`)
	if err != nil {
		return nil, err
	}
	var g gate
	var published int
	_, err = pgx.ForEachRow(rows, append(g.fields(), &published), func() error {
		if n := g.takes() - published; n > 0 {
			takes[g.name] = n
		}
		return nil
	})
	return takes, err
}

// gate is a row of gates as it was read at now. All times are the database's.
type gate struct {
	name       voiceassist.Gate
	now        time.Time
	shutUntil  *time.Time // nil while it is open
	reason     voiceassist.GateReason
	failures   int
	shuts      int
	probeUntil *time.Time
	requestsAt time.Time // when the bucket of requests is full again; past is full
	tokensAt   time.Time
	step       time.Duration // what the last request cost
}

const gateColumns = `name, clock_timestamp(), shut_until, reason, failures, shuts, probe_until, requests_at, tokens_at, step`

func (g *gate) fields() []any {
	return []any{
		&g.name, &g.now, &g.shutUntil, &g.reason, &g.failures, &g.shuts, &g.probeUntil, &g.requestsAt, &g.tokensAt, &g.step,
	}
}

func scanGate(row pgx.CollectableRow) (g gate, err error) {
	err = row.Scan(g.fields()...)
	return g, err
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func gateByName(ctx context.Context, q querier, name voiceassist.Gate, lock string) (gate, error) {
	rows, err := q.Query(ctx, `SELECT `+gateColumns+` FROM gates WHERE name = $1 `+lock, name)
	if err != nil {
		return gate{}, err
	}
	g, err := pgx.CollectExactlyOneRow(rows, scanGate)
	return g, notFound(err, "gate")
}

func (g *gate) save(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		UPDATE gates
		SET shut_until = $2, reason = $3, failures = $4, shuts = $5, probe_until = $6, requests_at = $7, tokens_at = $8, step = $9
		WHERE name = $1`,
		g.name, g.shutUntil, g.reason, g.failures, g.shuts, g.probeUntil, g.requestsAt, g.tokensAt, g.step)
	return err
}

// shut reports whether it is shut and not even a probe may go.
func (g *gate) shut() bool { return g.shutUntil != nil && g.now.Before(*g.shutUntil) }

// probing reports whether a probe is under way.
func (g *gate) probing() bool { return g.probeUntil != nil && g.now.Before(*g.probeUntil) }

// debt is how long the buckets take to be full again.
func (g *gate) debt() time.Duration {
	return max(0, g.requestsAt.Sub(g.now), g.tokensAt.Sub(g.now))
}

// takes returns how many jobs it is worth publishing for it now: as many as the
// buckets let through soon, one to probe, or none.
func (g *gate) takes() int {
	switch {
	case g.shut() || g.probing():
		return 0
	case g.shutUntil != nil:
		return 1
	case g.step == 0:
		return math.MaxInt32
	}
	room := bucketBurst + maxBucketWait - g.debt()
	if room < 0 {
		return 0
	}
	return 1 + int(room/g.step) // the last one goes into debt, be it deep: one request may cost more than the buckets hold
}

// enter lets a request in, to go after wait, or refuses it.
func (g *gate) enter(cost GateCost) (wait time.Duration, refused voiceassist.GateReason) {
	wait = max(0, g.debt()-bucketBurst)
	switch {
	case g.shut():
		return g.shutUntil.Sub(g.now), g.reason
	case g.probing():
		return probeAgain, voiceassist.GateProbingReason
	case wait > maxBucketWait:
		return wait, voiceassist.GateFullReason
	}
	g.requestsAt = later(g.requestsAt, g.now).Add(cost.Requests)
	g.tokensAt = later(g.tokensAt, g.now).Add(cost.Tokens)
	g.step = max(cost.Requests, cost.Tokens)
	if g.shutUntil != nil {
		g.probeUntil = new(g.now.Add(probeFor))
	}
	return wait, ""
}

// leave notes how a request ended and reports whether that opened or shut it.
// What was under way when it shut changes nothing any more, except that the
// service may ask for a longer pause.
func (g *gate) leave(outcome GateOutcome, after time.Duration) (turned bool) {
	wasShut, probed := g.shut(), g.shutUntil != nil && !g.shut()
	switch outcome {
	case GateGivenUp:
		g.probeUntil = nil
		return false
	case GatePassed:
		if wasShut {
			return false
		}
		g.shutUntil, g.reason, g.probeUntil, g.failures, g.shuts = nil, "", nil, 0, 0
		return probed
	case GatePaced:
		until := g.now.Add(max(after, shortestPace))
		if wasShut && until.Before(*g.shutUntil) {
			return false
		}
		g.shutUntil, g.reason, g.probeUntil = &until, voiceassist.GatePacedReason, nil
		return !wasShut
	case GateFailed:
		g.failures++
		if wasShut || !probed && g.failures < breakAfter {
			return false
		}
		coolDown := min(firstCoolDown<<min(g.shuts, 10), maxCoolDown)
		g.shutUntil, g.reason, g.probeUntil = new(g.now.Add(coolDown)), voiceassist.GateFailingReason, nil
		g.shuts++
		return true
	}
	return false
}

func (g *gate) state() GateState {
	s := GateState{Name: g.name, Open: g.shutUntil == nil, Reason: g.reason, Probing: g.probing(), Failures: g.failures, Debt: g.debt()}
	if g.shut() {
		s.Left = g.shutUntil.Sub(g.now)
	}
	return s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
