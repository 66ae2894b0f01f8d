package contract_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// TestAClientOfTheFirstGuideWorksUnchanged runs a client that is written as the
// v1 guide writes its own, under plain Node, with nothing configured but its
// base URL.
func TestAClientOfTheFirstGuideWorksUnchanged(t *testing.T) {
	t.Parallel()
	out, err := runNode(t, "main.ts", system+"/v1", "admin@example.com", adminPassword)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(out, "ok "); n != 14 {
		t.Errorf("%d steps, want 14:\n%s", n, out)
	}
}

// runNode compiles a program of client/ and runs it.
func runNode(t *testing.T, program string, args ...string) (out string, err error) {
	t.Helper()
	node, flags := findNode(t)
	script := filepath.Join(t.TempDir(), "client.mjs")
	built := api.Build(api.BuildOptions{
		EntryPoints: []string{filepath.Join("client", program)}, Bundle: true, Platform: api.PlatformNode, Format: api.FormatESModule,
		Target: api.ES2022, Outfile: script, Write: true,
	})
	for _, problem := range built.Errors {
		t.Fatalf("%s: %s", program, problem.Text)
	}
	run := exec.CommandContext(t.Context(), node, append(append(flags, script), args...)...)
	run.Env = []string{"PATH=" + os.Getenv("PATH")}
	b, err := run.CombinedOutput()
	return string(b), err
}

// findNode returns Node and the flags with which it has a WebSocket, or skips.
func findNode(t *testing.T) (path string, flags []string) {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node on this machine")
	}
	version, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil || n < 20:
		t.Skipf("node is %s, and version 20 is the first with everything that the client needs", version)
	case n < 22:
		flags = []string{"--experimental-websocket"}
	}
	return path, flags
}
