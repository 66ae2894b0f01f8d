package qdrantserver_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"

	"github.com/voiceassist/backend/embedded/qdrantserver"
)

// FuzzServerOpensAnyLog checks that damage to the log never crashes a start.
func FuzzServerOpensAnyLog(f *testing.F) {
	dir := f.TempDir()
	server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	if err := server.Close(f.Context()); err != nil {
		f.Fatal(err)
	}
	empty, err := os.ReadFile(filepath.Join(dir, "points.log"))
	if err != nil {
		f.Fatal(err)
	}
	create, err := proto.Marshal(&pb.CreateCollection{
		CollectionName:      things,
		SparseVectorsConfig: pb.NewSparseVectorsConfig(map[string]*pb.SparseVectorParams{"words": {}}),
	})
	if err != nil {
		f.Fatal(err)
	}
	upsert, err := proto.Marshal(&pb.UpdateBatchPoints{CollectionName: things, Operations: []*pb.PointsUpdateOperation{
		pb.NewPointsUpdateUpsert(&pb.PointsUpdateOperation_PointStructList{
			Points: []*pb.PointStruct{sparse(1, "words", []uint32{1, 2}, []float32{3, 4})},
		}),
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(6), upsert, []byte{255, 255, 255, 255, 0, 0, 0, 0, 6, 1, 2, 3})
	f.Add(byte(2), create, []byte{})
	f.Fuzz(func(t *testing.T, kind byte, body, tail []byte) {
		log := slices.Concat(empty, record(1, create), record(kind, body), tail)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "points.log"), log, 0o600); err != nil {
			t.Fatal(err)
		}
		server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
		if err != nil {
			return
		}
		if err := server.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// record is a record as the log holds it, its checksum right.
func record(kind byte, body []byte) []byte {
	checked := append([]byte{kind}, body...)
	header := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	header = binary.LittleEndian.AppendUint32(header, crc32.Checksum(checked, crc32.MakeTable(crc32.Castagnoli)))
	return append(header, checked...)
}
