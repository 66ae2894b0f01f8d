package httpapi

import (
	"testing"
	"time"
)

func TestPaceLetsABurstThroughAndThenTheRate(t *testing.T) {
	t.Parallel()
	var p pace
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range frameBurst {
		if v := p.take(now); v != paceGood {
			t.Fatalf("frame %d of a burst is %v", i+1, v)
		}
	}
	if v := p.take(now); v != paceTooFast {
		t.Errorf("a frame beyond the burst is %v", v)
	}
	for i := range 1000 {
		now = now.Add(time.Second / frameRate)
		if v := p.take(now); i > 0 && v == paceAbusive {
			t.Fatalf("frame %d at the rate is %v", i+1, v)
		}
	}
	now = now.Add(time.Minute)
	if v := p.take(now); v != paceGood {
		t.Errorf("a frame after a pause is %v", v)
	}
}

func TestPaceGivesUpOnAClientThatGoesOn(t *testing.T) {
	t.Parallel()
	var p pace
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	verdicts := map[paceVerdict]int{}
	for verdicts[paceAbusive] == 0 {
		verdicts[p.take(now)]++
		now = now.Add(time.Second / (2 * frameRate))
	}
	if verdicts[paceGood] < frameBurst || verdicts[paceTooFast] < frameExcess {
		t.Errorf("at twice the rate the verdicts are %v", verdicts)
	}
}
