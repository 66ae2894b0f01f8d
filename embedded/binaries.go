package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the first major version of PostgreSQL that the schema of the
// ledger is written for.
const oldestMajor = 15

// usualPlaces are where systems put PostgreSQL without putting it on the PATH.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",             // Debian, Ubuntu
	"/usr/pgsql-*/bin",                      // PostgreSQL's own packages for Red Hat
	"/usr/libexec/postgresql*",              // Alpine
	"/usr/local/pgsql/bin",                  // built from source
	"/opt/homebrew/opt/postgresql@*/bin",    // Homebrew, Apple silicon
	"/usr/local/opt/postgresql@*/bin",       // Homebrew, Intel
	"/Applications/Postgres.app/*/*/*/bin/", // Postgres.app
}

// binaries are the programs of one PostgreSQL installation.
type binaries struct {
	dir   string
	major int
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// ownBinDirs lists where the machine may have PostgreSQL: what is on the PATH
// first, links resolved, because often only postgres itself is linked there;
// then the usual places, newest first.
func ownBinDirs() []string {
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(resolved(p)))
	}
	for _, pattern := range usualPlaces {
		found, _ := filepath.Glob(pattern) // fails only on a bad pattern
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	return dirs
}

// installed returns the first complete installation in dirs that the account
// can run: of the given major version, or of any we support when major is 0.
// Others are the versions that were found and do not fit.
func (a account) installed(ctx context.Context, dirs []string, major int) (bin binaries, others []string, ok bool) {
	for _, dir := range dirs {
		b, err := a.inspect(ctx, dir)
		if err != nil {
			continue
		}
		if b.major == major || major == 0 && b.major >= oldestMajor {
			return b, others, true
		}
		others = append(others, fmt.Sprintf("%d in %s", b.major, dir))
	}
	return binaries{}, others, false
}

var errIncomplete = errors.New("not a complete installation")

// inspect asks the installation in dir for its version.
func (a account) inspect(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(b.program(name))
		if err != nil || info.Mode()&0o111 == 0 {
			return b, errIncomplete
		}
	}
	if !a.canEnter(dir) {
		return b, fmt.Errorf("%s is closed to the server's account", dir)
	}
	out, err := a.command(ctx, b.program("postgres"), "--version").Output()
	if err != nil {
		return b, err
	}
	b.major, err = majorOf(string(out))
	return b, err
}

// majorOf reads the major version out of "postgres (PostgreSQL) 15.13 (Debian …)"
// or out of the content of PG_VERSION.
func majorOf(s string) (int, error) {
	s = strings.TrimSpace(strings.TrimPrefix(s, "postgres (PostgreSQL) "))
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	major, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0, fmt.Errorf("not a version of PostgreSQL: %q", s)
	}
	return major, nil
}
