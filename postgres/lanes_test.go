package postgres_test

import (
	"fmt"
	"testing"

	"github.com/voiceassist/backend/postgres"
)

// TestManyLanesThatAreNotDueHideNoneThatIs has more lanes before the one that is
// due than a pass looks at: the next goes on after them, and round.
func TestManyLanesThatAreNotDueHideNoneThatIs(t *testing.T) {
	t.Parallel()
	idle := make([]string, 2*postgres.MaxWindow+10)
	for i := range idle {
		idle[i] = fmt.Sprintf("m:%04d", i)
	}
	db, conn := openWithJobs(t, idle, 1)
	if _, err := conn.Exec(t.Context(), `UPDATE jobs SET run_at = now() + interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	for _, due := range []string{"z", "a"} { // after all of them, and before
		addLanes(t, conn, []string{due}, 1)
		var lanes []string
		var held bool
		for range 3 {
			if lanes, held = published(t, db, 16); len(lanes) > 0 {
				break
			} else if !held {
				t.Fatal("a pass that has not looked at all lanes says that it has")
			}
		}
		if joined(lanes) != due {
			t.Errorf("published are %v in three passes, want %q", lanes, due)
		}
		start(t, conn)
	}
}

func TestMoreLanesThanAPassLooksAtTakeTurns(t *testing.T) {
	t.Parallel()
	all := make([]string, postgres.MaxWindow+50)
	for i := range all {
		all[i] = fmt.Sprintf("user:%04d", i)
	}
	db, conn := openWithJobs(t, all, 4)
	turns := make(map[string]int)
	for range 2 {
		for n, want := 0, len(all); n < want; {
			lanes, _ := published(t, db, 100)
			if len(lanes) == 0 {
				t.Fatal("nothing is published while jobs are due")
			}
			for _, lane := range lanes {
				turns[lane]++
			}
			n += len(lanes)
			start(t, conn)
		}
		fewest, most := len(all), 0
		for _, lane := range all {
			fewest, most = min(fewest, turns[lane]), max(most, turns[lane])
		}
		if most > fewest+1 {
			t.Errorf("lanes have had between %d and %d turns, want them even", fewest, most)
		}
	}
}
