package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// account is whom the server runs as: PostgreSQL refuses to run as root.
type account struct {
	uid, gid int
	drop     bool // we are root and become this account for the server
}

// accountFor returns the account for the cluster in data: ourselves, or, for
// root, the cluster's owner, else the first of postgres and nobody.
func accountFor(data string) (account, error) {
	owner, exists, err := ownerOf(data)
	if err != nil {
		return account{}, err
	}
	if euid := os.Geteuid(); euid != 0 {
		if exists && owner.uid != euid {
			return account{}, fmt.Errorf("the database in %s belongs to the user with id %d and we run as %d: start as that user or as root",
				data, owner.uid, euid)
		}
		return account{uid: euid, gid: os.Getegid()}, nil
	}
	if exists && owner.uid != 0 {
		return account{uid: owner.uid, gid: owner.gid, drop: true}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if a, err := lookUp(name); err == nil {
			return a, nil
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody to run it as")
}

func ownerOf(path string) (account, bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return account{}, false, nil
	}
	if err != nil {
		return account{}, false, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, false, fmt.Errorf("%s: the system does not tell whose it is", path)
	}
	return account{uid: int(st.Uid), gid: int(st.Gid)}, true, nil
}

func lookUp(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return account{uid: uid, gid: gid, drop: true}, err
}

// command is a process of the account, in a session of its own and with
// nothing of our environment but the path.
func (a account) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return cmd
}

// makeDir makes path a directory that only the account and root may enter.
func (a account) makeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if a.drop {
		if err := os.Lchown(path, a.uid, a.gid); err != nil {
			return err
		}
	}
	return os.Chmod(path, 0o700)
}

// canEnter reports whether the account may reach what is in path, which need
// not exist yet: whether it may search every directory on the way.
func (a account) canEnter(path string) bool {
	if !a.drop {
		return true
	}
	path = resolved(path)
	for {
		info, err := os.Stat(path)
		if err == nil && !a.maySearch(info) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		parent := filepath.Dir(path)
		if parent == path {
			return true
		}
		path = parent
	}
}

func (a account) maySearch(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return false
	}
	switch mode := info.Mode().Perm(); {
	case int(st.Uid) == a.uid:
		return mode&0o100 != 0
	case int(st.Gid) == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// resolved is path without symbolic links, as far down as it exists.
func resolved(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err == nil || path == filepath.Dir(path) {
		return cmp.Or(real, path)
	}
	return filepath.Join(resolved(filepath.Dir(path)), filepath.Base(path))
}
