package extract

import (
	"fmt"
	"sync"
)

// Crash is the end of a child that was not asked to end: a signal, an exit, an
// engine's panic, or output that makes no sense. The document may be to blame
// or not; a second crash on it says so.
type Crash struct {
	Page   int    // the last page that arrived whole; 0 before the first
	Status string // how the child ended ("signal: segmentation fault", "exit status 2", "panic: …")
	Stderr string // the last 4 KB of what it had to say
	Err    error  // what the parent noticed; may be nil
}

func (c *Crash) Error() string {
	s := fmt.Sprintf("the reader crashed after page %d: %s", c.Page, c.Status)
	if c.Err != nil {
		s += ": " + c.Err.Error()
	}
	return s
}

func (c *Crash) Unwrap() error { return c.Err }

// tail is a Writer that keeps the last tailSize bytes.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.buf) - tailSize; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
