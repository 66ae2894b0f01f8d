package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	voiceassist "github.com/voiceassist/backend"
)

// busPrefix begins the names of the channels of a Bus.
const busPrefix = "va:bus:"

// Bounds of a bus.
const (
	busQueue  = 256              // news that wait for one handler
	busIdle   = 15 * time.Second // of silence, after which the connection is tried
	busPause  = time.Second      // between two connections
	busAnswer = 5 * time.Second  // for the connection to answer when it is tried
)

// Bus carries news between the processes, to all of them, the sender included.
// It promises nothing: news are lost while Redis does not answer, or when a
// handler is too slow for them, so whoever acts on them must also find out
// without them, only later.
type Bus struct {
	rdb *redis.Client
	log *slog.Logger

	delivered  *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	reconnects prometheus.Counter

	mu       sync.Mutex
	handlers map[string][]busHandler
}

// busHandler is a function with the news that wait for it.
type busHandler struct {
	f     func(payload []byte)
	queue chan []byte
}

// NewBus returns a bus over the Redis of c. It delivers while Run runs. Its
// figures go to r, which may be nil.
func (c *Client) NewBus(log *slog.Logger, r prometheus.Registerer) *Bus {
	b := &Bus{
		rdb: c.rdb, log: log, handlers: make(map[string][]busHandler),
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "voiceassist_bus_delivered_total",
			Help: "News of other processes, and of this one, given to their handlers.",
		}, []string{"topic"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "voiceassist_bus_dropped_total",
			Help: "News dropped because their handler was too slow.",
		}, []string{"topic"}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "voiceassist_bus_reconnects_total",
			Help: "Connections of the bus that broke or could not be made.",
		}),
	}
	if r != nil {
		r.MustRegister(b.delivered, b.dropped, b.reconnects)
	}
	return b
}

// Publish tells every process that runs a bus.
func (b *Bus) Publish(ctx context.Context, topic string, payload []byte) error {
	if err := b.rdb.Publish(ctx, busPrefix+topic, payload).Err(); err != nil {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
	}
	return nil
}

// Handle has f called with what is published under topic, one call after
// another, in an order of its own: a slow f keeps nobody else waiting, and
// loses news. It must be called before Run.
func (b *Bus) Handle(topic string, f func(payload []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlers[topic] = append(b.handlers[topic], busHandler{f, make(chan []byte, busQueue)})
}

// Run delivers until ctx ends, over one connection, which is made again when it
// breaks. It returns when the handlers have.
func (b *Bus) Run(ctx context.Context) {
	var handling sync.WaitGroup
	defer handling.Wait()
	b.mu.Lock()
	for topic, list := range b.handlers {
		delivered := b.delivered.WithLabelValues(topic)
		for _, h := range list {
			handling.Go(func() { h.run(ctx, delivered) })
		}
	}
	b.mu.Unlock()
	failing := false
	for ctx.Err() == nil {
		heard, err := b.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		b.reconnects.Inc()
		if heard || !failing { // once for each time that it goes away
			b.log.WarnContext(ctx, "news of other processes do not arrive", slog.Any("error", err))
		}
		failing = true
		select {
		case <-ctx.Done():
		case <-time.After(busPause):
		}
	}
}

func (h busHandler) run(ctx context.Context, delivered prometheus.Counter) {
	for {
		select {
		case <-ctx.Done():
			return
		case payload := <-h.queue:
			h.f(payload)
			delivered.Inc()
		}
	}
}

// listen delivers over one connection until it breaks or ctx ends, and reports
// whether it had been made. A connection that is silent is tried: one that
// died without a word would be silent for ever.
func (b *Bus) listen(ctx context.Context) (heard bool, err error) {
	sub := b.rdb.PSubscribe(ctx, busPrefix+"*")
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // which ends a wait
	tried := false
	wait := busAnswer
	for {
		message, err := sub.ReceiveTimeout(ctx, wait)
		switch {
		case err == nil:
			heard, tried, wait = true, false, busIdle
			if m, ok := message.(*redis.Message); ok {
				b.deliver(strings.TrimPrefix(m.Channel, busPrefix), []byte(m.Payload))
			}
		case isTimeout(err) && heard && !tried:
			tried, wait = true, busAnswer
			if err := sub.Ping(ctx); err != nil {
				return heard, err
			}
		default:
			return heard, err
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded)
}

// deliver queues what was published for its handlers.
func (b *Bus) deliver(topic string, payload []byte) {
	b.mu.Lock()
	handlers := b.handlers[topic]
	b.mu.Unlock()
	for _, h := range handlers {
		select {
		case h.queue <- payload:
		default:
			b.dropped.WithLabelValues(topic).Inc()
		}
	}
}
