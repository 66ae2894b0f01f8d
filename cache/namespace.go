package cache

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	voiceassist "github.com/voiceassist/backend"
)

// Policy says what a namespace keeps, and for how long.
type Policy[V any] struct {
	Near     time.Duration // in this process, counted from before the value was loaded
	MaxBytes int           // of all values in this process, by Size and rounded
	Size     func(V) int   // bytes of a value, about

	// Far is for how long a value is kept in Redis; 0 is not at all. Only what
	// never changes under its key may be.
	Far     FarPolicy
	Version string // of the values' JSON; changes whenever its meaning does
}

// FarPolicy says how a value is kept in Redis.
type FarPolicy struct {
	TTL      time.Duration
	MaxBytes int // a longer value is not kept
}

// loadTimeout bounds a load, which several callers may wait for.
const loadTimeout = 10 * time.Second

// keyBytes is what an entry takes besides its value, about.
const keyBytes = 150

// Namespace is one kind of cached values, by strings without slashes. It is
// safe for concurrent use. Values are shared: nobody may change one.
type Namespace[V any] struct {
	name    string
	policy  Policy[V]
	far     Far
	near    *otter.Cache[string, entry[V]]
	flights flights[V]

	nearHits, nearMisses, farHits, farMisses, farFailures atomic.Int64
}

type entry[V any] struct {
	value V
	until time.Time
}

// NewNamespace adds a namespace to a cache. A name that is taken panics.
func NewNamespace[V any](c *Cache, name string, p Policy[V]) *Namespace[V] {
	n := &Namespace[V]{name: name, policy: p, far: c.o.Far}
	if p.Far.TTL == 0 {
		n.far = nil
	}
	n.near = otter.Must(&otter.Options[string, entry[V]]{
		MaximumWeight:    uint64(p.MaxBytes),
		Weigher:          func(_ string, e entry[V]) uint32 { return uint32(keyBytes + p.Size(e.value)) },
		ExpiryCalculator: otter.ExpiryWriting[string, entry[V]](p.Near),
	})
	c.add(name, n)
	return n
}

// Get returns the value of key, which load finds if it is not cached. Errors are
// not cached. load may go on when ctx ends, for others who wait for it.
func (n *Namespace[V]) Get(ctx context.Context, key string, load func(context.Context) (V, error)) (V, error) {
	if v, ok := n.fromNear(key); ok {
		n.nearHits.Add(1)
		return v, nil
	}
	n.nearMisses.Add(1)
	return n.flights.do(ctx, key, func(f *flight[V]) (V, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return n.fetch(ctx, f, key, load)
	})
}

func (n *Namespace[V]) fromNear(key string) (v V, ok bool) {
	e, ok := n.near.GetIfPresent(key)
	if !ok || !time.Now().Before(e.until) {
		return v, false
	}
	return e.value, true
}

// fetch finds a value that was not near, and keeps it. It looks again first: a
// load of the same key may have landed between that look and this flight.
func (n *Namespace[V]) fetch(ctx context.Context, f *flight[V], key string, load func(context.Context) (V, error)) (V, error) {
	if v, ok := n.fromNear(key); ok {
		return v, nil
	}
	if v, ok := n.fromFar(ctx, key); ok {
		n.keep(f, key, v, time.Now())
		return v, nil
	}
	begun := time.Now()
	v, err := load(ctx)
	if err != nil {
		return v, err
	}
	n.keep(f, key, v, begun)
	n.toFar(ctx, key, v)
	return v, nil
}

// keep stores a value near, unless something was dropped since it was asked
// for, which it may be.
func (n *Namespace[V]) keep(f *flight[V], key string, v V, asOf time.Time) {
	n.flights.whileCurrent(f, func() { n.near.Set(key, entry[V]{v, asOf.Add(n.policy.Near)}) })
}

func (n *Namespace[V]) farKey(key string) string { return n.name + ":" + n.policy.Version + ":" + key }

func (n *Namespace[V]) fromFar(ctx context.Context, key string) (v V, ok bool) {
	if n.far == nil {
		return v, false
	}
	stored, ok, err := n.far.Get(ctx, n.farKey(key))
	if err != nil {
		n.farFailures.Add(1)
		return v, false
	}
	if ok {
		ok = json.Unmarshal(stored, &v) == nil
	}
	if ok {
		n.farHits.Add(1)
	} else {
		n.farMisses.Add(1)
	}
	return v, ok
}

// toFar stores a value in Redis. Where that fails it is loaded again one day.
func (n *Namespace[V]) toFar(ctx context.Context, key string, v V) {
	if n.far == nil {
		return
	}
	stored, err := json.Marshal(v)
	if err == nil && len(stored) <= n.policy.Far.MaxBytes {
		err = n.far.Set(ctx, n.farKey(key), stored, n.policy.Far.TTL)
	}
	if err != nil {
		n.farFailures.Add(1)
	}
}

// Drop forgets the values that match lets through, in this process. Loads that
// are under way are not kept. It returns how many it forgot.
func (n *Namespace[V]) Drop(match func(key string, v V) bool) int {
	return len(n.dropEach(match))
}

func (n *Namespace[V]) dropEach(match func(key string, v V) bool) []string {
	n.flights.forget()
	var dropped []string
	for key, e := range n.near.All() {
		if match(key, e.value) {
			dropped = append(dropped, key)
		}
	}
	for _, key := range dropped {
		n.near.Invalidate(key)
	}
	return dropped
}

func (n *Namespace[V]) drop(match func(key string) bool) []string {
	return n.dropEach(func(key string, _ V) bool { return match(key) })
}

func (n *Namespace[V]) figures() voiceassist.CacheNamespace {
	n.near.CleanUp() // sizes are brought up to date now and then
	return voiceassist.CacheNamespace{
		Name: n.name,
		Near: voiceassist.CacheLevel{
			Entries: n.near.EstimatedSize(), Bytes: int64(n.near.WeightedSize()),
			Hits: n.nearHits.Load(), Misses: n.nearMisses.Load(),
		},
		Far:     voiceassist.CacheLevel{Hits: n.farHits.Load(), Misses: n.farMisses.Load()},
		NearTTL: n.policy.Near, FarTTL: n.policy.Far.TTL, FarFailures: n.farFailures.Load(),
	}
}

func (n *Namespace[V]) close() { n.near.StopAllGoroutines() }
