package redis_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/redis"
)

func TestPresenceTellsOfProcessesUntilTheyAreSilent(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	c, err := redis.Open(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	p := c.NewPresence()
	all := func() map[string]string {
		t.Helper()
		states, err := p.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		for name, state := range states {
			texts[name] = string(state)
		}
		return texts
	}
	if got := all(); len(got) != 0 {
		t.Errorf("nobody is %v", got)
	}
	for name, ttl := range map[string]time.Duration{"one": time.Second, "two": time.Minute, "three": time.Minute} {
		if err := p.Put(t.Context(), name, []byte("I am "+name), ttl); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(map[string]string{"one": "I am one", "two": "I am two", "three": "I am three"}, all()); d != "" {
		t.Error(d)
	}
	server.FastForward(2 * time.Second)
	if err := p.Remove(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"three": "I am three"}, all()); d != "" {
		t.Error(d)
	}
	server.Close()
	if _, err := p.All(t.Context()); voiceassist.CodeOf(err) != voiceassist.Unavailable {
		t.Errorf("without Redis All is %v, want Unavailable", err)
	}
}
