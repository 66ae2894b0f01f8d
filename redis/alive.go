package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	voiceassist "github.com/voiceassist/backend"
)

// alivePrefix begins the keys of sorted sets that hold the processes of a kind,
// each by when it is thought dead.
const alivePrefix = "va:alive:"

// Beat says that a process of a kind lives, which is believed for ttl.
func (c *Client) Beat(ctx context.Context, kind, id string, ttl time.Duration) error {
	key, now := alivePrefix+kind, time.Now()
	_, err := c.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, key, redis.Z{Score: float64(now.Add(ttl).UnixMilli()), Member: id})
		p.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
		return nil
	})
	return unavailable(err)
}

// Alive returns how many processes of a kind live.
func (c *Client) Alive(ctx context.Context, kind string) (int, error) {
	n, err := c.rdb.ZCount(ctx, alivePrefix+kind, strconv.FormatInt(time.Now().UnixMilli(), 10), "+inf").Result()
	return int(n), unavailable(err)
}

// Version returns the version of the server; "" for one that does not tell.
func (c *Client) Version(ctx context.Context) (string, error) {
	info, err := c.rdb.Info(ctx, "server").Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return "", c.Ping(ctx) // it knows no such section, as small servers do
	}
	for line := range strings.Lines(info) {
		if version, ok := strings.CutPrefix(line, "redis_version:"); ok {
			return strings.TrimSpace(version), nil
		}
	}
	return "", unavailable(err)
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
}

// Workers are what consumes the queues.
type Workers struct {
	Processes int // that are alive
	Busy      int // jobs under way
	Slots     int // jobs that could be
}

// Workers returns the workers whose heartbeat has been seen.
func (q *Queue) Workers(ctx context.Context) (Workers, error) {
	// asynq takes no context; a server that does not answer is found out first.
	if err := q.rdb.Ping(ctx).Err(); err != nil {
		return Workers{}, unavailable(err)
	}
	servers, err := q.inspector.Servers()
	if err != nil {
		return Workers{}, fmt.Errorf("list workers: %w", err)
	}
	var w Workers
	for _, s := range servers {
		if s.Status != "active" {
			continue // it is stopping
		}
		w.Processes++
		w.Busy += len(s.ActiveWorkers)
		w.Slots += s.Concurrency
	}
	return w, nil
}
