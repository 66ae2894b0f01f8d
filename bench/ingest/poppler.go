package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

// popplerRuns is how often pdftotext is measured; the median counts.
const popplerRuns = 3

// compare prints what pdftotext takes for the same files. Where other work
// shares the cores, the wall clock says little and the processor time more.
func (b ingest) compare(ctx context.Context, out io.Writer, documents []system.Document, ours result) (err error) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		fmt.Fprintln(out, "  pdftotext is not installed (package poppler-utils): nothing to compare with")
		return nil
	}
	dir, err := os.MkdirTemp("", "voiceassist-poppler-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var names strings.Builder
	for _, d := range documents {
		name := filepath.Join(dir, d.Name)
		if err := os.WriteFile(name, d.Content, 0o600); err != nil {
			return err
		}
		names.WriteString(name + "\x00")
	}
	var took, used []time.Duration
	for range popplerRuns {
		begun := time.Now()
		cmd := exec.CommandContext(ctx, "xargs", "-0", "-n1", fmt.Sprintf("-P%d", b.cpus), "pdftotext")
		cmd.Stdin = strings.NewReader(names.String())
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("pdftotext: %w", err)
		}
		took = append(took, time.Since(begun))
		used = append(used, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()) // its children's too
	}
	fmt.Fprintf(out, "  xargs -P%d pdftotext: %.2f s, %.2f s of processor, medians of %d; ours is %.2f times the one (aim %.1f) and %.2f times the other\n",
		b.cpus, median(took).Seconds(), median(used).Seconds(), popplerRuns,
		ours.took.Seconds()/median(took).Seconds(), aimRatio, ours.cpu().Seconds()/median(used).Seconds())
	return nil
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
