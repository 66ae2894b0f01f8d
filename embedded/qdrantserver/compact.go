package qdrantserver

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"
)

// snapshotBatch is how many points a record of a compacted log holds.
const snapshotBatch = 512

// minCompact is the smallest log worth compacting, in bytes.
const minCompact = 4 << 20

// maintain syncs the log and compacts it when due, until stop is closed.
func (s *Server) maintain(stop <-chan struct{}) {
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if err := s.tidy(3); err != nil {
			s.log.Error("log not kept", slog.Any("error", err))
		}
	}
}

// tidy puts the log on the disk, after compacting it if it is more than factor
// times as large as what it says. Only maintain calls it while that runs.
func (s *Server) tidy(factor int64) error {
	s.writer.Lock()
	var err error
	if s.wal.size > minCompact && s.wal.size > factor*s.living() {
		err = s.compact()
	}
	file, dirty := s.wal.file, s.wal.dirty
	s.wal.dirty = false
	s.writer.Unlock()
	if dirty {
		err = errors.Join(err, file.Sync()) // writers need not wait for the disk
	}
	return err
}

func (s *Server) living() (bytes int64) {
	for _, c := range s.collections {
		bytes += c.bytes
	}
	return bytes
}

// compact writes a log of what there is and puts it in place of the old one.
// Searches go on meanwhile, writers wait.
func (s *Server) compact() error {
	began, old := time.Now(), *s.wal
	file, err := os.OpenFile(old.path+compactSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("compact log: %w", err)
	}
	size, err := s.writeSnapshot(file)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), old.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("compact log: %w", err), file.Close(), os.Remove(file.Name()))
	}
	*s.wal = wal{file: file, path: old.path, size: size}
	s.log.Info("log compacted", slog.Int64("bytes_before", old.size), slog.Int64("bytes", size),
		slog.Duration("took", time.Since(began)))
	return errors.Join(old.file.Close(), syncDir(filepath.Dir(old.path)))
}

// compactSuffix marks a compacted log that has not taken its place yet.
const compactSuffix = ".new"

// writeSnapshot must be called with the writer lock held.
func (s *Server) writeSnapshot(file *os.File) (size int64, err error) {
	w := bufio.NewWriterSize(file, 1<<20)
	size = int64(len(logMagic))
	if _, err := w.WriteString(logMagic); err != nil {
		return 0, err
	}
	for message := range s.snapshot {
		buf, err := record(message)
		if err != nil {
			return 0, err
		}
		if _, err := w.Write(buf); err != nil {
			return 0, err
		}
		size += int64(len(buf))
	}
	return size, w.Flush()
}

// snapshot yields requests that recreate everything.
func (s *Server) snapshot(yield func(proto.Message) bool) {
	for _, name := range slices.Sorted(maps.Keys(s.collections)) {
		if !s.collections[name].snapshot(name, yield) {
			return
		}
	}
	if len(s.aliases) == 0 {
		return
	}
	change := new(pb.ChangeAliases)
	for _, alias := range slices.Sorted(maps.Keys(s.aliases)) {
		change.Actions = append(change.Actions, pb.NewAliasCreate(alias, s.aliases[alias]))
	}
	yield(change)
}

func (c *collection) snapshot(name string, yield func(proto.Message) bool) bool {
	if !yield(c.request) {
		return false
	}
	for _, field := range slices.Sorted(maps.Keys(c.fields)) {
		if !yield(c.fields[field].request) {
			return false
		}
	}
	var batch []*pb.PointStruct
	for i, p := range c.points {
		if p != nil {
			batch = append(batch, p.encode())
		}
		if len(batch) == snapshotBatch || i == len(c.points)-1 && len(batch) > 0 {
			upsert := pb.NewPointsUpdateUpsert(&pb.PointsUpdateOperation_PointStructList{Points: batch})
			if !yield(&pb.UpdateBatchPoints{CollectionName: name, Operations: []*pb.PointsUpdateOperation{upsert}}) {
				return false
			}
			batch = nil
		}
	}
	return true
}
