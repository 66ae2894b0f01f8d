package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"
)

// kills is how often the program is killed while it loads the papers.
const kills = 5

// kill loads the papers into an empty system that is killed with -9 again and
// again, in the middle of uploads and of extraction, and counts what is there
// in the end.
func kill(ctx context.Context, _ *running, data string) (err error) {
	files, err := filepath.Glob(filepath.Join(data, "papers", "*.pdf"))
	if err != nil {
		return err
	}
	s, err := startSystem(ctx, flagBin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	accepted := make(map[string]string)
	broken := 0
	for n := range kills + 1 {
		if n < kills {
			stopping := time.AfterFunc(20*time.Millisecond+rand.N(1500*time.Millisecond), s.Kill)
			defer stopping.Stop()
		}
		for _, file := range files {
			id, err := s.upload(ctx, file)
			if err != nil {
				broken++
				break
			}
			accepted[id] = filepath.Base(file)
		}
		if n == kills {
			break
		}
		s.Wait() // everything is uploaded, or the connection broke: wait for the kill
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	fates, err := s.await(ctx, accepted)
	if err != nil {
		return err
	}
	var stats struct {
		Data struct {
			Documents int `json:"total_documents"`
			Chunks    int `json:"total_chunks"`
			Vectors   int `json:"vector_count"`
		}
	}
	if err := s.Do(ctx, http.MethodGet, "/api/admin/kb/stats", "", nil, &stats); err != nil {
		return err
	}
	fmt.Printf("kill -9     %d times, %d uploads broken off: of %d accepted %s; ledger %d passages, index %d points\n",
		kills, broken, len(accepted), tally(fates), stats.Data.Chunks, stats.Data.Vectors)
	return nil
}
