package voiceassist

import "github.com/google/uuid"

// Part is a job that does a piece of another one's work: some pages of the
// document, from 1, or some of its passages, from 0. Both ends belong to it.
type Part struct {
	JobID       uuid.UUID
	First, Last int
}
