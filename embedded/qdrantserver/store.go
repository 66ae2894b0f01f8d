package qdrantserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// maxRecord bounds a record; a request comes in one message.
const maxRecord = maxMessage + 1<<20

// mutate checks a mutating request, logs it and applies it, in this order, one
// request at a time.
func (s *Server) mutate(message proto.Message) error {
	var entry []byte
	if s.wal != nil {
		var err error
		if entry, err = record(message); err != nil {
			return err
		}
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	apply, err := s.prepare(message)
	if err != nil {
		return err
	}
	if s.wal != nil {
		if err := s.wal.append(entry); err != nil {
			return status.Error(codes.Unavailable, err.Error())
		}
	}
	apply()
	return nil
}

// open locks the directory and brings back what its log tells.
func (s *Server) open(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	if s.lock, err = lockDir(dir); err != nil {
		return err
	}
	if err := s.openLog(filepath.Join(dir, logName)); err != nil {
		return errors.Join(err, unlockDir(s.lock))
	}
	return nil
}

func (s *Server) openLog(path string) error {
	if err := os.Remove(path + compactSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove unfinished log: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	s.wal = &wal{file: file, path: path, dirty: true}
	if err := s.replay(); err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return nil
}

const logName = "points.log"

// replay applies every record of the log and cuts off a torn end.
func (s *Server) replay() error {
	began := time.Now()
	end, err := s.replayRecords()
	if err != nil {
		return err
	}
	info, err := s.wal.file.Stat()
	if err != nil {
		return err
	}
	if cut := info.Size() - end; cut > 0 {
		s.log.Warn("log ends in a torn record, cut off", slog.Int64("bytes", cut))
		if err := s.wal.file.Truncate(end); err != nil {
			return err
		}
	}
	s.wal.size = end
	s.log.Info("log replayed", slog.Int64("bytes", end), slog.Int("collections", len(s.collections)),
		slog.Duration("took", time.Since(began)))
	return nil
}

// replayRecords returns where the last whole record ends.
func (s *Server) replayRecords() (end int64, err error) {
	magic := make([]byte, len(logMagic))
	switch n, err := io.ReadFull(s.wal.file, magic); {
	case string(magic[:n]) != logMagic[:n]:
		return 0, errors.New("not a log of this server")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF): // new, or torn while new
		_, err := s.wal.file.WriteAt([]byte(logMagic), 0)
		return int64(len(logMagic)), err
	case err != nil:
		return 0, err
	}
	end = int64(len(logMagic))
	for r := range readAhead(bufio.NewReaderSize(s.wal.file, 1<<20)) {
		switch {
		case errors.Is(r.err, errTorn):
			return end, nil
		case r.err != nil:
			return 0, r.err
		}
		apply, err := s.prepare(r.message)
		if err != nil {
			return 0, fmt.Errorf("record at byte %d: %w", end, err)
		}
		apply()
		end += r.size
	}
	return end, nil
}

type readResult struct {
	message proto.Message
	size    int64
	err     error
}

// readAhead decodes records in a goroutine while the caller applies those
// before; it ends with the file or after the first error.
func readAhead(r *bufio.Reader) func(yield func(readResult) bool) {
	return func(yield func(readResult) bool) {
		results, stop := make(chan readResult, 4), make(chan struct{})
		go func() {
			defer close(results)
			for {
				message, size, err := readRecord(r)
				if errors.Is(err, io.EOF) {
					return
				}
				select {
				case results <- readResult{message, size, err}:
				case <-stop:
					return
				}
				if err != nil {
					return
				}
			}
		}()
		defer func() {
			close(stop)
			for range results { // wait for the goroutine
			}
		}()
		for result := range results {
			if !yield(result) {
				return
			}
		}
	}
}
