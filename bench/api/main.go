// Command api measures what the whole of the API costs beside a bare route: it
// runs `voiceassist up` in this process, with 25 conversations and 20 documents
// or more, and beside it a Fiber application whose one route returns a small
// JSON, and has the same clients ask both, in turns.
//
//	go run ./bench/api
//
// Figures are medians of the rounds. Clients, servers and engines share this
// machine's processors. -limits counts requests against rates, as production
// does; without it there are none.
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
	profile string
}

func main() {
	if status, ok := cmd.Child(); ok {
		os.Exit(status)
	}
	var b bench
	flag.IntVar(&b.clients, "clients", 16, "connections that ask at once")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each route is measured")
	flag.DurationVar(&b.length, "length", 2*time.Second, "how long a round lasts")
	flag.BoolVar(&b.limits, "limits", false, "count requests against (very high) rates")
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
	s, err := startSystem(ctx, b.limits)
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
	return b.measure(ctx, []route{
		{"bare Fiber route", bare.url, "", 0},
		{"/api/auth/me", s.url + "/api/auth/me", s.token, 0.25},
		{"/api/conversations", s.url + "/api/conversations?limit=25", s.token, 0.10},
		{"/api/admin/kb/documents", s.url + "/api/admin/kb/documents", s.token, 0.10},
	})
}

// route is something to ask.
type route struct {
	name  string
	url   string
	token string
	aim   float64 // of the bare route's requests per second
}

// result is what a round, or the median of several, has measured.
type result struct {
	perSecond float64
	p50, p99  time.Duration
	bytes     int // of a reply's body
}

func (b bench) measure(ctx context.Context, routes []route) error {
	all := make([][]result, len(routes))
	for n := range b.rounds + 1 {
		for i, r := range routes {
			res, err := ask(ctx, r, b.clients, b.length)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if n > 0 { // the first fills caches and connections
				all[i] = append(all[i], res)
			}
		}
	}
	base := median(all[0])
	fmt.Printf("%d clients, %d rounds of %v\n\n%-26s %9s %9s %9s %9s %7s %6s\n", b.clients, b.rounds, b.length,
		"", "bytes", "req/s", "p50", "p99", "ratio", "aim")
	for i, r := range routes {
		m := median(all[i])
		fmt.Printf("%-26s %9d %9.0f %9v %9v %7.3f %6.2f\n", r.name, m.bytes, m.perSecond,
			m.p50.Round(10*time.Microsecond), m.p99.Round(10*time.Microsecond), m.perSecond/base.perSecond, r.aim)
	}
	return nil
}

func median(results []result) result {
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(a.perSecond, b.perSecond) })
	return results[len(results)/2]
}
