package qdrantserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/qdrant"
)

// serveDir makes the test binary serve a directory until it is killed.
const serveDir = "QDRANTSERVER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
		if err == nil {
			err = server.Start("127.0.0.1:0")
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(server.URL())
		select {}
	}
	goleak.VerifyTestMain(m)
}

func TestServerKeepsWhatItAnsweredWhenKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url, kill := startProcess(t, dir)
	index := openIndex(t, url)
	batch := newPoints(600)
	mustDo(t, index.Upsert(t.Context(), batch, false))
	mustDo(t, index.Activate(t.Context(), batch[0].DocumentID, 1))
	mustDo(t, index.Upsert(t.Context(), newPoints(100), true))
	before := listing(t, index)
	kill()

	index = openIndex(t, startServer(t, dir).URL())
	if diff := cmp.Diff(before, listing(t, index)); diff != "" {
		t.Errorf("points after kill -9 (-before +after):\n%s", diff)
	}
	matches, err := index.Search(t.Context(), qdrant.Query{Text: "word7", Limit: 3})
	if err != nil || len(matches) != 2 || matches[0].PassageID == matches[1].PassageID {
		t.Errorf("Search after kill -9 = %v, %v, want the two passages with the word", matches, err)
	}
}

func TestServerCutsOffATornEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startServer(t, dir)
	index := openIndex(t, server.URL())
	mustDo(t, index.Upsert(t.Context(), newPoints(10), true))
	closeServer(t, server)
	path := filepath.Join(dir, "points.log")
	whole, err := os.ReadFile(path)
	mustDo(t, err)

	server = startServer(t, dir)
	mustDo(t, openIndex(t, server.URL()).Upsert(t.Context(), newPoints(10), true))
	closeServer(t, server)
	longer, err := os.ReadFile(path)
	mustDo(t, err)

	flipped := bytes.Clone(longer)
	flipped[len(flipped)-1] ^= 1
	for name, content := range map[string][]byte{
		"one byte short":    longer[:len(longer)-1],
		"header only":       longer[:len(whole)+5],
		"a flipped bit":     flipped,
		"zeroes at the end": append(bytes.Clone(whole), make([]byte, 5000)...),
	} {
		t.Run(name, func(t *testing.T) {
			mustDo(t, os.WriteFile(path, content, 0o600))
			server := startServer(t, dir)
			index := openIndex(t, server.URL())
			if n := len(listing(t, index)); n != 10 {
				t.Errorf("%d points, want the 10 of whole records", n)
			}
			mustDo(t, index.Upsert(t.Context(), newPoints(5), true))
			closeServer(t, server)
			if n := len(listing(t, openIndex(t, startServer(t, dir).URL()))); n != 15 {
				t.Errorf("%d points after another start, want 15", n)
			}
		})
	}
}

func TestServerCompactsALogOfChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startServer(t, dir)
	index := openIndex(t, server.URL())
	batch := newPoints(200)
	for i := range batch {
		batch[i].Text = strings.Repeat(fmt.Sprintf("x%dy ", i), 2) + manyWords
	}
	for range 40 { // the log grows to 40 times what it says
		mustDo(t, index.Upsert(t.Context(), batch, true))
	}
	before := listing(t, index)
	closeServer(t, server)
	info, err := os.Stat(filepath.Join(dir, "points.log"))
	mustDo(t, err)
	if info.Size() > 4<<20 {
		t.Errorf("log is %d bytes after a clean close, want at most the 4 MiB that are not worth compacting", info.Size())
	}
	index = openIndex(t, startServer(t, dir).URL())
	if diff := cmp.Diff(before, listing(t, index)); diff != "" {
		t.Errorf("points after compaction (-before +after):\n%s", diff)
	}
	mustDo(t, index.Ensure(t.Context()))
	idf, err := index.IDF(t.Context(), []string{"x7y"})
	if err != nil || idf["x7y"] < 4 {
		t.Errorf("IDF after compaction = %v, %v", idf, err)
	}
}

func TestServerSharesItsDirectoryWithNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startServer(t, dir)
	if _, err := qdrantserver.New(qdrantserver.Options{Dir: dir}); !errors.Is(err, qdrantserver.ErrInUse) {
		t.Errorf("second New = %v, want ErrInUse", err)
	}
	closeServer(t, server)
	closeServer(t, startServer(t, dir))
}

func TestServerRefusesALogThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "points.log")
	mustDo(t, os.WriteFile(path, []byte("somebody's diary"), 0o600))
	if _, err := qdrantserver.New(qdrantserver.Options{Dir: dir}); err == nil {
		t.Error("New on a foreign file succeeded")
	}
	content, err := os.ReadFile(path)
	if err != nil || string(content) != "somebody's diary" {
		t.Errorf("the file is now %q, %v", content, err)
	}
}

var manyWords = func() string {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "w%d ", i)
	}
	return b.String()
}()

// newPoints returns n points of a new document, each with a word of its own.
func newPoints(n int) []voiceassist.Point {
	document := uuid.New()
	batch := make([]voiceassist.Point, n)
	for i := range batch {
		text := fmt.Sprintf("passage word%d", i)
		batch[i] = voiceassist.Point{
			ID: voiceassist.PassageID(document, 1, i, text), DocumentID: document, Generation: 1, Text: text,
		}
	}
	return batch
}

func listing(t *testing.T, index *qdrant.Index) []qdrant.Stored {
	t.Helper()
	var all []qdrant.Stored
	for stored, err := range index.Scroll(t.Context(), uuid.Nil) {
		mustDo(t, err)
		all = append(all, stored)
	}
	return all
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func startServer(t *testing.T, dir string) *qdrantserver.Server {
	t.Helper()
	server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
	mustDo(t, err)
	mustDo(t, server.Start("127.0.0.1:0"))
	t.Cleanup(func() { closeServer(t, server) })
	return server
}

func closeServer(t *testing.T, server *qdrantserver.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	mustDo(t, server.Close(ctx))
}

func openIndex(t *testing.T, url string) *qdrant.Index {
	t.Helper()
	index, err := qdrant.Open(url, qdrant.Options{})
	mustDo(t, err)
	t.Cleanup(func() { mustDo(t, index.Close()) })
	mustDo(t, index.Ensure(t.Context()))
	return index
}

// startProcess serves dir in another process; kill ends it as kill -9 does.
func startProcess(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // ourselves
	command.Env = append(os.Environ(), serveDir+"="+dir)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	mustDo(t, err)
	mustDo(t, command.Start())
	if _, err := fmt.Fscanln(output, &url); err != nil {
		t.Fatalf("the server process said nothing: %v", err)
	}
	return url, func() {
		mustDo(t, command.Process.Kill())
		_ = command.Wait() // says that it was killed
	}
}
