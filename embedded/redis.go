package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// RedisOptions tune StartRedis; the zero value works.
type RedisOptions struct {
	// Addr is where to listen; "" is a free port of the loopback interface.
	Addr string
	// Password is what clients must give; "" makes one up, which URL tells.
	Password string
}

// Redis is a Redis server inside this process. It keeps everything in memory
// and forgets it when it is closed.
type Redis struct {
	server   *miniredis.Miniredis
	password string
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

// ageTick is how often keys grow older. A key ends up to one tick before or
// after its time.
const ageTick = 100 * time.Millisecond

// StartRedis starts a server, which runs until Close.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	r := &Redis{server: miniredis.NewMiniRedis(), password: cmp.Or(o.Password, rand.Text())}
	r.server.RequireAuth(r.password)
	if err := r.server.StartAddr(cmp.Or(o.Addr, "127.0.0.1:0")); err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.wg.Go(func() { r.age(ctx) })
	return r, nil
}

// age lets the time that passes pass for the keys: miniredis expires nothing by
// itself, or else looks at every key on every command.
func (r *Redis) age(ctx context.Context) {
	tick := time.NewTicker(ageTick)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			r.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

// URL is the address of the server with its password, as go-redis and asynq
// parse it.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: r.server.Addr(), Path: "/0"}
	return u.String()
}

// Close ends the server and its connections.
func (r *Redis) Close() {
	r.stop()
	r.wg.Wait()
	r.server.Close()
}
