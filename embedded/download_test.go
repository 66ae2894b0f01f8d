package embedded

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestAFetchedServerWorks(t *testing.T) {
	if os.Getenv("TEST_DOWNLOAD") == "" {
		t.Skip("set TEST_DOWNLOAD to fetch PostgreSQL from Maven Central")
	}
	t.Parallel()
	o := PostgresOptions{DataDir: openTempDir(t), CacheDir: openTempDir(t), BinDirs: []string{}}
	p := mustStart(t, o)
	if want := published[publishedMajor]; !strings.HasPrefix(string(want), p.Version()) {
		t.Errorf("Version() = %q, want that of the build %s", p.Version(), want)
	}
	remember(t, p)
	mustStop(t, p)

	o.Repository = nothingPublished(t)
	if n := remembered(t, mustStart(t, o)); n != 1 {
		t.Errorf("%d rows after a restart from the cache, want 1", n)
	}
}

func TestAnArchiveThatIsNotThePublishedOneIsRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			_, _ = w.Write([]byte(strings.Repeat("0", 64)))
			return
		}
		_, _ = w.Write([]byte("something else"))
	}))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	cache := t.TempDir()
	_, err := fetch(t.Context(), s.URL, cache, publishedMajor, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "checksums do not match") {
		t.Errorf("the error is %v", err)
	}
	left, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("the cache holds %v", left)
	}
}

func TestMajorOfReadsVersionsOfEveryForm(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		"postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"17\n":                                                   17,
		"9.6\n":                                                  9,
		"":                                                       0,
		"postgres: command not found":                            0,
	} {
		got, err := majorOf(s)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("majorOf(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
}
