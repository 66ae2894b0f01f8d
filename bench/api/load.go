package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

// ask has clients ask a route, each one request after another over a connection
// that is kept, for a while.
func ask(ctx context.Context, r route, clients int, length time.Duration) (result, error) {
	client := &fasthttp.Client{MaxConnsPerHost: clients}
	defer client.CloseIdleConnections()
	took := make([][]time.Duration, clients)
	size := 0
	begun, used := time.Now(), cpuTime()
	g, ctx := errgroup.WithContext(ctx)
	for i := range clients {
		g.Go(func() (err error) {
			var n int
			took[i], n, err = askUntil(ctx, client, r, begun.Add(length))
			if i == 0 {
				size = n
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return result{}, err
	}
	elapsed, used := time.Since(begun), cpuTime()-used
	all := slices.Concat(took...)
	slices.Sort(all)
	return result{
		perSecond: float64(len(all)) / elapsed.Seconds(),
		p50:       all[len(all)/2], p99: all[len(all)*99/100], bytes: size, cpu: used / time.Duration(len(all)),
	}, nil
}

// askOnce returns the body that a route replies.
func askOnce(ctx context.Context, r route) (body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, errors.New(reply.Status)
	}
	return io.ReadAll(reply.Body)
}

// askUntil asks until end and returns how long each request took, and the
// length of the last reply.
func askUntil(ctx context.Context, client *fasthttp.Client, r route, end time.Time) (took []time.Duration, size int, err error) {
	req, reply := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(reply)
	req.SetRequestURI(r.url)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for begun := time.Now(); begun.Before(end) && ctx.Err() == nil; {
		if err := client.DoTimeout(req, reply, 10*time.Second); err != nil {
			return nil, 0, err
		}
		if reply.StatusCode() != fasthttp.StatusOK {
			return nil, 0, fmt.Errorf("status %d: %s", reply.StatusCode(), reply.Body())
		}
		now := time.Now()
		took = append(took, now.Sub(begun))
		begun, size = now, len(reply.Body())
	}
	return took, size, ctx.Err()
}

// cpuTime is how much processor time this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
