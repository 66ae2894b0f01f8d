package httpapi

import (
	"context"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

type timelineInput struct {
	ID string `path:"id"`
	Paging
}

// timelineBody is what the jobs of a document have done.
type timelineBody struct {
	DocumentID string           `json:"document_id"`
	Events     []timelineEvent  `json:"events" doc:"oldest first"`
	Stages     []stageTotalBody `json:"stages" doc:"what each stage took in all attempts and parts"`
	Total      int              `json:"total" doc:"of the events"`
	Offset     int              `json:"offset"`
	Limit      int              `json:"limit"`
}

func (timelineBody) named() string { return "events" }

// timelineEvent is a line of it.
type timelineEvent struct {
	JobID     string              `json:"job_id"`
	Kind      voiceassist.JobKind `json:"kind"`
	Attempt   int                 `json:"attempt"`
	Stage     voiceassist.Stage   `json:"stage"`
	Result    string              `json:"result" enum:"done,retry,paced,split,failed,cancelled,interrupted"`
	Detail    string              `json:"detail"`
	StartedAt string              `json:"started_at" format:"date-time"`
	EndedAt   string              `json:"ended_at" format:"date-time"`
	TookMS    float64             `json:"took_ms"`
	Part      *partBody           `json:"part" doc:"of a large job, the part that this was; null for the job itself"`
}

// partBody is a part of a job.
type partBody struct {
	ID    string `json:"id"`
	First int    `json:"first" doc:"its first page, from 1, or passage, from 0"`
	Last  int    `json:"last"`
}

// stageTotalBody is what a stage took.
type stageTotalBody struct {
	Stage  voiceassist.Stage `json:"stage"`
	Runs   int               `json:"runs"`
	TookMS float64           `json:"took_ms" doc:"parts that ran at the same time count each"`
}

func (s *Server) documentTimeline(ctx context.Context, in *timelineInput) (timelineBody, error) {
	id, err := parseID(in.ID, "document")
	if err != nil {
		return timelineBody{}, err
	}
	offset, limit := in.window(requestOf(ctx).flat)
	t, err := s.o.Ledger.DocumentTimeline(ctx, id, offset, limit)
	if err != nil {
		return timelineBody{}, err
	}
	b := timelineBody{
		DocumentID: id.String(), Events: make([]timelineEvent, len(t.Events)), Stages: make([]stageTotalBody, len(t.Stages)),
		Total: t.Total, Offset: offset, Limit: limit,
	}
	for i, e := range t.Events {
		b.Events[i] = timelineEventOf(e)
	}
	for i, stage := range t.Stages {
		b.Stages[i] = stageTotalBody{Stage: stage.Stage, Runs: stage.Runs, TookMS: milliseconds(stage.Took)}
	}
	return b, nil
}

func timelineEventOf(e voiceassist.TimelineEvent) timelineEvent {
	b := timelineEvent{
		JobID: e.JobID.String(), Kind: e.Kind, Attempt: e.Attempt, Stage: e.Stage, Result: e.Result, Detail: e.Detail,
		StartedAt: stamp(e.At.Add(-e.Took)), EndedAt: stamp(e.At), TookMS: milliseconds(e.Took),
	}
	if p := e.Part; p != nil {
		b.Part = &partBody{ID: p.JobID.String(), First: p.First, Last: p.Last}
	}
	return b
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
