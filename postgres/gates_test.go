package postgres

import (
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

func newGate() *gate {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	return &gate{name: voiceassist.GateEmbed, now: now, requestsAt: now, tokensAt: now}
}

// after lets time pass.
func (g *gate) after(d time.Duration) *gate {
	g.now = g.now.Add(d)
	return g
}

func TestABreakerOpensAfterFailuresInARowAndProbesLater(t *testing.T) {
	t.Parallel()
	g := newGate()
	for range breakAfter - 1 {
		if g.leave(GateFailed, 0) {
			t.Fatal("the gate is shut too early")
		}
	}
	if g.leave(GatePassed, 0); g.failures != 0 {
		t.Errorf("%d failures in a row after a success", g.failures)
	}
	for range breakAfter {
		g.leave(GateFailed, 0)
	}
	for i, coolDown := range []time.Duration{5, 10, 20, 40, 60, 60} {
		coolDown *= time.Second
		if wait, refused := g.enter(GateCost{}); refused != voiceassist.GateFailingReason || wait != coolDown || g.takes() != 0 {
			t.Fatalf("probe %d: enter = %s, %q, takes %d; want refused for %s", i, wait, refused, g.takes(), coolDown)
		}
		if g.leave(GateFailed, 0); g.shutUntil.Sub(g.now) != coolDown {
			t.Fatalf("probe %d: what was under way prolonged the pause", i)
		}
		if n := g.after(coolDown).takes(); n != 1 {
			t.Fatalf("probe %d: %d jobs may be published, want 1", i, n)
		}
		if _, refused := g.enter(GateCost{}); refused != "" {
			t.Fatalf("probe %d is refused: %s", i, refused)
		}
		if _, refused := g.enter(GateCost{}); refused != voiceassist.GateProbingReason || g.takes() != 0 {
			t.Fatalf("probe %d: a second one is let through beside it", i)
		}
		g.leave(GateFailed, 0)
	}
	g.after(maxCoolDown).enter(GateCost{})
	if !g.leave(GatePassed, 0) || !g.state().Open || g.shuts != 0 {
		t.Errorf("after a probe that passed the gate is %+v", g.state())
	}
}

func TestAPauseIsAsLongAsTheServiceAsks(t *testing.T) {
	t.Parallel()
	g := newGate()
	if !g.leave(GatePaced, time.Minute) || g.leave(GatePaced, time.Second) || g.leave(GatePassed, 0) {
		t.Error("a pause is announced once")
	}
	if s := g.state(); s.Open || s.Left != time.Minute || s.Reason != voiceassist.GatePacedReason {
		t.Errorf("the gate is %+v, want it paced for a minute", s)
	}
	g.leave(GatePaced, 2*time.Minute)
	if s := g.state(); s.Left != 2*time.Minute {
		t.Errorf("the gate is shut for %s, want the longer pause", s.Left)
	}
	g.after(2 * time.Minute).enter(GateCost{})
	if g.leave(GateGivenUp, 0); g.probing() || g.takes() != 1 {
		t.Error("a probe that was given up is not made again")
	}
	g.enter(GateCost{})
	if g.leave(GatePaced, 0); g.state().Left != shortestPace {
		t.Errorf("a service that names no time is left alone for %s", g.state().Left)
	}
}

func TestTheProbeOfAWorkerThatDiedIsMadeAgain(t *testing.T) {
	t.Parallel()
	g := newGate()
	g.leave(GatePaced, time.Minute)
	g.after(time.Minute).enter(GateCost{})
	if _, refused := g.after(probeFor).enter(GateCost{}); refused != "" {
		t.Errorf("refused: %s", refused)
	}
}

func TestBucketsLetThroughWhatTheLimitsAllow(t *testing.T) {
	t.Parallel()
	for name, cost := range map[string]GateCost{
		"requests": {Requests: 100 * time.Millisecond},
		"tokens":   {Requests: time.Millisecond, Tokens: 100 * time.Millisecond},
	} {
		g, passed := newGate(), 0
		for range 60 * 20 { // a minute, twenty tries a second
			for range 5 {
				wait, refused := g.enter(cost)
				if refused == "" {
					passed++
				} else if refused != voiceassist.GateFullReason || wait <= maxBucketWait {
					t.Fatalf("%s: refused for %s: %s", name, wait, refused)
				}
			}
			g.after(50 * time.Millisecond)
		}
		// Ten a second, and what may be asked for ahead.
		if passed < 600 || passed > 635 {
			t.Errorf("%s: %d requests in a minute, want 600 and the burst", name, passed)
		}
		if n := g.after(time.Minute).takes(); n != 31 {
			t.Errorf("%s: %d jobs are worth publishing, want those of three seconds and one that ends later", name, n)
		}
	}
}

func TestARequestThatCostsMoreThanTheBucketsHoldComesThrough(t *testing.T) {
	t.Parallel()
	g, cost := newGate(), GateCost{Requests: time.Minute, Tokens: 38 * time.Second}
	g.step = cost.Requests // of the request before
	for i := range 3 {
		if n := g.takes(); n != 1 {
			t.Fatalf("request %d: %d jobs are worth publishing, want 1", i, n)
		}
		if _, refused := g.enter(cost); refused != "" {
			t.Fatalf("request %d is refused: %s", i, refused)
		}
		wait, refused := g.enter(cost)
		if refused != voiceassist.GateFullReason || g.takes() != 0 {
			t.Fatalf("request %d: another is let through beside it", i)
		}
		g.after(wait)
	}
}
