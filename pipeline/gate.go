package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// LedgerGate is the EmbedGate that all workers share, in the ledger: two
// buckets, the pauses that the service asks for, and a breaker.
type LedgerGate struct {
	Ledger            *postgres.DB
	RequestsPerMinute int // 0 is no limit
	TokensPerMinute   int // 0 is no limit
	Log               *slog.Logger
}

var _ EmbedGate = (*LedgerGate)(nil)

// Enter waits for its turn if that comes within two seconds. It returns a
// *voiceassist.Paced when it does not or the gate is shut, the error of ctx, or
// that of the ledger.
func (g *LedgerGate) Enter(ctx context.Context, _, tokens int) error {
	wait, refused, err := g.Ledger.EnterGate(ctx, voiceassist.GateEmbed, g.cost(tokens))
	if err != nil {
		return err
	}
	if refused != "" {
		return &voiceassist.Paced{
			After: wait + rand.N(wait/10+1),
			Err:   voiceassist.Errorf(voiceassist.Unavailable, "%s", refused.Sentence()),
		}
	}
	sleep(ctx, wait)
	return ctx.Err()
}

func (g *LedgerGate) cost(tokens int) (c postgres.GateCost) {
	if g.RequestsPerMinute > 0 {
		c.Requests = time.Minute / time.Duration(g.RequestsPerMinute)
	}
	if g.TokensPerMinute > 0 {
		c.Tokens = time.Duration(float64(time.Minute) * float64(tokens) / float64(g.TokensPerMinute))
	}
	return c
}

// Left tells the ledger how a request ended, and the log if that shut or opened
// the gate.
func (g *LedgerGate) Left(ctx context.Context, err error) {
	outcome, after := gateOutcome(err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	state, turned, lost := g.Ledger.LeaveGate(ctx, voiceassist.GateEmbed, outcome, after)
	attrs := []slog.Attr{slog.String("gate", string(voiceassist.GateEmbed))}
	switch {
	case lost != nil:
		g.Log.LogAttrs(ctx, slog.LevelWarn, "gate not told", append(attrs, slog.Any("error", lost))...)
	case turned && state.Open:
		g.Log.LogAttrs(ctx, slog.LevelInfo, "gate open", attrs...)
	case turned:
		g.Log.LogAttrs(ctx, slog.LevelWarn, "gate shut", append(attrs,
			slog.String("reason", string(state.Reason)), slog.Duration("for", state.Left), slog.Int("failures", state.Failures))...)
	}
}

// gateOutcome says what the end of a request tells of the service.
func gateOutcome(err error) (outcome postgres.GateOutcome, after time.Duration) {
	if err == nil {
		return postgres.GatePassed, 0
	}
	if p, ok := errors.AsType[*voiceassist.Paced](err); ok {
		return postgres.GatePaced, p.After
	}
	if _, ok := errors.AsType[*voiceassist.Failure](err); ok {
		return postgres.GatePassed, 0 // it refused the text
	}
	if errors.Is(err, context.Canceled) {
		return postgres.GateGivenUp, 0
	}
	return postgres.GateFailed, 0
}

// whyPaced is what the timeline says of a paced attempt.
func whyPaced(p *voiceassist.Paced) string {
	if e, ok := errors.AsType[*voiceassist.Error](p.Err); ok {
		return e.Message
	}
	return "the service asks to wait"
}
