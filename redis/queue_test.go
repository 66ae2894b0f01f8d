package redis_test

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/redis"
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

// A worker that dies before it has started the job keeps the delivery for as
// long as asynq's lease.
func TestADeliveryThatAWorkerHasTakenIsNotHeld(t *testing.T) {
	t.Parallel()
	q := open(t, miniredis.RunT(t)).Queue()
	d := voiceassist.Delivery{JobID: uuid.New(), Number: 1}
	if err := q.Publish(t.Context(), voiceassist.JobIndex, voiceassist.QueueBulk, d); err != nil {
		t.Fatal(err)
	}
	if held, err := q.Holds(voiceassist.QueueBulk, d); !held || err != nil {
		t.Errorf("a delivery that waits: Holds = %v, %v", held, err)
	}
	taken, dies := make(chan struct{}), make(chan struct{})
	stop, err := q.Consume(func(context.Context, voiceassist.Delivery) {
		close(taken)
		<-dies
	}, redis.ConsumerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	defer close(dies)
	<-taken
	if held, err := q.Holds(voiceassist.QueueBulk, d); held || err != nil {
		t.Errorf("a delivery that was taken: Holds = %v, %v", held, err)
	}
}
