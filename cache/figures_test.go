package cache_test

import (
	"context"
	"sync"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
)

// slowFigures counts how often and how many at once it is asked, and waits
// with every answer for go on.
type slowFigures struct {
	begun chan struct{}
	goOn  chan struct{}

	mu        sync.Mutex
	now, most int
}

func (s *slowFigures) Summary(context.Context) (voiceassist.Summary, error) {
	s.count()
	return voiceassist.Summary{Users: 7}, nil
}

func (s *slowFigures) Usage(_ context.Context, days int) (voiceassist.Usage, error) {
	s.count()
	return voiceassist.Usage{Uploads: make([]int, days)}, nil
}

func (s *slowFigures) count() {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	s.begun <- struct{}{}
	<-s.goOn
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
}

func TestFiguresAreCountedOnceForManyAndAFewAtATime(t *testing.T) {
	t.Parallel()
	const periods = 8
	store := &slowFigures{begun: make(chan struct{}, 100), goOn: make(chan struct{})}
	c := cache.New(cache.Options{})
	t.Cleanup(c.Close)
	f := cache.NewFigures(c, store)
	var asking sync.WaitGroup
	for i := range 40 {
		asking.Go(func() {
			days := 1 + i%periods
			if u, err := f.Usage(t.Context(), days); err != nil || len(u.Uploads) != days {
				t.Errorf("Usage(%d) = %d days, %v", days, len(u.Uploads), err)
			}
		})
		asking.Go(func() {
			if s, err := f.Summary(t.Context()); err != nil || s.Users != 7 {
				t.Errorf("Summary = %+v, %v", s, err)
			}
		})
	}
	<-store.begun
	<-store.begun // two are counting, and wait
	close(store.goOn)
	asking.Wait()
	if n := 2 + len(store.begun); n != periods+1 {
		t.Errorf("counted %d times, want %d", n, periods+1)
	}
	if store.most != 2 {
		t.Errorf("%d countings at once, want 2", store.most)
	}
	if got := c.Figures(t.Context()).Namespaces; len(got) != 1 || got[0].Name != "panel" || got[0].Near.Entries != periods+1 {
		t.Errorf("the cache holds %+v", got)
	}
}
