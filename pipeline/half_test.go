package pipeline

import (
	"math"
	"testing"
)

func TestEveryHalfFloatSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	for h := range 1 << 16 {
		f := fromHalf(uint16(h))
		if math.IsNaN(float64(f)) {
			continue
		}
		if got := toHalf(f); got != uint16(h) {
			t.Fatalf("half %#04x is %v and comes back as %#04x", h, f, got)
		}
	}
}

func TestComponentsOfUnitVectorsKeepThreeDigits(t *testing.T) {
	t.Parallel()
	for _, f := range []float32{1, -1, 0.5, 0.0303, -0.00071, 3e-5} {
		got := unpackHalf(packHalf([]float32{f}))[0]
		if math.Abs(float64(got-f)) > 1e-3*math.Abs(float64(f)) {
			t.Errorf("%v comes back as %v", f, got)
		}
	}
}
