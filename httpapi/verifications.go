package httpapi

import (
	"context"

	voiceassist "github.com/voiceassist/backend"
)

// Verifier is what this package asks of postgres.DB about comparisons of
// ledger, index, blob store and queue, which schedulers carry out.
type Verifier interface {
	// Verifications returns the last one that has ended and the one that has
	// not; either may be nil.
	Verifications(ctx context.Context) (last, unfinished *voiceassist.Verification, err error)
	// RequestVerification asks for one, or joins the one that waits. It is
	// Conflict when repair is wanted and one without is under way.
	RequestVerification(ctx context.Context, repair bool) (voiceassist.Verification, error)
}

type verificationBody struct {
	ID          string                             `json:"id"`
	Status      string                             `json:"status" enum:"waiting,running,clean,differences,failed"`
	Scheduled   bool                               `json:"scheduled" doc:"it is a nightly one"`
	Repair      bool                               `json:"repair"`
	RequestedAt string                             `json:"requested_at" format:"date-time"`
	StartedAt   *string                            `json:"started_at" format:"date-time"`
	FinishedAt  *string                            `json:"finished_at" format:"date-time"`
	TookMS      int64                              `json:"took_ms"`
	Error       string                             `json:"error" doc:"why it could not be done"`
	Checked     map[string]int                     `json:"checked" doc:"how much was looked at"`
	Counts      map[voiceassist.DifferenceKind]int `json:"counts" doc:"differences by kind"`
	Repaired    int                                `json:"repaired"`
	Differences []voiceassist.Difference           `json:"differences" doc:"the first of them"`
}

func verificationOf(v voiceassist.Verification) verificationBody {
	b := verificationBody{
		ID: v.ID.String(), Status: standingOf(v), Scheduled: v.Scheduled, Repair: v.Repair,
		RequestedAt: stamp(v.RequestedAt), StartedAt: stampOrNil(v.StartedAt), FinishedAt: stampOrNil(v.FinishedAt),
		Error: v.Error, Checked: v.Checked, Counts: v.Counts, Repaired: v.Repaired, Differences: v.Differences,
	}
	if v.FinishedAt != nil && v.StartedAt != nil {
		b.TookMS = v.FinishedAt.Sub(*v.StartedAt).Milliseconds()
	}
	return b
}

func standingOf(v voiceassist.Verification) string {
	switch {
	case v.FinishedAt == nil && v.StartedAt == nil:
		return "waiting"
	case v.FinishedAt == nil:
		return "running"
	case v.Error != "":
		return "failed"
	case v.Clean():
		return "clean"
	}
	return "differences"
}

type verificationsBody struct {
	Last    *verificationBody `json:"last"`
	Current *verificationBody `json:"current" doc:"that waits or is under way"`
}

func (s *Server) lastVerification(ctx context.Context, _ *struct{}) (b verificationsBody, err error) {
	last, current, err := s.o.Verifier.Verifications(ctx)
	if err != nil {
		return b, err
	}
	if last != nil {
		b.Last = new(verificationOf(*last))
	}
	if current != nil {
		b.Current = new(verificationOf(*current))
	}
	return b, nil
}

type comparisonInput struct {
	Body *struct {
		Repair bool `json:"repair,omitempty" doc:"repair what can be repaired without a person"`
	}
}

func (s *Server) requestVerification(ctx context.Context, in *comparisonInput) (verificationBody, error) {
	v, err := s.o.Verifier.RequestVerification(ctx, in.Body != nil && in.Body.Repair)
	return verificationOf(v), err
}
