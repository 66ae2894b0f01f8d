// Command api measures what the whole of the API costs beside a bare route: it
// runs `voiceassist up` in this process, with 25 conversations and 20 documents
// or more, and beside it a Fiber application whose one route returns a small
// JSON, and has the same clients ask both, in turns.
//
//	go run ./bench/api
//
// A round of a route follows one of the bare route, and its ratio is to that:
// what else the machine does at that moment weighs on both. Figures are medians of the
// rounds. Clients, servers and engines share this machine's processors; "CPU" is
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
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

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
	bare, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	s, err := startSystem(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.fill(ctx); err != nil {
		return err
	}
	if b.profile != "" {
		f, err := os.Create(b.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return b.measure(ctx, route{name: "bare Fiber route", url: bare.url}, slices.DeleteFunc([]route{
		{"/api/auth/me", s.url + "/api/auth/me", s.token, 0.25},
		{"/api/conversations", s.url + "/api/conversations?limit=25", s.token, 0.10},
		{"/api/admin/kb/documents", s.url + "/api/admin/kb/documents", s.token, 0.10},
	}, func(r route) bool { return !strings.Contains(r.name, b.only) }))
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
	ratio     float64 // to the bare route
	p50, p99  time.Duration
	cpu       time.Duration // of this process, for a request
	bytes     int           // of a reply's body
}

func (b bench) measure(ctx context.Context, bare route, routes []route) error {
	var base []result
	all := make([][]result, len(routes))
	for n := range b.rounds + 1 {
		for i, r := range routes {
			first, err := ask(ctx, bare, b.clients, b.length)
			if err != nil {
				return fmt.Errorf("%s: %w", bare.name, err)
			}
			second, err := ask(ctx, r, b.clients, b.length)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if n == 0 { // the first fills caches and connections
				continue
			}
			first.ratio, second.ratio = 1, second.perSecond/first.perSecond
			base, all[i] = append(base, first), append(all[i], second)
		}
	}
	fmt.Printf("%d clients, %d rounds of %v\n\n%-26s %7s %8s %8s %8s %8s %7s %6s\n", b.clients, b.rounds, b.length,
		"", "bytes", "req/s", "p50", "p99", "CPU", "ratio", "aim")
	show(bare, base)
	for i, r := range routes {
		show(r, all[i])
	}
	return nil
}

// show prints the medians of a route's rounds.
func show(r route, rounds []result) {
	fmt.Printf("%-26s %7d %8.0f %8v %8v %8v %7.3f %6.2f\n", r.name, rounds[0].bytes,
		median(rounds, func(r result) float64 { return r.perSecond }),
		median(rounds, func(r result) time.Duration { return r.p50 }).Round(10*time.Microsecond),
		median(rounds, func(r result) time.Duration { return r.p99 }).Round(10*time.Microsecond),
		median(rounds, func(r result) time.Duration { return r.cpu }).Round(time.Microsecond),
		median(rounds, func(r result) float64 { return r.ratio }), r.aim)
}

func median[T cmp.Ordered](rounds []result, of func(result) T) T {
	var values []T
	for _, r := range rounds {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
