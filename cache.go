package voiceassist

import "time"

// CacheFigures are what the cache tells of itself: of this process, which
// counts since it started, and of the Redis that all processes share.
type CacheFigures struct {
	Namespaces []CacheNamespace // by name
	Shared     SharedCache
}

// CacheNamespace are the figures of one kind of cached values.
type CacheNamespace struct {
	Name        string
	Near        CacheLevel
	Far         CacheLevel // Entries and Bytes are not known by namespace
	NearTTL     time.Duration
	FarTTL      time.Duration // 0: these values are not kept in Redis
	FarFailures int64         // questions that Redis did not answer
}

// CacheLevel are the figures of one level: what it holds, and how often it knew
// what it was asked.
type CacheLevel struct {
	Entries int
	Bytes   int64 // an estimate
	Hits    int64
	Misses  int64
}

// SharedCache are the figures of the Redis behind the cache. Those that it does
// not tell are nil.
type SharedCache struct {
	Connected  bool
	AllKeys    int            // in the whole database, queues and limits included
	Keys       map[string]int // of the cache, by namespace
	Counted    bool           // false: there were too many keys to count them all
	UsedMemory *int64         // bytes, of the whole server
	Uptime     *time.Duration
	Clients    *int
}
