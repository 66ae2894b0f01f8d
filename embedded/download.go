package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// published are the builds of PostgreSQL that the zonky project publishes and
// embedded-postgres fetches, by major version.
var published = map[int]embeddedpostgres.PostgresVersion{
	15: embeddedpostgres.V15, 16: embeddedpostgres.V16, 17: embeddedpostgres.V17, 18: embeddedpostgres.V18,
}

// publishedMajor is the version that a new cluster begins with when the
// machine has no PostgreSQL of its own.
const publishedMajor = 17

// fetch returns the published binaries of the major version, from the cache or
// from the Maven repository, "" being Maven Central. The cache is written in
// one step, so several processes may fetch at once.
func fetch(ctx context.Context, repository, cache string, major int, log *slog.Logger) (binaries, error) {
	version, ok := published[major]
	if !ok {
		return binaries{}, fmt.Errorf("no build of PostgreSQL %d is published", major)
	}
	dir := filepath.Join(cache, "postgresql-"+string(version))
	bin := binaries{dir: filepath.Join(dir, "bin"), major: major}
	if _, err := os.Stat(dir); err == nil {
		return bin, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return bin, err
	}
	tmp, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return bin, err
	}
	defer os.RemoveAll(tmp)
	log.InfoContext(ctx, "fetching postgres", slog.String("version", string(version)), slog.String("cache", cache))
	if err := unpackPublished(ctx, repository, version, tmp); err != nil {
		return bin, err
	}
	unpacked := filepath.Join(tmp, "installation")
	if err := openToAll(unpacked); err != nil {
		return bin, err
	}
	if err := os.Rename(unpacked, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return bin, err
	}
	return bin, nil
}

// noLocale is a locale that there is nowhere.
const noLocale = "fetch-only"

// unpackPublished has the library fetch a build, check it against the published
// SHA-256 and unpack it below dir, at installation. The library goes on to make
// and start a database, which is not wanted: the locale it is told makes it stop
// before. The library takes no context; when ctx ends it is left to itself.
func unpackPublished(ctx context.Context, repository string, version embeddedpostgres.PostgresVersion, dir string) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	installation := filepath.Join(dir, "installation")
	config := embeddedpostgres.DefaultConfig().Version(version).Port(port).Locale(noLocale).Logger(io.Discard).
		CachePath(filepath.Join(dir, "archive")).BinariesPath(installation).
		RuntimePath(filepath.Join(dir, "runtime")).DataPath(filepath.Join(dir, "data"))
	if repository != "" {
		config = config.BinaryRepositoryURL(repository)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- embeddedpostgres.NewDatabase(config).Start() }()
	select {
	case err = <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("fetch PostgreSQL: %w", ctx.Err())
	}
	for _, program := range []string{"initdb", "postgres", "pg_ctl"} {
		if _, missing := os.Stat(filepath.Join(installation, "bin", program)); missing != nil {
			return fmt.Errorf("fetch PostgreSQL %s: %w", version, errors.Join(err, missing))
		}
	}
	return nil
}

func freePort(ctx context.Context) (uint32, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return uint32(ln.Addr().(*net.TCPAddr).Port), nil
}

// openToAll lets everybody read the files below dir, whatever the umask is: the
// server's account is another than ours.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() {
			mode |= 0o111
		}
		return os.Chmod(name, mode)
	})
}
