package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/voiceassist/backend/samples"
)

// TestANewUserGetsAnAnswerWithProof is the main job: samples are loaded at the
// first start, a document is uploaded, a question answered, the answer proved.
func TestANewUserGetsAnAnswerWithProof(t *testing.T) {
	t.Parallel()
	cfg := upConfig(t, dataDir(t))
	inProcess(t, cfg, func(ctx context.Context, s *system, c *client) {
		if err := s.welcome(ctx, io.Discard); err != nil {
			t.Error(err)
			return
		}
		if n, err := c.documentsIn(ctx, "indexed"); err != nil || n != len(samples.Library) {
			t.Errorf("%d documents are indexed, %v; want the %d samples", n, err, len(samples.Library))
		}
		up, err := c.upload(ctx, "remedy.txt", leaflet(77), map[string]string{"title": "Remedies"})
		if err != nil || up.Duplicate || up.JobID == "" {
			t.Errorf("upload = %+v, %v", up, err)
		}
		if err := c.awaitIdle(ctx, func(int) {}); err != nil {
			t.Error(err)
		}
		var text strings.Builder
		a, err := c.ask(ctx, "Which remedy relieves ailment number77?", func(s string) { text.WriteString(s) })
		if err != nil || len(a.Citations) == 0 {
			t.Errorf("ask = %+v, %v; want a citation", a, err)
			return
		}
		if text.String() != a.Content {
			t.Errorf("streamed %q, stored %q", text.String(), a.Content)
		}
		checkProof(ctx, t, c, a)
		checkServices(ctx, t, c)
		if a, err := c.ask(ctx, "How do I bake a chocolate cake?", func(string) {}); err != nil || len(a.Citations) > 0 {
			t.Errorf("an off-topic question got %+v, %v; want no citation", a, err)
		}
	})
	// The second start keeps everything.
	inProcess(t, cfg, func(ctx context.Context, s *system, c *client) {
		if n, err := s.loadSamples(ctx); err != nil || n != 0 {
			t.Errorf("the second start loaded %d samples, %v", n, err)
		}
		hits, err := c.search(ctx, "ailment number77", 5)
		if err != nil || len(hits) == 0 || hits[0].Title != "Remedies" {
			t.Errorf("after a restart search finds %+v, %v", hits, err)
		}
	})
}

// checkProof fails unless every quote is what the stored page says there.
func checkProof(ctx context.Context, t *testing.T, c *client, a answer) {
	t.Helper()
	for _, each := range a.Citations {
		var page struct{ Data struct{ Text string } }
		path := fmt.Sprintf("/api/kb/documents/%s/text?page=%d&generation=%d", each.DocumentID, each.Page, each.Generation)
		if err := c.get(ctx, path, &page); err != nil {
			t.Error(err)
			continue
		}
		if runes := []rune(page.Data.Text); each.CharEnd > len(runes) || string(runes[each.CharStart:each.CharEnd]) != each.Quote {
			t.Errorf("the page does not say %q at [%d, %d)", each.Quote, each.CharStart, each.CharEnd)
		}
	}
}

// TestKilledInTheMiddleNothingIsLost kills the whole program with -9 while it
// takes uploads and indexes them, and starts it again.
func TestKilledInTheMiddleNothingIsLost(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if err := os.WriteFile(filepath.Join(dir, samplesMarker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PORT=0", "HOST=127.0.0.1", "DATA_DIR=" + dir, "ADMIN_PASSWORD=" + testPassword, "LOG_LEVEL=WARN"}
	p := start(t, "voiceassist", []string{"up"}, env...)
	accepted := uploadUntilKilled(t, p, signedIn(t, p.await(t, "is ready at ")))
	if len(accepted) == 0 {
		t.Fatal("nothing was accepted before the kill")
	}

	p = start(t, "voiceassist", []string{"up"}, env...)
	c := signedIn(t, p.await(t, "is ready at "))
	if err := c.awaitIdle(t.Context(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	for id := range accepted {
		var d struct{ Data struct{ Status string } }
		if err := c.get(t.Context(), "/api/admin/kb/documents/"+id, &d); err != nil || d.Data.Status != "indexed" {
			t.Errorf("accepted document %s is %q, %v", id, d.Data.Status, err)
		}
	}
	var stats struct {
		Data struct {
			Documents int `json:"total_documents"`
			Chunks    int `json:"total_chunks"`
			Vectors   int `json:"vector_count"`
		}
	}
	if err := c.get(t.Context(), "/api/admin/kb/stats", &stats); err != nil {
		t.Fatal(err)
	}
	// A document that was committed but whose reply was lost may be there too.
	if s := stats.Data; s.Chunks != s.Vectors || s.Chunks != s.Documents || s.Documents < len(accepted) {
		t.Errorf("%d accepted; %d documents, %d passages, %d points", len(accepted), s.Documents, s.Chunks, s.Vectors)
	}
	if status := p.stop(t, syscall.SIGTERM); status != 0 {
		t.Errorf("after SIGTERM the exit status is %d, want 0", status)
	}
}

// uploadUntilKilled uploads from four clients at once, kills the program once
// 40 uploads were accepted, and returns the ids of all that were.
func uploadUntilKilled(t *testing.T, p *process, c *client) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	accepted := make(map[string]bool)
	var kill sync.Once
	var uploading sync.WaitGroup
	for w := range 4 {
		uploading.Go(func() {
			for i := w; ; i += 4 {
				up, err := c.upload(t.Context(), fmt.Sprintf("%d.txt", i), leaflet(i), nil)
				if err != nil {
					return // it is dead
				}
				mu.Lock()
				accepted[up.ID] = true
				n := len(accepted)
				mu.Unlock()
				if n >= 40 {
					kill.Do(func() { p.stop(t, syscall.SIGKILL) })
				}
			}
		})
	}
	uploading.Wait()
	return accepted
}

func TestASecondUpOnTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	cfg := upConfig(t, dataDir(t))
	inProcess(t, cfg, func(ctx context.Context, _ *system, _ *client) {
		err := Up(ctx, cfg, io.Discard, nil)
		if err == nil || !strings.Contains(err.Error(), "in use by process") {
			t.Errorf("a second up = %v", err)
		}
	})
}

func TestABadCommandLineExitsWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"fly"}, {"admin"}, {"search"}, {"eval"}} {
		p := start(t, "voiceassist", args, "DATA_DIR="+t.TempDir())
		<-p.done
		if status := p.ProcessState.ExitCode(); status != exitUsage {
			t.Errorf("voiceassist %v exits with %d, want %d", args, status, exitUsage)
		}
	}
}
