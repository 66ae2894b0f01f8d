package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Cache is what this package asks of cache.Cache. The number that the methods
// return is of different keys that this process and Redis held.
type Cache interface {
	Figures(ctx context.Context) voiceassist.CacheFigures
	// Clear forgets everything that is cached, in all processes.
	Clear(ctx context.Context) (int, error)
	// Invalidate forgets the keys ("namespace:key") that match a pattern of
	// Redis, or is Invalid.
	Invalidate(ctx context.Context, pattern string) (int, error)
	// InvalidateNamespace forgets a namespace, or is NotFound.
	InvalidateNamespace(ctx context.Context, name string) (int, error)
}

// cacheBody are the figures of the cache. Hits and misses are of this process,
// since it started.
type cacheBody struct {
	Redis            cacheRedisBody `json:"redis"`
	L1               cacheLevelBody `json:"l1_cache"`
	L2               cacheLevelBody `json:"l2_cache"`
	L1Size           int            `json:"l1_size"`
	TotalKeys        int            `json:"total_keys" doc:"of the cache in Redis"`
	KeysByPrefix     map[string]int `json:"keys_by_prefix" doc:"of those, by namespace"`
	KeysCounted      bool           `json:"keys_counted" doc:"false: there are more than were counted"`
	MemoryUsedBytes  int64          `json:"memory_used_bytes" doc:"of the Redis server"`
	MemoryUsedHuman  string         `json:"memory_used_human"`
	MemoryKnown      bool           `json:"memory_known" doc:"false: Redis does not tell, as the embedded one, and the figures of its memory are 0"`
	L1MemoryBytes    int64          `json:"l1_memory_bytes" doc:"about"`
	HitRate          float64        `json:"hit_rate" minimum:"0" maximum:"1" doc:"answered from either level"`
	MissRate         float64        `json:"miss_rate" minimum:"0" maximum:"1"`
	UptimeSeconds    int64          `json:"uptime_seconds" doc:"of the Redis server; 0 if it does not tell"`
	ConnectedClients int            `json:"connected_clients" doc:"of the Redis server; 0 if it does not tell"`
	Timestamp        string         `json:"timestamp" format:"date-time"`
}

type cacheRedisBody struct {
	Connected  bool   `json:"connected"`
	UsedMemory string `json:"used_memory" example:"15MB"`
	Keys       int    `json:"keys" doc:"of the whole database, queues and rate limits included"`
}

type cacheLevelBody struct {
	Size   int   `json:"size"`
	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
}

func (s *Server) cache() (Cache, error) {
	if s.o.Cache == nil {
		return nil, voiceassist.Errorf(voiceassist.Unavailable, "There is no cache")
	}
	return s.o.Cache, nil
}

func (s *Server) cacheStats(ctx context.Context, _ *none) (cacheBody, error) {
	c, err := s.cache()
	if err != nil {
		return cacheBody{}, err
	}
	f := c.Figures(ctx)
	memory := or(f.Shared.UsedMemory, 0)
	b := cacheBody{
		Redis:        cacheRedisBody{Connected: f.Shared.Connected, Keys: f.Shared.AllKeys, UsedMemory: humanBytes(memory)},
		KeysByPrefix: map[string]int{}, KeysCounted: f.Shared.Counted,
		MemoryUsedBytes: memory, MemoryUsedHuman: humanBytes(memory), MemoryKnown: f.Shared.UsedMemory != nil,
		UptimeSeconds: int64(or(f.Shared.Uptime, 0).Seconds()), ConnectedClients: or(f.Shared.Clients, 0), Timestamp: stamp(time.Now()),
	}
	for name, n := range f.Shared.Keys {
		b.KeysByPrefix[name] = n
		b.TotalKeys += n
	}
	for _, n := range f.Namespaces {
		b.L1.Size += n.Near.Entries
		b.L1.Hits += n.Near.Hits
		b.L1.Misses += n.Near.Misses
		b.L2.Hits += n.Far.Hits
		b.L2.Misses += n.Far.Misses
		b.L1MemoryBytes += n.Near.Bytes
	}
	b.L1Size, b.L2.Size = b.L1.Size, b.TotalKeys
	b.HitRate, b.MissRate = cacheRates(b.L1.Hits+b.L2.Hits, b.L1.Hits+b.L1.Misses)
	return b, nil
}

// cacheRates are shares of one, to four digits; both are 0 before anything was
// asked.
func cacheRates(hits, asked int64) (hit, miss float64) {
	if asked == 0 {
		return 0, 0
	}
	hit = math.Round(1e4*float64(hits)/float64(asked)) / 1e4
	return hit, math.Round(1e4*(1-hit)) / 1e4
}

// humanBytes prints bytes as people say them: 15MB, 1.5GB.
func humanBytes(n int64) string {
	size, unit := float64(n), "B"
	for _, larger := range []string{"KB", "MB", "GB", "TB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, larger
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + unit
}

// namespacesBody are the figures of each kind of cached values.
type namespacesBody struct {
	Namespaces []namespaceBody `json:"namespaces"`
	Total      int             `json:"total"`
}

func (namespacesBody) named() string { return "namespaces" }

type namespaceBody struct {
	Namespace  string  `json:"namespace"`
	Keys       int     `json:"keys" doc:"in Redis"`
	L1Size     int     `json:"l1_size"`
	L1Bytes    int64   `json:"l1_bytes" doc:"about"`
	L1Hits     int64   `json:"l1_hits"`
	L1Misses   int64   `json:"l1_misses"`
	L1TTL      float64 `json:"l1_ttl_seconds"`
	L2Hits     int64   `json:"l2_hits"`
	L2Misses   int64   `json:"l2_misses"`
	L2Failures int64   `json:"l2_failures" doc:"questions that Redis did not answer"`
	L2TTL      float64 `json:"l2_ttl_seconds" doc:"0: not kept in Redis"`
	HitRate    float64 `json:"hit_rate" minimum:"0" maximum:"1"`
}

func (s *Server) cacheNamespaces(ctx context.Context, _ *none) (namespacesBody, error) {
	c, err := s.cache()
	if err != nil {
		return namespacesBody{}, err
	}
	f := c.Figures(ctx)
	rows := make([]namespaceBody, len(f.Namespaces))
	for i, n := range f.Namespaces {
		rows[i] = namespaceBody{
			Namespace: n.Name, Keys: f.Shared.Keys[n.Name],
			L1Size: n.Near.Entries, L1Bytes: n.Near.Bytes, L1Hits: n.Near.Hits, L1Misses: n.Near.Misses, L1TTL: n.NearTTL.Seconds(),
			L2Hits: n.Far.Hits, L2Misses: n.Far.Misses, L2Failures: n.FarFailures, L2TTL: n.FarTTL.Seconds(),
		}
		rows[i].HitRate, _ = cacheRates(n.Near.Hits+n.Far.Hits, n.Near.Hits+n.Near.Misses)
	}
	return namespacesBody{Namespaces: rows, Total: len(rows)}, nil
}

// invalidatedBody says what was forgotten. Both numbers are the same.
type invalidatedBody struct {
	Status          string `json:"status" enum:"success"`
	Message         string `json:"message"`
	Pattern         string `json:"pattern"`
	KeysInvalidated int    `json:"keys_invalidated" doc:"different keys in this process and in Redis; other processes forget as well"`
	DeletedCount    int    `json:"deleted_count"`
}

func invalidated(pattern string, n int) invalidatedBody {
	return invalidatedBody{
		Status: "success", Message: fmt.Sprintf("%d cached values forgotten", n), Pattern: pattern, KeysInvalidated: n, DeletedCount: n,
	}
}

func (s *Server) clearCache(ctx context.Context, _ *none) (invalidatedBody, error) {
	return s.forget(ctx, "cache.cleared", "*", func(c Cache) (int, error) { return c.Clear(ctx) })
}

type invalidateInput struct {
	Pattern string `query:"pattern" maxLength:"256" doc:"the same as in the body"`
	Body    *struct {
		Pattern string `json:"pattern,omitempty" maxLength:"256" example:"user:*" doc:"of keys as namespace:key, with * ? and [a-z]"`
	}
}

func (s *Server) invalidateCache(ctx context.Context, in *invalidateInput) (invalidatedBody, error) {
	pattern := in.Pattern
	if in.Body != nil {
		pattern = cmp.Or(in.Body.Pattern, pattern)
	}
	if pattern == "" {
		return invalidatedBody{}, voiceassist.FieldError("pattern", "pattern is required")
	}
	return s.forget(ctx, "cache.invalidated", pattern, func(c Cache) (int, error) { return c.Invalidate(ctx, pattern) })
}

type invalidateNamespaceInput struct {
	Namespace string `query:"namespace" maxLength:"64" doc:"the same as in the body"`
	Body      *struct {
		Namespace string `json:"namespace,omitempty" maxLength:"64" example:"search"`
	}
}

func (s *Server) invalidateNamespace(ctx context.Context, in *invalidateNamespaceInput) (invalidatedBody, error) {
	name := in.Namespace
	if in.Body != nil {
		name = cmp.Or(in.Body.Namespace, name)
	}
	if name == "" {
		return invalidatedBody{}, voiceassist.FieldError("namespace", "namespace is required")
	}
	return s.forget(ctx, "cache.invalidated", name+":*", func(c Cache) (int, error) { return c.InvalidateNamespace(ctx, name) })
}

// forget has the cache forget, and notes who wanted it.
func (s *Server) forget(ctx context.Context, action, pattern string, do func(Cache) (int, error)) (invalidatedBody, error) {
	c, err := s.cache()
	if err != nil {
		return invalidatedBody{}, err
	}
	n, err := do(c)
	if code := voiceassist.CodeOf(err); code == voiceassist.Invalid || code == voiceassist.NotFound {
		return invalidatedBody{}, err
	}
	if noted := s.o.Auditor.Audit(ctx, voiceassist.AuditEntry{
		Action: action, ResourceType: "cache", ResourceID: pattern, Failed: err != nil, Details: map[string]any{"keys": n},
	}); err == nil {
		err = noted
	}
	if err == nil {
		s.adminEvent(ctx, action, pattern)
	}
	return invalidated(pattern, n), err
}
