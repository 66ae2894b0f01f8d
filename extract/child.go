package extract

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// startTimeout is how long a child may take to say hello. Compiling PDFium's
// WebAssembly takes 2 s once on a fast machine and next to nothing after.
const startTimeout = time.Minute

// watchEvery is how often a busy child's memory and processor time are read.
const watchEvery = 100 * time.Millisecond

// child is one running child process. One goroutine uses it at a time.
type child struct {
	cmd       *exec.Cmd
	in        *os.File // requests
	out       *os.File // frames
	frames    *bufio.Reader
	stderr    *tail
	exited    chan struct{} // closed once the process has been waited for
	engines   map[string]string
	documents int // read so far
	wear      int // of those, that count for Limits.MaxDocuments
}

// environment is all that a child sees of ours: nothing that could be a secret.
func environment(extra []string) []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "LANG", "XDG_CACHE_HOME"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return append(env, extra...)
}

// launch starts the program without waiting for its hello. It must run on a
// thread that outlives the child.
func launch(path string, args, env []string) (*child, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		inR.Close()
		inW.Close()
		return nil, err
	}
	c := &child{in: inW, out: outR, frames: bufio.NewReaderSize(outR, 64<<10), stderr: &tail{}, exited: make(chan struct{})}
	c.cmd = exec.Command(path, args...) //nolint:noctx // a child outlives the document it was started for; the pool ends it
	c.cmd.Env = env
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, c.stderr
	c.cmd.WaitDelay = 5 * time.Second
	isolate(c.cmd)
	err = c.cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, err
	}
	return c, nil
}

// reap waits for the process; the pool runs it as a goroutine of its own.
func (c *child) reap() {
	_ = c.cmd.Wait() // the state tells more than the error
	close(c.exited)
}

// hear waits for the hello frame.
func (c *child) hear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	kind, body, err := readFrame(c.frames, 0)
	var h hello
	if err == nil && kind == frameHello {
		err = json.Unmarshal(body, &h)
	} else if err == nil {
		err = fmt.Errorf("unexpected frame %q", byte(kind))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("wait for the reader to start: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("wait for the reader to start: %s", c.crash(0, err).Error()) // no *Crash: no document caused it
	}
	c.engines = h.Engines
	return nil
}

func (c *child) kill() { killGroup(c.cmd.Process.Pid) }

func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// crash ends the child and describes how it ended.
func (c *child) crash(page int, err error) *Crash {
	status := ""
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		// It has closed its end, so it is on its way out by itself and its own
		// status is worth more than the one that we would give it.
		select {
		case <-c.exited:
		case <-time.After(time.Second):
			status = "it closed its output, "
		}
		err = nil
	}
	c.end()
	return &Crash{Page: page, Status: status + c.cmd.ProcessState.String(), Stderr: c.stderr.String(), Err: err}
}

// end kills the child and waits until nothing is left of it.
func (c *child) end() {
	if c.alive() {
		c.kill()
	}
	<-c.exited
	c.in.Close()
	c.out.Close()
}

// read has the child read one document. Whatever is not a clean end leaves the
// child unfit for another one, and fit is false.
func (c *child) read(ctx context.Context, req request, limits Limits, emit func(voiceassist.Page) error) (info voiceassist.FileInfo, fit bool, err error) {
	c.documents++
	w := watch(ctx, c, limits)
	info, fit, err = c.receive(req, limits, func(p voiceassist.Page) error {
		defer w.arrived()()
		return emit(p)
	})
	if cause := w.stop(); cause != nil {
		return voiceassist.FileInfo{}, false, cause
	}
	return info, fit, err
}

func (c *child) receive(req request, limits Limits, emit func(voiceassist.Page) error) (info voiceassist.FileInfo, fit bool, err error) {
	if err := writeFrame(c.in, frameRequest, req); err != nil {
		return info, false, c.crash(0, err)
	}
	last, next, size := 0, max(1, req.First), int64(0) // last is the page that arrived last
	for {
		kind, body, err := readFrame(c.frames, limits.MaxOutput)
		if e, ok := errors.AsType[*frameTooLarge](err); ok && e.kind == framePage {
			return info, false, overrun(voiceassist.PageTooMuchText, "page %d has more than %d MB of text", next, limits.MaxOutput>>20)
		}
		if err != nil {
			return info, false, c.crash(last, err)
		}
		if kind != framePage {
			return c.conclude(kind, body, last, limits)
		}
		page, err := decodePage(body)
		if err == nil && (page.Number != next || !req.pages().Has(next)) {
			err = fmt.Errorf("page %d follows page %d", page.Number, last)
		}
		if err != nil {
			return info, false, c.crash(last, err)
		}
		last, next = next, next+1
		size += int64(len(page.Text))
		if last > limits.MaxPages {
			return info, false, tooManyPages(limits)
		}
		if size > limits.MaxOutput {
			return info, false, tooComplex("it has more than %d MB of text", limits.MaxOutput>>20)
		}
		if err := emit(page); err != nil {
			return info, false, err
		}
	}
}

// conclude reads the frame that ends a document.
func (c *child) conclude(kind frameKind, body []byte, last int, limits Limits) (info voiceassist.FileInfo, fit bool, err error) {
	if kind == frameDone {
		if err := json.Unmarshal(body, &info); err != nil {
			return info, false, c.crash(last, err)
		}
		if info.Pages > limits.MaxPages {
			return info, true, tooManyPages(limits)
		}
		return info, true, nil
	}
	var r refusal
	if err := json.Unmarshal(body, &r); err != nil {
		return info, false, c.crash(last, fmt.Errorf("frame %q: %w", byte(kind), err))
	}
	switch kind {
	case frameFailure:
		f := &voiceassist.Failure{Reason: r.Reason, Message: cmp.Or(r.Message, "The file cannot be read.")}
		if r.Detail != "" {
			f.Err = errors.New(r.Detail)
		}
		if r.Reason == voiceassist.ReasonTooComplex {
			return info, true, &Overrun{Fault: voiceassist.PageTooMuchMemory, Failure: f}
		}
		return info, true, f
	case frameTrouble:
		return info, true, errors.New(r.Message)
	case framePanic:
		crash := c.crash(last, io.EOF)
		crash.Status = "panic: " + strings.TrimPrefix(r.Message, "panic: ")
		return info, false, crash
	default:
		return info, false, c.crash(last, fmt.Errorf("unexpected frame %q", byte(kind)))
	}
}
