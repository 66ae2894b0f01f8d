package httpapi_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/cache"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/redis"
)

// withCache adds a cache with one namespace, "word", on a miniredis.
func withCache(t *testing.T) (func(*httpapi.Options), *cache.Namespace[string], *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	client, err := redis.Open(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	log := slog.New(slog.DiscardHandler)
	c := cache.New(cache.Options{Far: client.NewCache(log), Bus: client.NewBus(log, nil)})
	t.Cleanup(c.Close)
	words := cache.NewNamespace(c, "word", cache.Policy[string]{
		Near: time.Hour, MaxBytes: 1 << 20, Size: func(s string) int { return len(s) },
		Far: cache.FarPolicy{TTL: time.Hour, MaxBytes: 1000}, Version: "1",
	})
	return func(o *httpapi.Options) { o.Cache = c }, words, server
}

func fill(t *testing.T, words *cache.Namespace[string], keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := words.Get(t.Context(), key, loadWord); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCacheTellsItsFigures(t *testing.T) {
	t.Parallel()
	option, words, _ := withCache(t)
	s := start(t, option)
	viewer := s.signIn(voiceassist.RoleViewer)
	fill(t, words, "a", "b", "a", "a")
	r := s.want(200, s.do("GET", "/api/admin/cache/stats", "", as(viewer.Access)))
	for path, want := range map[string]any{
		"redis.connected": true, "redis.keys": 2.0, "l1_cache.size": 2.0, "l1_cache.hits": 2.0, "l1_cache.misses": 2.0,
		"l2_cache.hits": 0.0, "l2_cache.misses": 2.0, "l1_size": 2.0, "total_keys": 2.0, "keys_by_prefix.word": 2.0,
		"hit_rate": 0.5, "miss_rate": 0.5, "memory_used_bytes": 0.0, "memory_used_human": "0B", "redis.used_memory": "0B", "memory_known": false, "uptime_seconds": 0.0,
	} {
		if got := r.at(strings.Split(path, ".")...); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	r = s.want(200, s.do("GET", "/api/admin/cache/stats/namespaces", "", as(viewer.Access)))
	rows, _ := r.at("namespaces").([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["namespace"] != "word" || rows[0].(map[string]any)["l1_hits"] != 2.0 {
		t.Errorf("namespaces = %s", r.text)
	}
	for _, path := range []string{"clear", "invalidate?pattern=*", "invalidate/namespace?namespace=word"} {
		s.want(403, s.do("POST", "/api/admin/cache/"+path, "", as(viewer.Access)))
	}
	s.want(403, s.do("GET", "/api/admin/cache/stats", "", as(s.signIn(voiceassist.RoleUser).Access)))
}

func TestAnAdminMakesTheCacheForget(t *testing.T) {
	t.Parallel()
	option, words, server := withCache(t)
	s := start(t, option)
	admin := s.signIn(voiceassist.RoleAdmin)
	if err := server.Set("asynq:{default}", "x"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		path, body string
		want       float64
	}{
		{"invalidate", `{"pattern":"word:a*"}`, 1},
		{"invalidate?pattern=word:b", "", 1},
		{"invalidate?pattern=ignored", `{"pattern":"user:*"}`, 0},
		{"invalidate/namespace", `{"namespace":"word"}`, 3},
		{"invalidate/namespace?namespace=word", "", 3},
		{"clear", "", 3},
	} {
		fill(t, words, "a", "b", "c")
		r := s.want(200, s.do("POST", "/api/admin/cache/"+step.path, step.body, as(admin.Access)))
		if r.at("status") != "success" || r.at("keys_invalidated") != step.want || r.at("deleted_count") != step.want || r.at("message") == "" {
			t.Errorf("%s %s = %s", step.path, step.body, r.text)
		}
	}
	if got := server.Keys(); len(got) != 1 {
		t.Errorf("Redis holds %v, want the queue alone", got)
	}
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE resource_type = 'cache' AND success AND user_id = $1`, admin.User.ID); n != 6 {
		t.Errorf("%d rows in the audit log, want 6", n)
	}
	for _, path := range []string{"invalidate", "invalidate/namespace", "invalidate?pattern=["} {
		s.want(422, s.do("POST", "/api/admin/cache/"+path, "", as(admin.Access)))
	}
	s.want(404, s.do("POST", "/api/admin/cache/invalidate/namespace?namespace=nothing", "", as(admin.Access)))
	server.Close()
	s.want(503, s.do("POST", "/api/admin/cache/clear", "", as(admin.Access)))
	if r := s.want(200, s.do("GET", "/api/admin/cache/stats", "", as(admin.Access))); r.at("redis", "connected") != false {
		t.Errorf("stats = %s", r.text)
	}
}

func loadWord(context.Context) (string, error) { return "word", nil }
