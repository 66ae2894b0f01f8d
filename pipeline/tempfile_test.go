package pipeline

import (
	"os"
	"os/exec"
	"testing"
)

func TestATemporaryFileIsOpenToChildrenAndInNoDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := newTempFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("an original"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each reads from the start
		if out, err := exec.CommandContext(t.Context(), "cat", f.path()).Output(); err != nil || string(out) != "an original" { //nolint:gosec // a path of our own
			t.Errorf("a child reads %q, %v", out, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the directory has %d files, %v", len(left), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
