package accounts

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Hashers hash passwords in child processes. A hash takes 19 MiB, so a burst of
// logins has the garbage collector run all the time, and beside a large heap
// that keeps other requests waiting for longer than the hashing does. A child
// has no heap to speak of. Children are started when they are needed, at most
// one for each turn of a Service, and kept; they end with their standard input.
type Hashers struct {
	program string
	args    []string
	log     *slog.Logger

	mu     sync.Mutex
	idle   []*hasher
	closed bool
}

// hashTimeout is how long a child may take for a hash on a machine that has much
// else to do.
const hashTimeout = 5 * time.Second

// maxHashed is the longest password that a child takes, in bytes.
const maxHashed = 64 << 10

// NewHashers returns hashers whose children run a program that calls
// ServeHashes. It must be closed after the last hash.
func NewHashers(log *slog.Logger, program string, args ...string) *Hashers {
	return &Hashers{program: program, args: args, log: log}
}

// Close ends the children. What is hashed later is hashed in this process.
func (h *Hashers) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	var errs []error
	for _, c := range h.idle {
		errs = append(errs, c.end())
	}
	h.idle = nil
	return errors.Join(errs...)
}

// derive is derive in a child, or here if there is none to be had: nobody is
// refused because a child died.
func (h *Hashers) derive(ctx context.Context, password string, salt []byte, cost Cost) []byte {
	if len(salt) != saltLength || len(password) > maxHashed {
		return derive(password, salt, cost)
	}
	c, err := h.take()
	if err == nil && c != nil {
		var key []byte
		if key, err = c.derive(password, salt, cost); err == nil {
			h.keep(c)
			return key
		}
		c.kill()
	}
	if err != nil {
		h.log.WarnContext(ctx, "a password was hashed beside the requests", slog.Any("error", err))
	}
	return derive(password, salt, cost)
}

// take returns a child that nobody else uses, nil after Close.
func (h *Hashers) take() (*hasher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil //nolint:nilnil // documented: there are none any more
	}
	if last := len(h.idle) - 1; last >= 0 {
		c := h.idle[last]
		h.idle = h.idle[:last]
		return c, nil
	}
	return startHasher(h.program, h.args)
}

func (h *Hashers) keep(c *hasher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		c.kill()
		return
	}
	h.idle = append(h.idle, c)
}

// hasher is a child. One goroutine uses it at a time.
type hasher struct {
	cmd *exec.Cmd
	in  *os.File
	out *os.File
}

func startHasher(program string, args []string) (*hasher, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inR.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inW.Close())
	}
	defer outW.Close()
	c := &hasher{exec.Command(program, args...), inW, outR} //nolint:noctx // it outlives the login it was started for
	c.cmd.Env = []string{}                                  // none of our secrets
	c.cmd.Stdin, c.cmd.Stdout = inR, outW
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a hasher: %w", err), inW.Close(), outR.Close())
	}
	return c, nil
}

// A request is a head and a password; the reply is the key.
type hashRequest struct {
	Salt   [saltLength]byte
	Cost   Cost
	Length uint32 // of the password
}

func (c *hasher) derive(password string, salt []byte, cost Cost) ([]byte, error) {
	deadline := time.Now().Add(hashTimeout)
	if err := errors.Join(c.in.SetDeadline(deadline), c.out.SetDeadline(deadline)); err != nil {
		return nil, err
	}
	request, err := binary.Append(nil, binary.BigEndian, hashRequest{[saltLength]byte(salt), cost, uint32(len(password))})
	if err != nil {
		return nil, err
	}
	if _, err := c.in.Write(append(request, password...)); err != nil {
		return nil, fmt.Errorf("ask a hasher: %w", err)
	}
	key := make([]byte, keyLength)
	if _, err := io.ReadFull(c.out, key); err != nil {
		return nil, fmt.Errorf("wait for a hasher: %w", err)
	}
	return key, nil
}

func (c *hasher) end() error {
	return errors.Join(c.in.Close(), c.out.Close(), c.cmd.Wait())
}

// kill ends a child that did not answer as it should.
func (c *hasher) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.end() // its status is that it was killed
}

// hasherNice is the niceness of children: what answers requests goes first, and
// on a busy machine a login still gets its turn.
const hasherNice = 5

// ServeHashes is a child of Hashers: it answers what comes from in until that
// ends. The thread that it runs on keeps a lower priority.
func ServeHashes(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, hasherNice) // it hashes without as well
	requests := bufio.NewReader(in)
	for {
		var head hashRequest
		if err := binary.Read(requests, binary.BigEndian, &head); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if head.Length > maxHashed || !head.Cost.possible() {
			return fmt.Errorf("a password of %d bytes at the cost %+v", head.Length, head.Cost)
		}
		password := make([]byte, head.Length)
		if _, err := io.ReadFull(requests, password); err != nil {
			return err
		}
		if _, err := out.Write(derive(string(password), head.Salt[:], head.Cost)); err != nil {
			return err
		}
	}
}
