// Package redis is everything that runs over the Redis protocol: the asynq
// queue that wakes workers, and the rate limits that all API processes share.
// Nothing here is the truth about anything; Redis may be flushed at any moment.
package redis

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	voiceassist "github.com/voiceassist/backend"
)

// Client is a connection pool to one Redis.
type Client struct {
	rdb *redis.Client
}

// Open connects to the Redis at url (redis:// or rediss://) and checks that it
// answers.
func Open(ctx context.Context, url string) (*Client, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("parse REDIS_URL: %w", err)
	}
	// Redis Enterprise's announcements of maintenance: asking for them leaves a
	// goroutine behind.
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := &Client{rdb: redis.NewClient(o)}
	if err := c.Ping(ctx); err != nil {
		_ = c.rdb.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the pool.
func (c *Client) Close() error { return c.rdb.Close() }

// Redis returns the underlying client, for what is built on go-redis itself.
func (c *Client) Redis() *redis.Client { return c.rdb }

// Ping makes one round trip.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.rdb.Ping(ctx).Err(); err != nil {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
	}
	return nil
}
