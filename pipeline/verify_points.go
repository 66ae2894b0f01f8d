package pipeline

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// points compares the passages of all active generations with all points of the
// index, and then each document of which anything differed once more by itself.
func (v *verifying) points(ctx context.Context) error {
	suspects := make(map[uuid.UUID]bool)
	suspect := func(document uuid.UUID) {
		if len(suspects) < maxSuspects {
			suspects[document] = true
		}
	}
	passages, points := 0, 0
	err := v.pairUp(ctx, uuid.Nil, func(passage *postgres.IndexedPassage, point *voiceassist.StoredPoint) {
		if passage != nil {
			passages++
		}
		if point != nil {
			points++
		}
		switch {
		case point == nil:
			suspect(passage.DocumentID)
		case passage == nil:
			suspect(point.DocumentID)
		case !answers(point, passage):
			suspect(passage.DocumentID)
			suspect(point.DocumentID)
		}
	})
	v.checked("passages", passages)
	v.checked("points", points)
	if err != nil || len(suspects) == 0 {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	for _, id := range slices.SortedFunc(maps.Keys(suspects), compareIDs) {
		if err := v.examinePoints(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// pairUp calls f with each passage that should be in the index, of one document
// or of all for uuid.Nil, and the point of the same id; either may be nil.
func (v *verifying) pairUp(ctx context.Context, document uuid.UUID, f func(*postgres.IndexedPassage, *voiceassist.StoredPoint)) error {
	return pairUp(v.Ledger.ActivePassages(ctx, document), v.Index.Scroll(ctx, document),
		func(p postgres.IndexedPassage, q voiceassist.StoredPoint) int { return compareIDs(p.ID, q.PassageID) },
		func(p *postgres.IndexedPassage, q *voiceassist.StoredPoint) error { f(p, q); return nil })
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

func answers(point *voiceassist.StoredPoint, passage *postgres.IndexedPassage) bool {
	return point.Active && point.DocumentID == passage.DocumentID && point.Generation == passage.Generation
}

// maxStray is how many points of a document are removed in one verification.
const maxStray = 100_000

// examinePoints compares the points of one document, unless a job is about to
// change them.
func (v *verifying) examinePoints(ctx context.Context, id uuid.UUID) error {
	before, err := v.Ledger.Standing(ctx, id)
	if err != nil || before.Busy {
		return err
	}
	missing, wrong := 0, 0
	var surplus []uuid.UUID
	if err := v.pairUp(ctx, id, func(passage *postgres.IndexedPassage, point *voiceassist.StoredPoint) {
		switch {
		case point == nil:
			missing++
		case passage == nil:
			if len(surplus) < maxStray {
				surplus = append(surplus, point.PassageID)
			}
		case !answers(point, passage):
			wrong++
		}
	}); err != nil {
		return err
	}
	after, err := v.Ledger.Standing(ctx, id)
	if err != nil || after != before {
		return err // it has moved on; the next verification looks again
	}
	// A point that says it is this document's may be another's passage, whose
	// own examination finds it wrong.
	if surplus, err = v.Ledger.SurplusPoints(ctx, surplus); err != nil {
		return err
	}
	v.tellPoints(ctx, id, after, missing, wrong, surplus)
	return nil
}

func (v *verifying) tellPoints(ctx context.Context, id uuid.UUID, s postgres.Standing, missing, wrong int, surplus []uuid.UUID) {
	anew := s.Profile != "" && s.Profile != v.Profile
	republish := func(ctx context.Context) error { return v.Ledger.Republish(ctx, id, anew, false) }
	remedy := "write its points again"
	if anew {
		remedy = "index the document again, for the vectors in use"
	}
	if missing > 0 {
		v.found(ctx, voiceassist.Difference{
			Kind: voiceassist.PointsMissing, ID: id.String(), Count: missing, Detail: "passages are not in the index", Remedy: remedy,
		}, republish)
	}
	if wrong > 0 {
		v.found(ctx, voiceassist.Difference{
			Kind: voiceassist.PointsWrong, ID: id.String(), Count: wrong,
			Detail: "points are hidden, or say another document or generation", Remedy: remedy,
		}, republish)
	}
	if len(surplus) > 0 {
		v.found(ctx, voiceassist.Difference{
			Kind: voiceassist.PointsSurplus, ID: id.String(), Count: len(surplus),
			Detail: "points of no passage that can be found", Remedy: "remove the points",
		}, func(ctx context.Context) error { return v.Index.DeletePoints(ctx, surplus) })
	}
}

// pairUp walks through two sequences that are in the order of their keys, and
// calls f with the elements of equal key together and with all others alone, nil
// for what is lacking. It ends at the first error.
func pairUp[L, R any](left iter.Seq2[L, error], right iter.Seq2[R, error], compare func(L, R) int, f func(*L, *R) error) error {
	nextL, stopL := iter.Pull2(left)
	defer stopL()
	nextR, stopR := iter.Pull2(right)
	defer stopR()
	l, errL, moreL := nextL()
	r, errR, moreR := nextR()
	for moreL || moreR {
		if errL != nil {
			return errL
		}
		if errR != nil {
			return errR
		}
		var order int
		switch {
		case !moreR:
			order = -1
		case !moreL:
			order = 1
		default:
			order = compare(l, r)
		}
		a, b := &l, &r
		if order > 0 {
			a = nil
		}
		if order < 0 {
			b = nil
		}
		if err := f(a, b); err != nil {
			return err
		}
		if order <= 0 {
			l, errL, moreL = nextL()
		}
		if order >= 0 {
			r, errR, moreR = nextR()
		}
	}
	return nil
}
