package embedded

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"
)

// The server's log is cut back to nothing when it has passed maxLog bytes; the
// part before is kept as postgres.log.1.
const (
	maxLog       = 8 << 20
	logCheckTime = time.Minute
)

// keepLogShort looks after the log until ctx ends.
func (c *cluster) keepLogShort(ctx context.Context) {
	tick := time.NewTicker(logCheckTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := rotate(c.logFile(), maxLog); err != nil {
				c.log.WarnContext(ctx, "rotate the log of postgres", slog.Any("error", err))
			}
		}
	}
}

// rotate copies a log longer than limit aside and empties it. The server keeps
// writing to the same file, which it has open for appending; what it writes
// between the two steps is lost.
func rotate(path string, limit int64) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= limit {
		return nil
	}
	if err != nil {
		return err
	}
	if err := copyFile(path, path+".1"); err != nil {
		return err
	}
	return os.Truncate(path, 0)
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

// openLog opens the log for the server and tells how long it is.
func (c *cluster) openLog() (*os.File, int64, error) {
	if err := rotate(c.logFile(), maxLog); err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(c.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// loggedSince returns the last 2 KB of what the server wrote after offset.
func (c *cluster) loggedSince(offset int64) string {
	f, err := os.Open(c.logFile())
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		offset = max(offset, info.Size()-2048)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return ""
	}
	b, _ := io.ReadAll(f) // what could be read is still worth showing
	return strings.TrimSpace(string(b))
}
