package qdrantserver

import (
	"slices"

	pb "github.com/qdrant/go-client/qdrant"
)

// mutation changes a collection. It cannot fail: whatever could be wrong with
// the request was found when the mutation was made from it.
type mutation func(*collection)

// mutations turns the operations of a batch into one mutation.
func (c *collection) mutations(operations []*pb.PointsUpdateOperation) (mutation, error) {
	steps := make([]mutation, len(operations))
	for i, operation := range operations {
		var err error
		if steps[i], err = c.mutation(operation); err != nil {
			return nil, err
		}
	}
	return func(c *collection) {
		c.version++
		for _, step := range steps {
			step(c)
		}
		c.compact()
	}, nil
}

func (c *collection) mutation(operation *pb.PointsUpdateOperation) (mutation, error) {
	switch op := operation.GetOperation().(type) {
	case *pb.PointsUpdateOperation_Upsert:
		return c.upsert(op.Upsert)
	case *pb.PointsUpdateOperation_DeletePoints_:
		return onSelected(op.DeletePoints.GetPoints(), func(c *collection, slot int32) {
			c.remove(c.points[slot].id)
		})
	case *pb.PointsUpdateOperation_SetPayload_:
		if op.SetPayload.GetKey() != "" {
			return nil, unsupported("set payload under a key")
		}
		return onPayload(op.SetPayload.GetPointsSelector(), func(p payload) payload {
			return p.with(op.SetPayload.GetPayload())
		})
	case *pb.PointsUpdateOperation_OverwritePayload_:
		return onPayload(op.OverwritePayload.GetPointsSelector(), func(payload) payload {
			return newPayload(op.OverwritePayload.GetPayload())
		})
	case *pb.PointsUpdateOperation_DeletePayload_:
		return onPayload(op.DeletePayload.GetPointsSelector(), func(p payload) payload {
			return p.without(op.DeletePayload.GetKeys())
		})
	case *pb.PointsUpdateOperation_ClearPayload_:
		return onPayload(op.ClearPayload.GetPoints(), func(payload) payload { return nil })
	default:
		return nil, unsupported("operation %T", op)
	}
}

func (c *collection) upsert(list *pb.PointsUpdateOperation_PointStructList) (mutation, error) {
	if list.GetUpdateFilter() != nil || list.GetUpdateMode() != pb.UpdateMode_Upsert {
		return nil, unsupported("conditional upsert")
	}
	points := make([]*point, len(list.GetPoints()))
	for i, in := range list.GetPoints() {
		var err error
		if points[i], err = c.decode(in); err != nil {
			return nil, err
		}
	}
	return func(c *collection) {
		for _, p := range points {
			p.version = c.version
			c.put(p)
		}
	}, nil
}

func onPayload(selector *pb.PointsSelector, change func(payload) payload) (mutation, error) {
	return onSelected(selector, func(c *collection, slot int32) {
		c.points[slot].version = c.version
		c.replacePayload(slot, change(c.points[slot].payload))
	})
}

// onSelected returns the mutation that does something to each selected point.
// Ids that do not exist are passed over, as Qdrant does when deleting.
func onSelected(selector *pb.PointsSelector, do func(*collection, int32)) (mutation, error) {
	chosen, err := compileSelector(selector)
	if err != nil {
		return nil, err
	}
	return func(c *collection) {
		slots := c.selectSlots(chosen)
		slices.Sort(slots)
		for _, slot := range slots {
			do(c, slot)
		}
	}, nil
}

func compileSelector(selector *pb.PointsSelector) (filter, error) {
	switch one := selector.GetPointsSelectorOneOf().(type) {
	case *pb.PointsSelector_Points:
		return compileHasID(one.Points.GetIds())
	case *pb.PointsSelector_Filter:
		return compileFilter(one.Filter)
	default:
		return filter{}, invalid("no points selected")
	}
}
