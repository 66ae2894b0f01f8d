package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	voiceassist "github.com/voiceassist/backend"
)

// Queue publishes deliveries through asynq. A lost delivery is made again by
// the sweeper; a delivery made twice is recognised by its task id.
type Queue struct {
	rdb       redis.UniversalClient
	client    atomic.Pointer[asynq.Client]
	inspector *asynq.Inspector
}

// Queue returns the queue in the Redis of c. It ends with c.
func (c *Client) Queue() *Queue {
	q := &Queue{rdb: c.rdb, inspector: asynq.NewInspectorFromRedisClient(c.rdb)}
	q.renew()
	return q
}

// renew makes a client that puts every queue on the list of queues again. One
// does so only once for each, and after a flush of Redis the inspector would
// know of no queue.
func (q *Queue) renew() { q.client.Store(asynq.NewClientFromRedisClient(q.rdb)) }

// MakeRedisClient gives asynqmon our connections.
func (q *Queue) MakeRedisClient() any { return q.rdb }

// taskTimeout is asynq's own limit of a handler. The ledger's lease is what
// guards a job; this only has to be longer than any job.
const taskTimeout = 24 * time.Hour

// Publish puts a delivery into a queue. A delivery that asynq holds already is
// not an error.
func (q *Queue) Publish(ctx context.Context, kind voiceassist.JobKind, queue voiceassist.Queue, d voiceassist.Delivery) error {
	payload, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("publish %s: %w", d.TaskID(), err)
	}
	_, err = q.client.Load().EnqueueContext(ctx, asynq.NewTask(string(kind), payload),
		asynq.TaskID(d.TaskID()), asynq.Queue(string(queue)), asynq.MaxRetry(0), asynq.Timeout(taskTimeout))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the queue does not take jobs", Err: err}
	}
	return nil
}

// Holds reports whether the queue still has the delivery waiting. One that a
// worker has taken, and whose job it has not started, may have died with it: asynq
// would notice only after a minute. asynq gives no context to this call; it is bounded by the client's timeouts.
func (q *Queue) Holds(queue voiceassist.Queue, d voiceassist.Delivery) (bool, error) {
	info, err := q.inspector.GetTaskInfo(string(queue), d.TaskID())
	switch {
	case errors.Is(err, asynq.ErrQueueNotFound):
		q.renew()
		return false, nil
	case errors.Is(err, asynq.ErrTaskNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up task %s: %w", d.TaskID(), err)
	}
	return info.State == asynq.TaskStatePending || info.State == asynq.TaskStateScheduled || info.State == asynq.TaskStateRetry, nil
}

// Sizes returns how many deliveries wait in each queue.
func (q *Queue) Sizes() (map[voiceassist.Queue]int, error) {
	known, err := q.inspector.Queues() // asynq makes a queue at its first task
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	sizes := make(map[voiceassist.Queue]int, len(voiceassist.Queues))
	for _, name := range known {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			return nil, fmt.Errorf("look up queue %s: %w", name, err)
		}
		sizes[voiceassist.Queue(name)] = info.Pending
	}
	return sizes, nil
}

// ConsumerOptions tune a Consumer; the zero value is good.
type ConsumerOptions struct {
	Concurrency int                      // jobs at once; 0 is 4
	Weights     voiceassist.QueueWeights // the queues it serves; nil is all
	Grace       time.Duration            // how long jobs may go on after Stop before they are told to end; 0 is 8 s
	Log         *slog.Logger
}

// taskCheckInterval is about how long an idle worker takes to see a delivery: a
// document in parts waits for it twice. Each look costs Redis one script a queue.
const taskCheckInterval = 100 * time.Millisecond

// Consume starts handing deliveries to handle, the more urgent queues first,
// until stop is called. handle settles the delivery with the ledger whatever
// happens; to asynq every delivery it was given is done. stop waits for the
// handlers: after the grace their contexts end, and it waits for them still.
func (q *Queue) Consume(handle func(context.Context, voiceassist.Delivery), o ConsumerOptions) (stop func(), err error) {
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.Grace == 0 {
		o.Grace = 8 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Weights == nil {
		o.Weights = voiceassist.DefaultQueueWeights()
	}
	weights := make(map[string]int, len(o.Weights))
	for name, weight := range o.Weights {
		weights[string(name)] = weight
	}
	server := asynq.NewServerFromRedisClient(q.rdb, asynq.Config{
		Concurrency:       o.Concurrency,
		Queues:            weights,
		TaskCheckInterval: taskCheckInterval,
		ShutdownTimeout:   o.Grace,
		Logger:            asynqLog{o.Log},
		LogLevel:          asynq.WarnLevel,
	})
	running := newGroup()
	err = server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		var d voiceassist.Delivery
		if err := json.Unmarshal(t.Payload(), &d); err != nil {
			return fmt.Errorf("read delivery: %w: %w", err, asynq.SkipRetry)
		}
		// After its grace asynq gives a task back and forgets the handler; we
		// do not: stop ends the handler's context and waits for it.
		ctx, done, ok := running.enter(ctx)
		if !ok {
			return errors.New("the worker is stopping")
		}
		defer done()
		handle(ctx, d)
		return nil
	}))
	if err != nil {
		return nil, fmt.Errorf("start the queue's consumer: %w", err)
	}
	return func() {
		server.Stop() // take no more
		running.drain(o.Grace)
		server.Shutdown()
	}, nil
}

// asynqLog passes asynq's own messages on.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) {
	l.log.Debug("asynq", slog.String("message", fmt.Sprint(args...)))
}

func (l asynqLog) Info(args ...any) { l.log.Info("asynq", slog.String("message", fmt.Sprint(args...))) }

func (l asynqLog) Warn(args ...any) { l.log.Warn("asynq", slog.String("message", fmt.Sprint(args...))) }

func (l asynqLog) Error(args ...any) {
	l.log.Error("asynq", slog.String("message", fmt.Sprint(args...)))
}

func (l asynqLog) Fatal(args ...any) {
	l.log.Error("asynq", slog.String("message", fmt.Sprint(args...)))
}
