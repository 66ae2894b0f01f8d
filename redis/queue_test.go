package redis_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

func TestDeliveriesAreFoundAfterAFlush(t *testing.T) {
	t.Parallel()
	client := open(t, miniredis.RunT(t))
	q := client.Queue()
	publish := func() voiceassist.Delivery {
		t.Helper()
		d := voiceassist.Delivery{JobID: uuid.New(), Number: 1}
		if err := q.Publish(t.Context(), voiceassist.JobIndex, voiceassist.QueueBulk, d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	lost := publish()
	if err := client.Redis().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if held, err := q.Holds(voiceassist.QueueBulk, lost); held || err != nil {
		t.Errorf("a lost delivery: Holds = %v, %v", held, err)
	}
	if held, err := q.Holds(voiceassist.QueueBulk, publish()); !held || err != nil {
		t.Errorf("a delivery after the flush: Holds = %v, %v", held, err)
	}
}
