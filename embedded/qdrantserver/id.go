package qdrantserver

import (
	"bytes"
	"cmp"

	"github.com/google/uuid"
	pb "github.com/qdrant/go-client/qdrant"
)

// pointID is a point's id as a map key: a number or a UUID.
type pointID struct {
	uuid    uuid.UUID
	number  uint64
	numeric bool
}

func parseID(id *pb.PointId) (pointID, error) {
	switch option := id.GetPointIdOptions().(type) {
	case *pb.PointId_Num:
		return pointID{number: option.Num, numeric: true}, nil
	case *pb.PointId_Uuid:
		u, err := uuid.Parse(option.Uuid)
		if err != nil {
			return pointID{}, invalid("unable to parse UUID: %s", option.Uuid)
		}
		return pointID{uuid: u}, nil
	default:
		return pointID{}, invalid("no point id given")
	}
}

func parseIDs(ids []*pb.PointId) ([]pointID, error) {
	parsed := make([]pointID, len(ids))
	for i, id := range ids {
		var err error
		if parsed[i], err = parseID(id); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

func (id pointID) proto() *pb.PointId {
	if id.numeric {
		return pb.NewIDNum(id.number)
	}
	return pb.NewIDUUID(id.uuid.String())
}

// compare orders numbers before UUIDs, as Qdrant's scroll does.
func (id pointID) compare(other pointID) int {
	switch {
	case id.numeric && other.numeric:
		return cmp.Compare(id.number, other.number)
	case id.numeric:
		return -1
	case other.numeric:
		return 1
	default:
		return bytes.Compare(id.uuid[:], other.uuid[:])
	}
}
