package redis

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	voiceassist "github.com/voiceassist/backend"
)

// busPrefix begins the names of the channels of a Bus.
const busPrefix = "va:bus:"

// Bus carries news between the processes, to all of them, the sender included.
// It promises nothing: news are lost while Redis does not answer, so whoever
// acts on them must also find out without them, only later.
type Bus struct {
	rdb *redis.Client
	log *slog.Logger

	mu       sync.Mutex
	handlers map[string][]func(payload []byte)
}

// NewBus returns a bus over the Redis of c. It delivers while Run runs.
func (c *Client) NewBus(log *slog.Logger) *Bus {
	return &Bus{rdb: c.rdb, log: log, handlers: make(map[string][]func([]byte))}
}

// Publish tells every process that runs a bus.
func (b *Bus) Publish(ctx context.Context, topic string, payload []byte) error {
	if err := b.rdb.Publish(ctx, busPrefix+topic, payload).Err(); err != nil {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
	}
	return nil
}

// Handle has f called with what is published under topic, one call after
// another for all topics; f must not block. It must be called before Run.
func (b *Bus) Handle(topic string, f func(payload []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlers[topic] = append(b.handlers[topic], f)
}

// Run delivers until ctx ends, over one connection, which is made again when it
// breaks.
func (b *Bus) Run(ctx context.Context) {
	for ctx.Err() == nil {
		b.listen(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (b *Bus) listen(ctx context.Context) {
	sub := b.rdb.PSubscribe(ctx, busPrefix+"*")
	defer sub.Close() //nolint:errcheck // it may be broken already
	if _, err := sub.Receive(ctx); err != nil {
		if ctx.Err() == nil {
			b.log.WarnContext(ctx, "news of other processes do not arrive", slog.Any("error", err))
		}
		return
	}
	news := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-news:
			if !ok {
				return
			}
			b.deliver(strings.TrimPrefix(m.Channel, busPrefix), []byte(m.Payload))
		}
	}
}

func (b *Bus) deliver(topic string, payload []byte) {
	b.mu.Lock()
	handlers := b.handlers[topic]
	b.mu.Unlock()
	for _, f := range handlers {
		f(payload)
	}
}
