package samples_test

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/samples"
)

// mediaTypes are the types that the endings of filenames promise.
var mediaTypes = map[string]string{
	".pdf":  voiceassist.MediaPDF,
	".md":   voiceassist.MediaMarkdown,
	".txt":  voiceassist.MediaText,
	".html": voiceassist.MediaHTML,
}

func TestLibraryListsEveryFileOnce(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(samples.FS, "*")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, meta := range samples.Library {
		listed = append(listed, meta.Filename)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(files, listed); diff != "" {
		t.Errorf("files and Library differ (-files +Library):\n%s", diff)
	}
}

func TestEverySampleIsTheTypeItsNamePromises(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, meta := range samples.Library {
		want := mediaTypes[path.Ext(meta.Filename)]
		got, ok := extract.Sniff(read(t, meta.Filename), meta.Filename)
		if !ok || got != want {
			t.Errorf("Sniff(%q) = %q, %t, want %q", meta.Filename, got, ok, want)
		}
		seen[got] = true
	}
	if len(seen) != len(mediaTypes) {
		t.Errorf("the samples have %d media types, want all %d", len(seen), len(mediaTypes))
	}
}

func TestEverySampleIsDescribed(t *testing.T) {
	t.Parallel()
	titles := map[string]bool{}
	for _, meta := range samples.Library {
		if meta.Title == "" || meta.SourceType == "" || meta.Specialty == "" || meta.Author == "" {
			t.Errorf("%s is not fully described: %+v", meta.Filename, meta)
		}
		if titles[meta.Title] {
			t.Errorf("two samples have the title %q", meta.Title)
		}
		titles[meta.Title] = true
	}
}

func TestEverySampleSaysThatItIsNoMedicalAdvice(t *testing.T) {
	t.Parallel()
	for _, meta := range samples.Library {
		if !strings.Contains(source(t, meta.Filename), "This document is a sample written for VoiceAssist. It is no medical advice.") {
			t.Errorf("%s does not say that it is a sample", meta.Filename)
		}
	}
}

// source returns what a sample was written as: itself, or what gen sets it
// from.
func source(t *testing.T, name string) string {
	t.Helper()
	base, isPDF := strings.CutSuffix(name, ".pdf")
	if !isPDF {
		return string(read(t, name))
	}
	content, err := os.ReadFile(path.Join("gen", base+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := fs.ReadFile(samples.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
