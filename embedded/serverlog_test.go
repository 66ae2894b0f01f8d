package embedded

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRotateKeepsOneOldLog(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "postgres.log")
	server, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, step := range []struct{ write, current, old string }{
		{"12345", "12345", ""},
		{"6789", "", "123456789"},
		{"abc", "abc", "123456789"},
		{"defghi", "", "abcdefghi"},
	} {
		if _, err := server.WriteString(step.write); err != nil {
			t.Fatal(err)
		}
		if err := rotate(log, 5); err != nil {
			t.Fatal(err)
		}
		current, _ := os.ReadFile(log)
		old, _ := os.ReadFile(log + ".1")
		if string(current) != step.current || string(old) != step.old {
			t.Errorf("after %q the log is %q and the old one %q, want %q and %q", step.write, current, old, step.current, step.old)
		}
	}
}
