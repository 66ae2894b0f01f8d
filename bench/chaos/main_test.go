package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

// TestNothingIsLostInASmallChaos is a short run of the command, on programs
// built without the race detector, under which the reader takes half a minute
// to start.
func TestNothingIsLostInASmallChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about a minute")
	}
	t.Parallel()
	data, err := system.SharedData(filepath.Join("..", "..", "..", "shared", "data"))
	if err != nil {
		t.Skip(err)
	}
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", programs,
		"../../cmd/voiceassist", "../../cmd/api", "../../cmd/worker", "../../cmd/scheduler")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	c := chaos{
		bin: filepath.Join(programs, "voiceassist"), data: data, docs: 40, kills: 8, flushes: 1, restarts: 1,
		clients: 4, workers: 2, concurrency: 4, pause: 500 * time.Millisecond, patience: 3 * time.Minute,
	}
	var report strings.Builder
	err = c.run(t.Context(), &report)
	t.Logf("%s", &report)
	if err != nil {
		t.Fatal(err)
	}
}

func TestATableWithAFigureThatIsAmissIsAnError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rows []row
		want error
	}{
		"all is well":    {[]row{figure("uploads", 3), none("lost", 0)}, nil},
		"one is lost":    {[]row{none("lost", 1), figure("uploads", 3)}, errAmiss},
		"marked as such": {[]row{{"texts", "9", true}}, errAmiss},
	} {
		var out strings.Builder
		if err := tell(&out, test.rows); err != test.want { //nolint:errorlint // it is this one or none
			t.Errorf("%s: tell() = %v, want %v", name, err, test.want)
		}
		if marked := strings.Contains(out.String(), "<- amiss"); marked != (test.want != nil) {
			t.Errorf("%s: the table says\n%s", name, &out)
		}
	}
}

func TestDocumentsDifferAndOnlyInTheirMark(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.pdf", "a.txt", "a.md", "a.html"} {
		d := system.Document{Name: name, Content: []byte("%PDF-1.7 text %%EOF")}
		one, two := d.WithNonce("1"), d.WithNonce("2")
		if string(one.Content) == string(two.Content) || one.Name == two.Name {
			t.Errorf("%s: two copies are the same: %+v", name, one)
		}
		if !strings.HasPrefix(string(one.Content), string(d.Content)) || filepath.Ext(one.Name) != filepath.Ext(name) {
			t.Errorf("%s: the copy is %q %q", name, one.Name, one.Content)
		}
	}
}
