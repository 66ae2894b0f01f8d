package qdrantserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"
)

// The log is a file of records, each a mutating request:
//
//	length of the request, 4 bytes little-endian
//	CRC-32C of kind and request, 4 bytes little-endian
//	kind, 1 byte
//	the request, protobuf
//
// A compacted log is a log whose requests happen to say the same in fewer
// words, so starting, recovering and restoring a snapshot are one code path.
const (
	logMagic     = "vaqdrlog1\n"
	recordHeader = 9
)

// kind says what a record holds. The numbers are on disk: never change them.
type kind byte

const (
	kindCreateCollection kind = 1
	kindDeleteCollection kind = 2
	kindChangeAliases    kind = 3
	kindCreateField      kind = 4
	kindDeleteField      kind = 5
	kindUpdatePoints     kind = 6
)

func (k kind) message() (proto.Message, error) {
	switch k {
	case kindCreateCollection:
		return new(pb.CreateCollection), nil
	case kindDeleteCollection:
		return new(pb.DeleteCollection), nil
	case kindChangeAliases:
		return new(pb.ChangeAliases), nil
	case kindCreateField:
		return new(pb.CreateFieldIndexCollection), nil
	case kindDeleteField:
		return new(pb.DeleteFieldIndexCollection), nil
	case kindUpdatePoints:
		return new(pb.UpdateBatchPoints), nil
	default:
		return nil, fmt.Errorf("record of unknown kind %d: written by a newer version", k)
	}
}

func kindOf(message proto.Message) kind {
	switch message.(type) {
	case *pb.CreateCollection:
		return kindCreateCollection
	case *pb.DeleteCollection:
		return kindDeleteCollection
	case *pb.ChangeAliases:
		return kindChangeAliases
	case *pb.CreateFieldIndexCollection:
		return kindCreateField
	case *pb.DeleteFieldIndexCollection:
		return kindDeleteField
	case *pb.UpdateBatchPoints:
		return kindUpdatePoints
	default:
		panic(fmt.Sprintf("qdrantserver: %T is not logged", message))
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record encodes a request as it stands in the log.
func record(message proto.Message) ([]byte, error) {
	buf := make([]byte, recordHeader, recordHeader+proto.Size(message))
	buf[8] = byte(kindOf(message))
	buf, err := proto.MarshalOptions{}.MarshalAppend(buf, message)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	binary.LittleEndian.PutUint32(buf[0:], uint32(len(buf)-recordHeader))
	binary.LittleEndian.PutUint32(buf[4:], crc32.Checksum(buf[8:], castagnoli))
	return buf, nil
}

// errTorn is a record that was not written to its end, or not as it was.
var errTorn = errors.New("torn record")

// readRecord reads one record: io.EOF at the end, errTorn when what follows
// is not a whole record.
func readRecord(r *bufio.Reader) (proto.Message, int64, error) {
	var header [recordHeader]byte
	if n, err := io.ReadFull(r, header[:]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return nil, 0, io.EOF
		}
		return nil, 0, torn(err)
	}
	length := binary.LittleEndian.Uint32(header[0:])
	if length > maxRecord {
		return nil, 0, errTorn
	}
	body := make([]byte, 1+length)
	body[0] = header[8]
	if _, err := io.ReadFull(r, body[1:]); err != nil {
		return nil, 0, torn(err)
	}
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
		return nil, 0, errTorn
	}
	message, err := kind(body[0]).message()
	if err != nil {
		return nil, 0, err
	}
	if err := proto.Unmarshal(body[1:], message); err != nil {
		return nil, 0, fmt.Errorf("decode record: %w", err)
	}
	return message, recordHeader + int64(length), nil
}

// torn keeps errors of the disk apart from a file that merely ends early.
func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// wal is the open log. It is guarded by the server's writer lock.
type wal struct {
	file   *os.File
	path   string // the file's name, once compaction has renamed it
	size   int64
	dirty  bool  // written since the last sync
	broken error // set when the file's end is not what size says
}

// append writes a record in full or not at all. The data is with the operating
// system when it returns, so the death of this process does not lose it.
func (w *wal) append(buf []byte) error {
	if w.broken != nil {
		return w.broken
	}
	w.dirty = true
	if _, err := w.file.WriteAt(buf, w.size); err != nil {
		if cut := w.file.Truncate(w.size); cut != nil {
			w.broken = fmt.Errorf("log cannot be written: %w", errors.Join(err, cut))
		}
		return fmt.Errorf("append to log: %w", err)
	}
	w.size += int64(len(buf))
	return nil
}
