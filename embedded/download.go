package embedded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/xi2/xz"
)

// mavenCentral is where the zonky project publishes relocatable builds of
// PostgreSQL, and their checksums beside them.
const mavenCentral = ""

// published are the builds we fetch, by major version.
var published = map[int]string{15: "15.19.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0"}

// publishedMajor is the version that a new cluster begins with when the
// machine has no PostgreSQL of its own.
const publishedMajor = 17

// Limits on what is fetched: the archives have 14–72 MB and unpack to a few
// times that.
const (
	maxArchive   = 128 << 20
	maxUnpacked  = 1 << 30
	fetchTimeout = 10 * time.Minute
)

// fetch returns the published binaries of the major version, from the cache or
// from the repository. The cache is written in one step, so several processes
// may fetch at once.
func fetch(ctx context.Context, repository, cache string, major int, log *slog.Logger) (binaries, error) {
	version, ok := published[major]
	if !ok {
		return binaries{}, fmt.Errorf("no build of PostgreSQL %d is published", major)
	}
	platform := platformName()
	dir := filepath.Join(cache, "postgresql-"+version+"-"+platform)
	bin := binaries{dir: filepath.Join(dir, "bin"), major: major}
	if _, err := os.Stat(dir); err == nil {
		return bin, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	artifact := "embedded-postgres-binaries-" + platform
	url := fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar", repository, artifact, version, artifact, version)
	log.InfoContext(ctx, "fetching postgres", slog.String("url", url), slog.String("cache", cache))
	jar, err := download(ctx, url)
	if err != nil {
		return bin, err
	}
	return bin, unpack(jar, dir)
}

// platformName is the system and architecture as the artifacts are named.
func platformName() string {
	arch := runtime.GOARCH
	if arch == "arm64" {
		arch = "arm64v8"
	}
	if _, err := os.Stat("/etc/alpine-release"); err == nil {
		arch += "-alpine"
	}
	return runtime.GOOS + "-" + arch
}

// download gets the file at url and checks it against the SHA-256 beside it.
func download(ctx context.Context, url string) ([]byte, error) {
	body, err := get(ctx, url)
	if err != nil {
		return nil, err
	}
	want, err := get(ctx, url+".sha256")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if got := hex.EncodeToString(sum[:]); got != strings.TrimSpace(string(want)) {
		return nil, fmt.Errorf("%s has SHA-256 %s, which is not the published one", url, got)
	}
	return body, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxArchive+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	if len(body) > maxArchive {
		return nil, fmt.Errorf("GET %s: longer than %d bytes", url, maxArchive)
	}
	return body, nil
}

// unpack puts the installation in the jar at dir, whole or not at all.
func unpack(jar []byte, dir string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := extract(jar, tmp); err != nil {
		return fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// extract unpacks the one compressed tar in the jar below dir.
func extract(jar []byte, dir string) error {
	archive, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, ".txz") {
			return extractTxz(f, dir)
		}
	}
	return errors.New("the archive holds no installation")
}

func extractTxz(f *zip.File, dir string) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	plain, err := xz.NewReader(r, 0)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files := tar.NewReader(io.LimitReader(plain, maxUnpacked))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := place(root, h, files); err != nil {
			return err
		}
	}
}

// place writes one entry of the tar; whatever the umask is, the server's
// account may read it.
func place(root *os.Root, h *tar.Header, content io.Reader) error {
	name := filepath.Clean(h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		return openDir(root, name)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		if err := openDir(root, filepath.Dir(name)); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, content); err != nil {
			f.Close()
			return err
		}
		if err := f.Chmod(h.FileInfo().Mode().Perm() | 0o444); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	}
	return nil
}

// openDir makes a directory that everybody may search.
func openDir(root *os.Root, name string) error {
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	for ; name != "."; name = filepath.Dir(name) {
		if err := root.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	return nil
}
