package redis

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	voiceassist "github.com/voiceassist/backend"
)

// cachePrefix begins the names of cached values, and of nothing else: queues,
// rate limits and channels have others.
const cachePrefix = "va:cache:"

// Bounds of what the cache does in Redis.
const (
	cacheTimeout   = 250 * time.Millisecond // of reading or writing a value
	cachePause     = time.Second            // for which nobody asks a Redis that did not answer
	cacheScan      = 500                    // keys looked at in one round trip
	maxCountedKeys = 50_000                 // that the figures count
)

// Cache keeps values in Redis for a while. It is safe for concurrent use.
type Cache struct {
	rdb *redis.Client
	log *slog.Logger

	skipUntil atomic.Int64 // unix nanoseconds: Redis did not answer a moment ago
}

// NewCache returns the cache in the Redis of c.
func (c *Client) NewCache(log *slog.Logger) *Cache { return &Cache{rdb: c.rdb, log: log} }

// errCachePaused is for those who ask soon after Redis did not answer.
var errCachePaused = &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis did not answer a moment ago"}

// Get returns a stored value; ok is false without one.
func (c *Cache) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = c.attempt(ctx, func(ctx context.Context) error {
		value, err = c.rdb.Get(ctx, cachePrefix+key).Bytes()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		ok = err == nil
		return err
	})
	return value, ok, err
}

// Set stores a value for ttl.
func (c *Cache) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return c.attempt(ctx, func(ctx context.Context) error { return c.rdb.Set(ctx, cachePrefix+key, value, ttl).Err() })
}

// attempt asks Redis, unless it did not answer a moment ago.
func (c *Cache) attempt(ctx context.Context, ask func(context.Context) error) error {
	if c.paused() {
		return errCachePaused
	}
	asking, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	err := ask(asking)
	if err == nil || ctx.Err() != nil { // who asked has left: that says nothing of Redis
		return err
	}
	c.skipUntil.Store(time.Now().Add(cachePause).UnixNano())
	c.log.WarnContext(ctx, "the cache in Redis is not used", slog.Any("error", err))
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
}

func (c *Cache) paused() bool { return time.Now().UnixNano() < c.skipUntil.Load() }

// Delete removes the values whose keys match lets through and returns how many
// it removed.
func (c *Cache) Delete(ctx context.Context, match func(key string) bool) (n int, err error) {
	if c.paused() {
		return 0, errCachePaused
	}
	err = c.scan(ctx, func(names []string) (more bool, err error) {
		var doomed []string
		for _, name := range names {
			if match(strings.TrimPrefix(name, cachePrefix)) {
				doomed = append(doomed, name)
			}
		}
		if len(doomed) == 0 {
			return true, nil
		}
		removed, err := c.rdb.Unlink(ctx, doomed...).Result()
		n += int(removed)
		return true, err
	})
	if err != nil {
		return n, &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
	}
	return n, nil
}

// scan calls each with the names of cached values, batch by batch, until it
// wants no more. A name may come twice.
func (c *Cache) scan(ctx context.Context, each func(names []string) (more bool, err error)) error {
	for cursor := uint64(0); ; {
		names, next, err := c.rdb.Scan(ctx, cursor, cachePrefix+"*", cacheScan).Result()
		if err != nil {
			return err
		}
		if more, err := each(names); err != nil || !more {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Figures returns what Redis tells of itself and of the cache in it. A Redis
// that does not answer is not connected.
func (c *Cache) Figures(ctx context.Context) voiceassist.SharedCache {
	f := voiceassist.SharedCache{Keys: map[string]int{}}
	if c.paused() {
		return f
	}
	all, err := c.rdb.DBSize(ctx).Result()
	if err != nil {
		return f
	}
	f.Connected, f.AllKeys, f.Counted = true, int(all), true
	seen := 0
	err = c.scan(ctx, func(names []string) (bool, error) {
		for _, name := range names {
			namespace, _, _ := strings.Cut(strings.TrimPrefix(name, cachePrefix), ":")
			f.Keys[namespace]++
		}
		seen += len(names)
		return seen < maxCountedKeys, nil
	})
	f.Counted = err == nil && seen < maxCountedKeys
	f.UsedMemory, f.Uptime, f.Clients = c.info(ctx)
	return f
}

// info returns what INFO has of the figures. Embedded servers have little.
func (c *Cache) info(ctx context.Context) (memory *int64, uptime *time.Duration, clients *int) {
	for _, section := range []string{"memory", "server", "clients"} {
		text, err := c.rdb.Info(ctx, section).Result()
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				continue
			}
			switch name {
			case "used_memory":
				memory = &n
			case "uptime_in_seconds":
				uptime = new(time.Duration(n) * time.Second)
			case "connected_clients":
				clients = new(int(n))
			}
		}
	}
	return memory, uptime, clients
}
