// Package cache keeps values that cost something to find: in this process
// (near) and, those that never change under their key, in Redis (far).
//
// A Namespace holds one kind of value. Get answers from the near level, else
// from the far one, else it loads, once for everybody who asks at that moment.
// What may change is kept near only, for so short a time that being wrong about
// it is harmless, and is dropped on news of the change. What is kept far is
// named by a key that changes with it: a version of the corpus, a digest. So no
// write of a slow process can bring back what was dropped.
//
// Without Redis the near level goes on alone.
package cache

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Far is the level that all processes share; it is *redis.Cache. Keys are
// "namespace:version:key".
type Far interface {
	// Get returns a stored value; ok is false without one.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes the keys that match lets through and returns how many.
	Delete(ctx context.Context, match func(key string) bool) (int, error)
	// Figures returns what can be told; a Redis that does not answer is not
	// connected.
	Figures(ctx context.Context) voiceassist.SharedCache
}

// Bus carries news between processes; it is *redis.Bus.
type Bus interface {
	Publish(ctx context.Context, topic string, payload []byte) error
	Handle(topic string, f func(payload []byte))
}

// topic is under which a pattern is published whose keys are to be dropped.
const topic = "cache"

// Options are what a Cache can do without.
type Options struct {
	Far Far // nil: near only
	Bus Bus // nil: the other processes learn of nothing; not run yet
}

// Cache is the namespaces of this process. It is safe for concurrent use.
type Cache struct {
	o Options

	mu         sync.Mutex
	namespaces map[string]namespace
}

// namespace is what a Cache does with a Namespace of any type.
type namespace interface {
	drop(match func(key string) bool) []string
	figures() voiceassist.CacheNamespace
	close()
}

// New returns a cache without namespaces.
func New(o Options) *Cache {
	c := &Cache{o: o, namespaces: make(map[string]namespace)}
	if o.Bus != nil {
		o.Bus.Handle(topic, func(pattern []byte) { c.dropNear(string(pattern)) })
	}
	return c
}

// Close ends the goroutines that remove what has expired.
func (c *Cache) Close() {
	for _, n := range c.all() {
		n.close()
	}
}

func (c *Cache) add(name string, n namespace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.namespaces[name]; taken || strings.ContainsAny(name, ":*?[\\/") {
		panic("cache: the name of a namespace is taken or not a word: " + name)
	}
	c.namespaces[name] = n
}

func (c *Cache) all() map[string]namespace {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.namespaces)
}

// Clear forgets everything, in all processes, and returns how many keys that
// were, as Invalidate does.
func (c *Cache) Clear(ctx context.Context) (int, error) { return c.Invalidate(ctx, "*") }

// InvalidateNamespace forgets one namespace; it is NotFound if there is none of
// that name.
func (c *Cache) InvalidateNamespace(ctx context.Context, name string) (int, error) {
	if _, ok := c.all()[name]; !ok {
		return 0, voiceassist.Errorf(voiceassist.NotFound, "cache namespace not found")
	}
	return c.Invalidate(ctx, name+":*")
}

// Invalidate forgets the keys that match pattern, in all processes. Keys are
// "namespace:key", the pattern is one of Redis: * ? [a-z] \. It returns how many
// different keys this process and Redis held. Possible ends: success; Invalid
// for what is no pattern; Unavailable when Redis could not be told, although
// this process has forgotten.
func (c *Cache) Invalidate(ctx context.Context, pattern string) (int, error) {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return 0, voiceassist.FieldError("pattern", "pattern is not a pattern like user:*")
	}
	known := c.dropNear(pattern)
	n := len(known)
	if c.o.Far != nil {
		_, err := c.o.Far.Delete(ctx, func(key string) bool {
			key = withoutVersion(key)
			if !matches(pattern, key) {
				return false
			}
			if !known[key] {
				n++
			}
			return true
		})
		if err != nil {
			return n, err
		}
	}
	if c.o.Bus != nil {
		return n, c.o.Bus.Publish(ctx, topic, []byte(pattern))
	}
	return n, nil
}

// dropNear forgets in this process and returns the keys that were known.
func (c *Cache) dropNear(pattern string) map[string]bool {
	known := make(map[string]bool)
	for name, n := range c.all() {
		for _, key := range n.drop(func(key string) bool { return matches(pattern, name+":"+key) }) {
			known[name+":"+key] = true
		}
	}
	return known
}

// matches reports whether pattern, which has been checked, lets key through.
// Keys have no slashes, the one thing in which path.Match is not like Redis.
func matches(pattern, key string) bool {
	ok, _ := path.Match(pattern, key)
	return ok
}

// withoutVersion turns "namespace:version:key" into "namespace:key".
func withoutVersion(key string) string {
	name, rest, _ := strings.Cut(key, ":")
	_, rest, _ = strings.Cut(rest, ":")
	return name + ":" + rest
}

// Figures returns what is counted and held.
func (c *Cache) Figures(ctx context.Context) voiceassist.CacheFigures {
	var f voiceassist.CacheFigures
	for _, n := range c.all() {
		f.Namespaces = append(f.Namespaces, n.figures())
	}
	slices.SortFunc(f.Namespaces, func(a, b voiceassist.CacheNamespace) int { return strings.Compare(a.Name, b.Name) })
	if c.o.Far != nil {
		f.Shared = c.o.Far.Figures(ctx)
	}
	return f
}
