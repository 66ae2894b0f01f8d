package openai

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterReadsEveryForm(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, value string
		want        time.Duration
		told        bool
	}{
		{"Retry-After", "12", 12 * time.Second, true},
		{"Retry-After", "0.5", 500 * time.Millisecond, true},
		{"Retry-After", "Thu, 01 Jan 2026 12:00:30 GMT", 30 * time.Second, true},
		{"Retry-After", "Thu, 01 Jan 2026 11:00:00 GMT", 0, true},
		{"Retry-After-Ms", "250", 250 * time.Millisecond, true},
		{"X-Ratelimit-Reset-Requests", "1m2s", 62 * time.Second, true},
		{"Retry-After", "86400", maxPace, true},
		{"Retry-After", "soon", 0, false},
		{"X-Other", "1", 0, false},
	} {
		got, told := retryAfter(http.Header{c.name: {c.value}}, now)
		if got != c.want || told != c.told {
			t.Errorf("retryAfter(%s: %s) = %s, %v; want %s, %v", c.name, c.value, got, told, c.want, c.told)
		}
	}
}
