package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// Headers of a webhook.
const (
	// WebhookSignature holds the time of an attempt and the signature:
	// t=<seconds since 1970>,v1=<hex HMAC-SHA-256 of "<t>.<body>">.
	WebhookSignature = "VoiceAssist-Signature"
	// WebhookNotice holds the id of the notice, the same in every attempt.
	WebhookNotice = "VoiceAssist-Notice"
)

// MaxWebhookURL is how long the URL of a webhook may be, in bytes.
const MaxWebhookURL = 2000

// EventBatchEnded is the event of a BatchEndedEvent.
const EventBatchEnded = "batch.ended"

// BatchEndedEvent is the body of the webhook that tells of the end of a batch.
type BatchEndedEvent struct {
	Event   string       `json:"event" enum:"batch.ended"`
	Batch   EndedBatch   `json:"batch"`
	Account EndedAccount `json:"account"`
}

// EndedBatch says which batch has ended, and how.
type EndedBatch struct {
	ID        uuid.UUID  `json:"id"`
	Name      string     `json:"name" example:"Guidelines 2026"`
	State     BatchState `json:"state" enum:"ended,cancelled"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   time.Time  `json:"ended_at"`
}

// EndedAccount is the account of the batch at its end.
type EndedAccount struct {
	Declared  int `json:"declared" example:"30" doc:"awaited + accepted"`
	Awaited   int `json:"awaited" doc:"never uploaded"`
	Accepted  int `json:"accepted" example:"30" doc:"indexed + duplicate + skipped + failed + cancelled"`
	Indexed   int `json:"indexed" example:"24"`
	Duplicate int `json:"duplicate" example:"1" doc:"in the library before, or twice in the batch"`
	Skipped   int `json:"skipped" example:"2" doc:"of a kind that is not read"`
	Failed    int `json:"failed" example:"3"`
	Cancelled int `json:"cancelled" doc:"also: deleted afterwards"`
	InFlight  int `json:"in_flight" doc:"always 0"`
	Imbalance int `json:"imbalance" doc:"files that are lost; always 0"`
}
