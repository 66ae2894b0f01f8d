package httpapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// TestTheWebhookIsDescribedAsItIsSent holds a body as it is sent, and the names of
// the headers, against the description.
func TestTheWebhookIsDescribedAsItIsSent(t *testing.T) {
	t.Parallel()
	d := theDocument(t)
	at := d.pointer("webhooks", voiceassist.EventBatchEnded, "post")
	hook, err := d.lookup(at)
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	for _, p := range hook["parameters"].([]any) {
		headers = append(headers, p.(map[string]any)["name"].(string))
	}
	if diff := cmp.Diff([]string{voiceassist.WebhookNotice, voiceassist.WebhookSignature}, headers); diff != "" {
		t.Errorf("the headers differ (-want +got):\n%s", diff)
	}
	if responses := hook["responses"].(map[string]any); responses["410"] == nil || responses["2XX"] == nil {
		t.Errorf("the responses are %v", slices.Sorted(maps.Keys(responses)))
	}

	sent, err := json.Marshal(voiceassist.BatchEndedEvent{
		Event:   voiceassist.EventBatchEnded,
		Batch:   voiceassist.EndedBatch{ID: uuid.New(), Name: "A load", State: voiceassist.BatchCancelled, CreatedAt: time.Now().UTC(), EndedAt: time.Now().UTC()},
		Account: voiceassist.EndedAccount{Declared: 3, Accepted: 3, Indexed: 2, Cancelled: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, at := hook["requestBody"].(map[string]any), at+d.pointer("requestBody")
	d.checkExamples(t, body, at)
	at += d.pointer("content", "application/json", "schema")
	if err := d.validate(at, string(sent)); err != nil {
		t.Errorf("what is sent is not what is described: %v", err)
	}
	if err := d.validate(at, `{"event":"batch.ended"}`); err == nil {
		t.Error("the description takes a body without a batch")
	}
	var got map[string]any
	if err := json.Unmarshal(sent, &got); err != nil {
		t.Fatal(err)
	}
	example := body["content"].(map[string]any)["application/json"].(map[string]any)["example"].(map[string]any)
	for _, part := range []string{"batch", "account"} {
		if diff := cmp.Diff(keys(got[part]), keys(example[part])); diff != "" {
			t.Errorf("the members of %q differ (-sent +described):\n%s", part, diff)
		}
	}
}

func keys(object any) []string { return slices.Sorted(maps.Keys(object.(map[string]any))) }
