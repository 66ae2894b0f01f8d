package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/voiceassist/backend/pipeline"
)

// TestVerifyLooksAtTheSystemThatRuns plants a blob that nothing refers to. To
// the command it is too young to be a difference.
func TestVerifyLooksAtTheSystemThatRuns(t *testing.T) {
	t.Parallel()
	cfg := upConfig(t, dataDir(t))
	inProcess(t, cfg, func(ctx context.Context, s *system, c *client) {
		run := func(args ...string) (string, error) {
			var out strings.Builder
			err := verify(ctx, call{cfg: cfg, args: args, out: &out, log: slog.New(slog.DiscardHandler)})
			return out.String(), err
		}
		if out, err := run(); err != nil || !strings.Contains(out, "found    0 differences") {
			t.Errorf("a new system: %v\n%s", err, out)
		}
		key := "originals/orphan"
		if err := s.blobs.WriteAll(ctx, key, []byte("bytes"), nil); err != nil {
			t.Fatal(err)
		}
		verifier := s.verifier(s.log)
		verifier.Grace, verifier.Settle = time.Nanosecond, time.Millisecond
		if v, err := verifier.Verify(ctx, pipeline.VerifyOptions{}); err != nil || total(v.Counts) != 1 {
			t.Errorf("an orphan: %+v, %v", v.Differences, err)
		}
		out, err := run("--json", "--deep")
		var v struct {
			Checked map[string]int
			Counts  map[string]int
		}
		if decoded := json.Unmarshal([]byte(out), &v); err != nil || decoded != nil || v.Checked["documents"] == 0 && v.Checked["blobs"] == 0 {
			t.Errorf("as JSON: %v, %v\n%s", err, decoded, out)
		}
		if err := c.post(ctx, "/api/admin/kb/verify", map[string]bool{"repair": true}, nil); err != nil {
			t.Errorf("POST: %v", err)
		}
		for {
			last, _, err := s.ledger.Verifications(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if last != nil {
				if !last.Clean() || !last.Repair {
					t.Errorf("the scheduler's verification is %+v", last)
				}
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

func TestVerifyTellsTroubleFromDifferences(t *testing.T) {
	t.Parallel()
	cfg := upConfig(t, dataDir(t)) // nothing runs there
	err := verify(t.Context(), call{cfg: cfg, out: new(strings.Builder), log: slog.New(slog.DiscardHandler)})
	if _, ok := errors.AsType[trouble](err); !ok {
		t.Errorf("verify = %v, want trouble", err)
	}
}

func TestTheNightlyVerificationIsDueOnceItIsTime(t *testing.T) {
	t.Parallel()
	three, err := verifyTime("03:00")
	if err != nil {
		t.Fatal(err)
	}
	for clock, want := range map[string]bool{"02:59": false, "03:00": true, "03:59": true, "04:00": false, "23:00": false} {
		now, err := time.Parse(time.DateTime, "2026-11-22 "+clock+":00")
		if err != nil {
			t.Fatal(err)
		}
		if due := dueAt(now, three); due != want {
			t.Errorf("at %s it is due: %v", clock, due)
		}
	}
	off, err := verifyTime("off")
	if err != nil || dueAt(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), off) {
		t.Errorf("off is due: %v", err)
	}
	if _, err := verifyTime("25:00"); err == nil {
		t.Error("25:00 is a time of day")
	}
}
