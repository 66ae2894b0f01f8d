package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// cluster is a PostgreSQL database cluster and where its parts lie.
type cluster struct {
	dir     string // the data directory as the caller names it, absolute
	home    string // where data and socket are: dir, or a place the account can reach
	account account
	log     *slog.Logger
	guard   *guard // of an ephemeral cluster; nil otherwise
}

func (c *cluster) data() string    { return filepath.Join(c.home, "data") }
func (c *cluster) logFile() string { return filepath.Join(c.dir, "postgres.log") }

// locationFile, in the data directory, names the home when it is elsewhere.
const locationFile = "location"

// openCluster finds the cluster of the data directory, or the place for one.
func openCluster(ctx context.Context, dir string, log *slog.Logger) (*cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	dir = resolved(dir)
	c := &cluster{dir: dir, home: dir, log: log}
	recorded, err := c.recordedHome(ctx)
	if err != nil {
		return nil, err
	}
	if c.account, err = accountFor(c.data()); err != nil {
		return nil, err
	}
	if recorded || c.account.canEnter(c.home) {
		return c, nil
	}
	return c, c.moveElsewhere(ctx)
}

// recordedHome takes the home that an earlier start chose, if one did.
func (c *cluster) recordedHome(ctx context.Context) (bool, error) {
	record := filepath.Join(c.dir, locationFile)
	b, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.home = strings.TrimSpace(string(b))
	if _, err := os.Stat(c.home); err != nil {
		return false, fmt.Errorf("%s says that the database is in %s, which cannot be read (%w): bring it back, or remove %[1]s to begin with an empty one",
			record, c.home, err)
	}
	c.log.InfoContext(ctx, "database kept outside the data directory", slog.String("data_dir", c.dir), slog.String("home", c.home))
	return true, nil
}

// elsewhere is where root's clusters live that the account cannot reach in
// the data directory. What is there must outlive a reboot.
const elsewhere = "/var/lib"

// moveElsewhere chooses a home that the account can reach and records it.
func (c *cluster) moveElsewhere(ctx context.Context) error {
	if _, err := os.Stat(c.data()); err == nil {
		return fmt.Errorf("the user with id %d, whose database is in %s, cannot reach it: make the directories above it searchable (chmod a+x)",
			c.account.uid, c.data())
	}
	c.home = filepath.Join(elsewhere, "voiceassist-"+shortHash(c.dir))
	record := filepath.Join(c.dir, locationFile)
	if _, err := os.Stat(c.data()); err == nil {
		return fmt.Errorf("%s holds the database of an earlier %s: remove it, or write its path to %s to use it again", c.home, c.dir, record)
	}
	if err := os.MkdirAll(c.home, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(c.home, 0o755); err != nil {
		return err
	}
	if !c.account.canEnter(c.home) {
		return fmt.Errorf("the user with id %d can reach neither %s nor %s: make the directories above one of them searchable (chmod a+x), or set DATABASE_URL",
			c.account.uid, c.dir, c.home)
	}
	c.log.WarnContext(ctx, "the server's account cannot reach the data directory; keeping the database elsewhere",
		slog.Int("uid", c.account.uid), slog.String("data_dir", c.dir), slog.String("home", c.home))
	return os.WriteFile(record, []byte(c.home+"\n"), 0o644)
}

// shortHash names things after a path: 12 hexadecimal digits.
func shortHash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:6])
}

// major returns the major version that made the cluster, 0 before it is made.
func (c *cluster) major() (int, error) {
	file := filepath.Join(c.data(), "PG_VERSION")
	b, err := os.ReadFile(file)
	if err == nil {
		return majorOf(string(b))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	// initdb works in another directory, so this one is whole or absent.
	if _, err := os.Stat(c.data()); err == nil {
		return 0, fmt.Errorf("%s is not a database cluster: it has no PG_VERSION; move it away to begin with an empty one", c.data())
	}
	return 0, nil
}

// initdb makes the cluster, in one step: what a killed initdb leaves behind is
// never taken for one.
func (c *cluster) initdb(ctx context.Context, bin binaries) error {
	unfinished := c.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := c.account.makeDir(unfinished); err != nil {
		return err
	}
	// Without C.UTF-8 the C locale sorts the same and folds the case of ASCII
	// letters only.
	out, err := c.runInitdb(ctx, bin, unfinished, "C.UTF-8")
	if err != nil && strings.Contains(out, "invalid locale name") {
		out, err = c.runInitdb(ctx, bin, unfinished, "C")
	}
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(out))
	}
	return os.Rename(unfinished, c.data())
}

func (c *cluster) runInitdb(ctx context.Context, bin binaries, dir, locale string) (string, error) {
	args := []string{
		"--pgdata=" + dir, "--username=" + role, "--encoding=UTF8", "--locale=" + locale, "--lc-messages=C",
		"--auth-local=trust", "--auth-host=reject",
	}
	if c.guard == nil {
		args = append(args, "--data-checksums")
	} else {
		args = append(args, "--no-sync")
	}
	out, err := c.command(ctx, bin.program("initdb"), args...).CombinedOutput()
	return string(out), err
}
