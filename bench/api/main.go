// Command api measures what the whole of the API costs beside a bare route: it
// runs `voiceassist up` in this process, with 25 conversations and 20 documents
// or more, and beside it a Fiber application of bare routes: one returns a small
// JSON, the others return, byte for byte, what the API's routes reply. The same clients
// ask them all, in turns.
//
//	go run ./bench/api
//
// A round of a route follows one of the small bare route and one of the bare route with
// the same reply, and its ratios are to those: what else the machine does at that moment weighs
// on all three, and the second ratio leaves out what the socket costs. Figures are
// medians of the rounds. Clients, servers and engines share this machine's processors; "CPU" is
// what this process, so all but Postgres, has used for a request. -limits counts
// requests against rates, as production does, in the Redis that -redis names or
// else in the embedded one.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
	"github.com/voiceassist/backend/cmd"
)

// bench is what the command line says.
type bench struct {
	clients int
	rounds  int
	length  time.Duration // of a round of one route
	limits  bool
	redis   string
	only    string
	profile string
}

func main() {
	if status, ok := cmd.Child(); ok {
		os.Exit(status)
	}
	var b bench
	flag.IntVar(&b.clients, "clients", 16, "connections that ask at once")
	flag.IntVar(&b.rounds, "rounds", 15, "how often each route is measured")
	flag.DurationVar(&b.length, "length", 500*time.Millisecond, "how long a round of a route lasts")
	flag.BoolVar(&b.limits, "limits", false, "count requests against (very high) rates")
	flag.StringVar(&b.redis, "redis", "", "URL of a Redis to use instead of the embedded one")
	flag.StringVar(&b.only, "only", "", "a part of the name of the routes to measure; all by default")
	flag.StringVar(&b.profile, "cpuprofile", "", "where to write a profile of the rounds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func (b bench) run(ctx context.Context) (err error) {
	bare, err := startBare(ctx, []byte(`{"status":"ok"}`))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	s, err := startWhole(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.fill(ctx); err != nil {
		return err
	}
	stopProfile, err := system.Profile(b.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	small := route{name: "bare Fiber route", url: bare.url}
	fmt.Printf("%d clients, %d rounds of %v\n\n%-26s %7s %8s %8s %8s %8s %7s %6s %10s\n", b.clients, b.rounds, b.length,
		"", "bytes", "req/s", "p50", "p99", "CPU", "ratio", "aim", "same reply")
	for _, r := range []route{
		{"/api/auth/me", s.URL + "/api/auth/me", s.Token(), 0.25},
		{"/api/conversations", s.URL + "/api/conversations?limit=25", s.Token(), 0.10},
		{"/api/admin/kb/documents", s.URL + "/api/admin/kb/documents", s.Token(), 0.10},
	} {
		if !strings.Contains(r.name, b.only) {
			continue
		}
		if err := b.measure(ctx, small, r); err != nil {
			return err
		}
	}
	return nil
}

// route is something to ask.
type route struct {
	name  string
	url   string
	token string
	aim   float64 // of the bare route's requests per second
}

// result is what a round has measured.
type result struct {
	perSecond float64
	toBare    float64 // ratio to the small bare route
	toSame    float64 // ratio to the bare route with the same reply
	p50, p99  time.Duration
	cpu       time.Duration // of this process, for a request
	bytes     int           // of a reply's body
}

// measure measures and shows a route, with the bare routes beside it.
func (b bench) measure(ctx context.Context, small, r route) (err error) {
	reply, err := askOnce(ctx, r)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	bare, err := startBare(ctx, reply)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	routes := []route{small, {name: "  bare, the same reply", url: bare.url}, r}
	results := make([][]result, len(routes))
	for n := range b.rounds + 1 {
		round, err := b.round(ctx, routes)
		if err != nil {
			return err
		}
		for i, res := range round {
			res.toBare, res.toSame = res.perSecond/round[0].perSecond, res.perSecond/round[1].perSecond
			if n > 0 { // the first fills caches and connections
				results[i] = append(results[i], res)
			}
		}
	}
	for i, r := range routes {
		show(r, results[i])
	}
	return nil
}

// round asks some routes, one after the other.
func (b bench) round(ctx context.Context, routes []route) (results []result, err error) {
	for _, r := range routes {
		res, err := ask(ctx, r, b.clients, b.length)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		results = append(results, res)
	}
	return results, nil
}

// show prints the medians of a route's rounds.
func show(r route, rounds []result) {
	fmt.Printf("%-26s %7d %8.0f %8v %8v %8v %7.3f %6.2f %10.3f\n", r.name, rounds[0].bytes,
		median(rounds, func(r result) float64 { return r.perSecond }),
		median(rounds, func(r result) time.Duration { return r.p50 }).Round(10*time.Microsecond),
		median(rounds, func(r result) time.Duration { return r.p99 }).Round(10*time.Microsecond),
		median(rounds, func(r result) time.Duration { return r.cpu }).Round(time.Microsecond),
		median(rounds, func(r result) float64 { return r.toBare }), r.aim,
		median(rounds, func(r result) float64 { return r.toSame }))
}

func median[T cmp.Ordered](rounds []result, of func(result) T) T {
	var values []T
	for _, r := range rounds {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
