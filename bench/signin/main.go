// Command signin measures what a burst of logins costs everybody else: it
// starts a program of its own (`voiceassist up`, empty, on a free port) with the
// limit of logins raised, and asks for /api/auth/me at a steady rate, alone and
// while 64 logins run at once.
//
//	go run ./bench/signin -bin bin/voiceassist
//
// With -url, -email and PASSWORD it measures a system that runs already.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

const (
	burst    = 64                   // logins at once
	interval = 4 * time.Millisecond // between two requests of the reader
	calm     = 2 * time.Second      // how long the reader is measured alone
)

func main() {
	bin := flag.String("bin", "bin/voiceassist", "the program to measure")
	address := flag.String("url", "", "a running system to measure instead")
	email := flag.String("email", "admin@example.com", "whom to sign in as")
	runs := flag.Int("runs", 5, "how often to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *address, *email, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "signin:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, address, email string, runs int) (err error) {
	c := &client{email: email, password: os.Getenv("PASSWORD"), Client: &system.Client{
		URL: address, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * burst}},
	}}
	if address == "" {
		stop, err := c.start(ctx, bin)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	if err := c.login(ctx); err != nil {
		return err
	}
	var before, during, ratios []float64
	for n := range runs {
		alone, err := c.read(ctx, calm, nil)
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		begun := time.Now()
		go func() { done <- c.burst(ctx) }()
		beside, err := c.read(ctx, 0, done)
		if err != nil {
			return err
		}
		a, b := p99(alone), p99(beside)
		before, during, ratios = append(before, a), append(during, b), append(ratios, b/a)
		fmt.Printf("run %d       p99 of /api/auth/me %.1f ms alone (%d requests), %.1f ms beside %d logins (%d requests in %.1f s), ratio %.1f\n",
			n+1, a, len(alone), b, burst, len(beside), time.Since(begun).Seconds(), b/a)
	}
	fmt.Printf("median      %.1f ms alone, %.1f ms beside %d logins, ratio %.1f\n", median(before), median(during), burst, median(ratios))
	return nil
}

// client is signed in to what is measured.
type client struct {
	*system.Client
	email, password string
}

// start starts the program on a directory of its own.
func (c *client) start(ctx context.Context, bin string) (stop func() error, err error) {
	dir, err := system.MakeDir()
	if err != nil {
		return nil, err
	}
	up, err := system.StartUp(ctx, bin, dir, "ADMIN_EMAIL="+c.email, "RATE_LIMIT_LOGIN=off", "RATE_LIMIT_SESSION=off")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c.URL, c.password = up.URL, system.Password
	return func() error { return errors.Join(up.Stop(), os.RemoveAll(dir)) }, nil
}

func (c *client) login(ctx context.Context) error { return c.SignIn(ctx, c.email, c.password) }

// burst makes all logins at once; each must succeed.
func (c *client) burst(ctx context.Context) error {
	errs := make([]error, burst)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = c.login(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// read asks who it is at a steady rate, for a time or until done says so, and
// returns how long each request took.
func (c *client) read(ctx context.Context, d time.Duration, done chan error) (took []time.Duration, err error) {
	end := time.Now().Add(d)
	for due := time.Now(); ; due = due.Add(interval) {
		select {
		case err := <-done:
			return took, err
		default:
		}
		if done == nil && due.After(end) {
			return took, nil
		}
		time.Sleep(time.Until(due))
		due = time.Now()
		if err := c.Do(ctx, http.MethodGet, "/api/auth/me", "", nil, new(struct{})); err != nil {
			return nil, err
		}
		took = append(took, time.Since(due))
	}
}

// p99 is in milliseconds.
func p99(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)*99/100]) / float64(time.Millisecond)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
