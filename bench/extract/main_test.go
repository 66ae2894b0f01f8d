package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(status(serve(context.Background())))
	}
	os.Exit(m.Run())
}

func TestOurTextsAreLeftAndAMissingPdftotextIsSaid(t *testing.T) {
	if raceEnabled {
		t.Skip("PDFium takes 22 s to start under the race detector")
	}
	t.Setenv("PATH", "")
	var report strings.Builder
	b := bench{papers: filepath.Join("..", "..", "samples"), out: filepath.Join(t.TempDir(), "texts"), cpus: 2, runs: 1}
	if err := b.run(t.Context(), &report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" 0 files failed", "pdftotext  is not installed"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("report has no %q:\n%s", want, &report)
		}
	}
	files, err := filepath.Glob(filepath.Join(b.papers, "*.pdf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(textFile(b.out, file)); err != nil || len(text) < 100 {
			t.Errorf("text of %s: %d bytes, %v", file, len(text), err)
		}
	}
}

func TestAFolderWithoutFilesIsAnError(t *testing.T) {
	t.Parallel()
	if err := (bench{papers: t.TempDir(), cpus: 1, runs: 1}).run(t.Context(), new(strings.Builder)); err == nil {
		t.Error("run() = nil, want an error")
	}
}
