package httpapi

import (
	"net/http"
	"reflect"

	voiceassist "github.com/voiceassist/backend"
)

// webhooks are the requests that this system makes of others, by event. Their
// bodies are described from the types that are sent.
func (b *builder) webhooks() map[string]object {
	body := b.of(reflect.TypeFor[voiceassist.BatchEndedEvent]())
	return map[string]object{voiceassist.EventBatchEnded: {"post": object{
		"operationId": "batch-ended",
		"summary":     "A batch has ended",
		"description": webhookText,
		"tags":        []string{"Batches"},
		"security":    []any{},
		"parameters": []any{
			webhookHeader(voiceassist.WebhookNotice, "The id of the notice: the same in every attempt, and another one when a batch that was retried ends again.", exampleID),
			webhookHeader(voiceassist.WebhookSignature, "When this attempt was made and its signature.",
				"t=1768469400,v1=2d2f3b1ea9c2f0f9f4a1d6f2b6f0a4f6b7e2c1d3a5968778695a4b3c2d1e0f00"),
		},
		"requestBody": object{"required": true, "content": object{
			"application/json": object{"schema": body, "example": b.example("", body, nil)},
		}},
		"responses": object{
			"2XX":     object{"description": "It has arrived."},
			"410":     object{"description": http.StatusText(http.StatusGone) + ": it is not sent again."},
			"default": object{"description": "It is sent again, later and later, for a day. Redirects are not followed, and answers not read."},
		},
	}}}
}

const webhookText = `Sent to the ` + "`webhook_url`" + ` of a batch when it has ended, at least once.

` + "`" + voiceassist.WebhookSignature + "`" + ` is ` + "`t=…,v1=…`" + `: the time of the attempt in seconds since 1970, and the HMAC-SHA-256, in hex, of that time, a point and the body as it came, under WEBHOOK_SECRET. Compare it in constant time, and refuse times more than five minutes old.`

func webhookHeader(name, doc, example string) object {
	return object{"name": name, "in": "header", "required": true, "description": doc, "schema": object{"type": "string", "examples": []any{example}}}
}
