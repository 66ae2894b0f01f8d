package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// Part is a job that does a piece of another one's work: some pages of the
// document, from 1, or some of its passages, from 0. Both ends belong to it.
type Part struct {
	JobID       uuid.UUID
	First, Last int
}

// Timeline is what the jobs of a document have done, oldest first.
type Timeline struct {
	Events []TimelineEvent // a part of them
	Total  int             // of all events
	Stages []StageTotal    // of all events, in the order in which the stages were first run
}

// TimelineEvent is a line of a job's timeline with its job.
type TimelineEvent struct {
	JobEvent
	JobID uuid.UUID
	Kind  JobKind
}

// StageTotal is what a stage of a document has taken in all attempts and parts.
type StageTotal struct {
	Stage Stage
	Runs  int
	Took  time.Duration // parts that ran at once count each
}
