package extract_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/extract/extracttest"
	"github.com/voiceassist/backend/seamtest"
)

func newPool(t *testing.T, opt extract.Options) *extract.Pool {
	t.Helper()
	if opt.Path == "" {
		opt.Path, opt.Args = os.Args[0], []string{childArg}
	}
	p, err := extract.NewPool(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return p
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// read collects what Extract emits.
func read(ctx context.Context, p *extract.Pool, mediaType, path string) (texts []string, info voiceassist.FileInfo, engine string, err error) {
	info, engine, err = p.Extract(ctx, mediaType, path, voiceassist.PageRange{}, func(page voiceassist.Page) error {
		texts = append(texts, page.Text)
		return nil
	})
	return texts, info, engine, err
}

func TestPagesArriveInOrderWithTheFilesInfo(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	texts, info, engine, err := read(t.Context(), p, "read", writeFile(t, "one\f\ftwo ü"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "", "two ü"}, texts); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if want := (voiceassist.FileInfo{Title: "Scripted", Pages: 2}); info != want || engine != "read/1" {
		t.Errorf("Extract() = %+v, %q, want %+v, read/1", info, engine, want)
	}
}

func TestEngineNamesAreKnownBeforeAnyDocumentIsRead(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	if name, err := p.EngineName(t.Context(), "hang"); err != nil || name != "hang/1" {
		t.Errorf("EngineName(hang) = %q, %v", name, err)
	}
	_, err := p.EngineName(t.Context(), "image/png")
	wantReason(t, err, voiceassist.ReasonUnsupported)
	_, _, _, err = read(t.Context(), p, "image/png", "/dev/null")
	wantReason(t, err, voiceassist.ReasonUnsupported)
	if s := p.Stats(); s.Started != 1 || s.Documents != 0 {
		t.Errorf("Stats() = %+v, want one child and no document", s)
	}
}

func wantReason(t *testing.T, err error, reason voiceassist.Reason) *voiceassist.Failure {
	t.Helper()
	f, ok := errors.AsType[*voiceassist.Failure](err)
	if !ok || f.Reason != reason {
		t.Fatalf("error = %v, want a failure: %s", err, reason)
	}
	return f
}

func TestFailuresAndTroubleLeaveTheChildAlive(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	_, _, _, err := read(t.Context(), p, "encrypted", "/dev/null")
	f := wantReason(t, err, voiceassist.ReasonEncrypted)
	if f.Message != "Locked." || f.Err == nil || f.Err.Error() != "standard security handler" {
		t.Errorf("failure = %+v", f)
	}
	if _, _, _, err := read(t.Context(), p, "trouble", "/dev/null"); err == nil || err.Error() != "disk on fire" {
		t.Errorf("error = %v, want the engine's own", err)
	}
	if s := p.Stats(); s.Started != 1 || s.Documents != 2 || s.Crashes+s.Killed != 0 {
		t.Errorf("Stats() = %+v, want one child for both", s)
	}
}

func TestACrashNamesThePageAndLeavesThePoolUsable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script, status string
		page           int
	}{
		{"exit", "exit status 3", 1},
		{"segfault", "signal: killed", 0},
		{"panic", "panic: index out of range", 1},
		{"overflow", "exit status 2", 0},
		{"burst", "exit status 2", 0},
		{"garbage", "signal: killed", 0},
		{"skip", "signal: killed", 0},
	} {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, extract.Options{Size: 1})
			_, _, _, err := read(t.Context(), p, test.script, "/dev/null")
			crash, ok := errors.AsType[*extract.Crash](err)
			if !ok {
				t.Fatalf("error = %v, want a crash", err)
			}
			if crash.Page != test.page || crash.Status != test.status {
				t.Errorf("crash = page %d, %q, want page %d, %q (%v)", crash.Page, crash.Status, test.page, test.status, crash.Err)
			}
			if len(crash.Stderr) > 4096 || test.script == "exit" && !strings.HasSuffix(crash.Stderr, "last words\n") {
				t.Errorf("stderr has %d bytes and ends in %q", len(crash.Stderr), crash.Stderr[max(0, len(crash.Stderr)-20):])
			}
			if _, _, _, err := read(t.Context(), p, "read", writeFile(t, "after")); err != nil {
				t.Errorf("the next document: %v", err)
			}
			if s := p.Stats(); s.Crashes != 1 || s.Started != 2 || s.PeakRSS == 0 {
				t.Errorf("Stats() = %+v", s)
			}
		})
	}
}

func TestOverrunningALimitIsTooComplex(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script, says string
		limits       extract.Limits
	}{
		{"hang", "longer than 300ms", extract.Limits{Timeout: 300 * time.Millisecond}},
		{"spin", "300ms of processor time", extract.Limits{CPUTime: 300 * time.Millisecond}},
		{"balloon", "more than 200 MB of memory", extract.Limits{Memory: 200 << 20}},
		{"flood", "more than 100 pages", extract.Limits{MaxPages: 100}},
		{"novel", "more than 1 MB of text", extract.Limits{MaxOutput: 1 << 20}},
		{"flood", "more than 0 MB of text", extract.Limits{MaxOutput: 1000}},
	} {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, extract.Options{Size: 1, Limits: test.limits})
			_, _, _, err := read(t.Context(), p, test.script, "/dev/null")
			if f := wantReason(t, err, voiceassist.ReasonTooComplex); !strings.Contains(f.Message, test.says) {
				t.Errorf("message = %q, want %q in it", f.Message, test.says)
			}
			if _, _, _, err := read(t.Context(), p, "read", writeFile(t, "after")); err != nil {
				t.Errorf("the next document: %v", err)
			}
			if s := p.Stats(); s.Killed != 1 || s.Started != 2 {
				t.Errorf("Stats() = %+v, want a killed child and a new one", s)
			}
		})
	}
}

func TestAnOverrunSaysWhatItsPageHasDone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script, says string
		fault        voiceassist.PageFault
		limits       extract.Limits
	}{
		{"wait", "one of its pages takes longer than 300ms", voiceassist.PageTooSlow, extract.Limits{PageTimeout: 300 * time.Millisecond}},
		{"pid", "one of its pages takes longer than 300ms", voiceassist.PageTooSlow, extract.Limits{PageTimeout: 300 * time.Millisecond}}, // after page 1
		{"spin", "300ms of processor time", voiceassist.PageTooSlow, extract.Limits{CPUTime: 300 * time.Millisecond}},
		{"balloon", "more than 200 MB of memory", voiceassist.PageTooMuchMemory, extract.Limits{Memory: 200 << 20}},
		{"novel", "page 1 has more than 1 MB of text", voiceassist.PageTooMuchText, extract.Limits{MaxOutput: 1 << 20}},
	} {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, extract.Options{Size: 1, Limits: test.limits})
			_, _, _, err := read(t.Context(), p, test.script, "/dev/null")
			o, ok := errors.AsType[*extract.Overrun](err)
			if !ok || o.Fault != test.fault || !strings.Contains(o.Failure.Message, test.says) {
				t.Errorf("error = %v, want an overrun: %s, %s", err, test.fault, test.says)
			}
		})
	}
}

func TestLimitsOfTheWholeDocumentBlameNoPage(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1, Limits: extract.Limits{MaxPages: 3, MaxOutput: 1000}})
	path := writeFile(t, extracttest.File("one", "two", "three", "four"))
	for _, pages := range []voiceassist.PageRange{{}, {First: 1, Last: 2}, {First: 4, Last: 4}} {
		_, _, err := p.Extract(t.Context(), "paged", path, pages, func(voiceassist.Page) error { return nil })
		wantReason(t, err, voiceassist.ReasonTooComplex)
		if _, ok := errors.AsType[*extract.Overrun](err); ok || !strings.Contains(err.Error(), "more than 3 pages") {
			t.Errorf("pages %+v: %v, want the limit of pages", pages, err)
		}
	}
}

func TestARangeIsReadUnderThePagesOwnNumbers(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	path := writeFile(t, extracttest.File("one", "two", "three", "four", "five"))
	var got []voiceassist.Page
	info, _, err := p.Extract(t.Context(), "paged", path, voiceassist.PageRange{First: 3, Last: 4}, func(page voiceassist.Page) error {
		got = append(got, page)
		return nil
	})
	if diff := cmp.Diff([]voiceassist.Page{{Number: 3, Text: "three"}, {Number: 4, Text: "four"}}, got); diff != "" || err != nil || info.Pages != 5 {
		t.Errorf("%+v, %v, pages (-want +got):\n%s", info, err, diff)
	}
	seamtest.TextEngine(t, extracttest.Paged{}, path, 5)
}

func TestAPageOutOfTheRangeIsACrash(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	_, _, err := p.Extract(t.Context(), "read", writeFile(t, "one\ftwo"), voiceassist.PageRange{First: 2, Last: 2}, func(voiceassist.Page) error { return nil })
	if _, ok := errors.AsType[*extract.Crash](err); !ok {
		t.Errorf("error = %v, want a crash", err)
	}
}

func TestAChildThatDoesNotStartIsNoDocumentsFault(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/bin/false", "/nowhere/reader"} {
		p := newPool(t, extract.Options{Size: 1, Path: path})
		_, _, _, err := read(t.Context(), p, "read", "/dev/null")
		_, crashed := errors.AsType[*extract.Crash](err)
		if voiceassist.CodeOf(err) != voiceassist.Unavailable || crashed {
			t.Errorf("%s: %v, want Unavailable and no crash", path, err)
		}
	}
}

func TestASlowReceiverIsNotTheDocumentsFault(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1, Limits: extract.Limits{Timeout: 300 * time.Millisecond}})
	wait := time.NewTimer(600 * time.Millisecond)
	_, _, err := p.Extract(t.Context(), "read", writeFile(t, "one"), voiceassist.PageRange{}, func(voiceassist.Page) error {
		<-wait.C
		return nil
	})
	if err != nil {
		t.Errorf("error = %v", err)
	}
}

func TestTheErrorOfEmitEndsTheDocument(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	full := errors.New("no room for pages")
	_, _, err := p.Extract(t.Context(), "flood", "/dev/null", voiceassist.PageRange{}, func(page voiceassist.Page) error {
		if page.Number == 3 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Errorf("error = %v, want %v", err, full)
	}
}

func TestCancellingEndsTheDocumentAndTheWaitForAChild(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, err := p.Extract(ctx, "flood", "/dev/null", voiceassist.PageRange{}, func(page voiceassist.Page) error {
			if page.Number == 1 {
				close(started)
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the running document: %v, want cancelled", err)
		}
	})
	<-started
	wg.Go(func() {
		if _, _, _, err := read(ctx, p, "read", "/dev/null"); !errors.Is(err, context.Canceled) {
			t.Errorf("the waiting document: %v, want cancelled", err)
		}
	})
	cancel()
	wg.Wait()
}

func TestNeverMoreChildrenThanTheSizeOfThePool(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 2})
	path := writeFile(t, "one")
	var now, most atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			_, _, err := p.Extract(t.Context(), "read", path, voiceassist.PageRange{}, func(voiceassist.Page) error {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); most.Load() > 2 || s.Started > 2 || s.Documents != 12 || s.Busy != 0 {
		t.Errorf("%d at once, Stats() = %+v", most.Load(), s)
	}
}

func TestAChildIsReplacedAfterItsShareOfDocuments(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1, Limits: extract.Limits{MaxDocuments: 2}})
	path := writeFile(t, "one")
	for range 5 {
		if _, _, _, err := read(t.Context(), p, "read", path); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Stats(); s.Started != 3 {
		t.Errorf("Stats() = %+v, want 3 children for 5 documents", s)
	}
	for range 5 {
		if _, _, _, err := read(t.Context(), p, voiceassist.MediaText, path); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Stats(); s.Started != 3 {
		t.Errorf("Stats() = %+v, want no other for 5 texts", s)
	}
}

func TestPagesAreMadeStorable(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	texts, _, _, err := read(t.Context(), p, "dirty", "/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ab\uFFFDc\uFFFDd"}, texts); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

func TestAChildSeesNoneOfOurSecrets(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://user:secret@host/db")
	p := newPool(t, extract.Options{Size: 1, Env: []string{"EXTRA=yes"}})
	texts, _, _, err := read(t.Context(), p, "environment", "/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(texts[0], "secret") || !strings.Contains(texts[0], "EXTRA=yes") {
		t.Errorf("environment:\n%s", texts[0])
	}
}

func TestChildrenAreAsNiceAsTheyAreTold(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1, Nice: 7})
	texts, _, _, err := read(t.Context(), p, "nice", "/dev/null")
	if err != nil || texts[0] != "7" {
		t.Errorf("niceness = %q, %v, want 7", texts, err)
	}
}

func TestAChildCannotWriteFiles(t *testing.T) {
	t.Parallel()
	p := newPool(t, extract.Options{Size: 1})
	path := writeFile(t, "")
	if _, _, _, err := read(t.Context(), p, "write", path); err == nil {
		t.Error("the child has written a file")
	}
}

func TestCloseWaitsForTheDocumentInTheWorks(t *testing.T) {
	t.Parallel()
	p, err := extract.NewPool(extract.Options{Path: os.Args[0], Args: []string{childArg}, Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "one\ftwo")
	started, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		<-started
		closed <- p.Close(context.WithoutCancel(t.Context()))
	}()
	pages := 0
	_, _, err = p.Extract(t.Context(), "read", path, voiceassist.PageRange{}, func(page voiceassist.Page) error {
		if pages++; page.Number == 1 {
			close(started)
		}
		return nil
	})
	if err != nil || pages != 2 {
		t.Errorf("%d pages, %v", pages, err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, _, _, err := read(t.Context(), p, "read", path); !errors.Is(err, extract.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, extract.ErrClosed)
	}
}

func TestCloseKillsWhatDoesNotEndInTime(t *testing.T) {
	t.Parallel()
	p, err := extract.NewPool(extract.Options{Path: os.Args[0], Args: []string{childArg}, Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	ended, started := make(chan error, 1), make(chan struct{})
	go func() {
		var once sync.Once
		_, _, err := p.Extract(context.WithoutCancel(t.Context()), "flood", "/dev/null", voiceassist.PageRange{}, func(voiceassist.Page) error {
			once.Do(func() { close(started) })
			return nil
		})
		ended <- err
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close() = %v, want %v", err, context.Canceled)
	}
	if err := <-ended; !errors.Is(err, extract.ErrClosed) {
		t.Errorf("the document: %v, want %v", err, extract.ErrClosed)
	}
}
