package extract_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
)

// sharedData returns the folder with real files, or skips the test.
func sharedData(t *testing.T, folder string) string {
	t.Helper()
	dir := os.Getenv("SHARED_DATA")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), "..", "shared", "data")
	}
	dir = filepath.Join(dir, folder)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no real files: set SHARED_DATA (%v)", err)
	}
	return dir
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// realPool returns a pool whose children read PDF.
func realPool(t *testing.T, size int) *extract.Pool {
	t.Helper()
	child := filepath.Join(t.TempDir(), "child")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", child, "./extracttest/child")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the child: %v\n%s", err, out)
	}
	return newPool(t, extract.Options{Path: child, Env: []string{"PDFIUM_CACHE=" + filepath.Join(t.TempDir(), "cache")}, Size: size})
}

// TestNoFileEndsThePool reads every file that other PDF readers have stumbled
// over and says how each ended.
func TestNoFileEndsThePool(t *testing.T) {
	if testing.Short() {
		t.Skip("200 files take some seconds")
	}
	nasty, odd := sharedData(t, "pdf-nasty"), sharedData(t, "pdf-odd")
	p := realPool(t, 2)
	for _, dir := range []string{nasty, odd} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, "*.pdf"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%d files, %v", len(files), err)
			}
			tally := map[string]int{}
			var slowest time.Duration
			var slowestFile string
			for _, file := range files {
				start := time.Now()
				outcome := fate(t.Context(), p, file)
				took := time.Since(start)
				tally[outcome]++
				if took > slowest {
					slowest, slowestFile = took, filepath.Base(file)
				}
				if outcome != "text" && outcome != "no text" {
					t.Logf("%-30s %s", outcome, filepath.Base(file))
				}
				if took > 2*time.Minute {
					t.Errorf("%s took %s", filepath.Base(file), took)
				}
			}
			for _, outcome := range slices.SortedFunc(maps.Keys(tally), func(a, b string) int { return cmp.Compare(tally[b], tally[a]) }) {
				t.Logf("%4d %s", tally[outcome], outcome)
			}
			t.Logf("slowest: %s, %s; %+v", slowestFile, slowest.Round(time.Millisecond), p.Stats())
		})
	}
	if _, err := p.EngineName(t.Context(), voiceassist.MediaPDF); err != nil {
		t.Errorf("the pool afterwards: %v", err)
	}
}

// fate reads a file and returns how that ended: text, no text, a reason, a
// crash's status or an error.
func fate(ctx context.Context, p *extract.Pool, file string) string {
	text := 0
	_, _, err := p.Extract(ctx, voiceassist.MediaPDF, file, voiceassist.PageRange{}, func(page voiceassist.Page) error {
		text += len(page.Text)
		return nil
	})
	if f, ok := errors.AsType[*voiceassist.Failure](err); ok {
		return string(f.Reason)
	}
	if c, ok := errors.AsType[*extract.Crash](err); ok {
		return "crash: " + c.Status
	}
	switch {
	case err != nil:
		return "error: " + err.Error()
	case text == 0:
		return "no text"
	}
	return "text"
}
