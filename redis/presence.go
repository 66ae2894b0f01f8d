package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	voiceassist "github.com/voiceassist/backend"
)

// What a process says of itself is a key of its own, which ends by itself; the
// names of the processes are in a sorted set, by when they last spoke, since
// keys cannot be listed cheaply.
const (
	presencePrefix = "va:presence:"
	presenceNames  = "va:presence"
)

const (
	maxPresent    = 256       // processes told of, those that spoke last
	presenceGrace = time.Hour // clocks of machines may differ by as much
)

// Presence is what processes say of themselves, for all to read.
type Presence struct{ rdb *redis.Client }

// NewPresence returns what is said in the Redis of c.
func (c *Client) NewPresence() *Presence { return &Presence{rdb: c.rdb} }

// Put stores what a process says of itself, for ttl.
func (p *Presence) Put(ctx context.Context, process string, state []byte, ttl time.Duration) error {
	now := time.Now()
	_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, presencePrefix+process, state, ttl)
		pipe.ZAdd(ctx, presenceNames, redis.Z{Score: float64(now.Unix()), Member: process})
		pipe.ZRemRangeByScore(ctx, presenceNames, "-inf", "("+strconv.FormatInt(now.Add(-presenceGrace-ttl).Unix(), 10))
		pipe.Expire(ctx, presenceNames, presenceGrace+ttl)
		return nil
	})
	return away(err)
}

// Remove forgets a process.
func (p *Presence) Remove(ctx context.Context, process string) error {
	_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, presencePrefix+process)
		pipe.ZRem(ctx, presenceNames, process)
		return nil
	})
	return away(err)
}

// All returns what the processes say, by their names.
func (p *Presence) All(ctx context.Context) (map[string][]byte, error) {
	names, err := p.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: presenceNames, Start: 0, Stop: maxPresent - 1, Rev: true}).Result()
	if err != nil || len(names) == 0 {
		return nil, away(err)
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = presencePrefix + name
	}
	states, err := p.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, away(err)
	}
	all := make(map[string][]byte, len(states))
	for i, state := range states {
		if text, ok := state.(string); ok { // nil has ended
			all[names[i]] = []byte(text)
		}
	}
	return all, nil
}

// away gives errors of Redis their code.
func away(err error) error {
	if err == nil {
		return nil
	}
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Redis does not answer", Err: err}
}
