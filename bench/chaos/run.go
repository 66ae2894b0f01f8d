package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/voiceassist/backend/bench/internal/system"
)

// run is one run of the bench.
type run struct {
	chaos
	engines *system.Engines
	fleet   *system.Fleet
	out     io.Writer
	random  *rand.Rand
	client  *system.Client
	sent    chan struct{} // an upload has been sent and waits for its reply

	mu         sync.Mutex
	accepted   map[string]string // name of the file by id of the document
	duplicates int               // replies that said so: of uploads whose first reply was lost
	brokenOff  int               // uploads that got no reply, or one that means "later"
}

// load returns n documents of many kinds, each unlike all others.
func load(data string, n int) ([]system.Document, error) {
	papers, err := system.Files(data, "papers", "*.pdf")
	if err != nil {
		return nil, err
	}
	odd, err := system.Files(data, "pdf-odd", "*.pdf")
	if err != nil {
		return nil, err
	}
	articles, err := system.Files(data, "txt", "*.txt")
	if err != nil {
		return nil, err
	}
	leaflets, err := system.Medquad(data, 1000)
	if err != nil {
		return nil, err
	}
	kinds := [][]system.Document{leaflets, articles, papers, leaflets, markdown(leaflets), leaflets, papers, web(leaflets), articles, odd}
	documents := make([]system.Document, n)
	for i := range documents {
		kind := kinds[i%len(kinds)]
		documents[i] = kind[i/len(kinds)*7%len(kind)].WithNonce(fmt.Sprintf("%04d", i))
	}
	return documents, nil
}

func markdown(texts []system.Document) []system.Document {
	documents := make([]system.Document, len(texts))
	for i, d := range texts {
		documents[i] = system.Document{Name: d.Name[:len(d.Name)-len(".txt")] + ".md", Content: append([]byte("# "), d.Content...)}
	}
	return documents
}

func web(texts []system.Document) []system.Document {
	documents := make([]system.Document, len(texts))
	for i, d := range texts {
		documents[i] = system.Document{
			Name:    d.Name[:len(d.Name)-len(".txt")] + ".html",
			Content: fmt.Appendf(nil, "<!doctype html><title>%s</title><p>%s</p>", d.Title, d.Content),
		}
	}
	return documents
}

// through uploads the documents amid the events, waits until nothing is in
// flight and returns the account.
func (r *run) through(ctx context.Context, documents []system.Document) ([]row, error) {
	r.accepted = make(map[string]string, len(documents))
	r.client, r.sent = &system.Client{URL: r.fleet.URL}, make(chan struct{})
	if err := r.client.SignIn(ctx, system.Email, system.Password); err != nil {
		return nil, err
	}
	begun := time.Now()
	g, loading := errgroup.WithContext(ctx)
	due := make(chan system.Document, len(documents))
	for range r.clients {
		g.Go(func() error { return r.uploadAll(loading, due) })
	}
	err := r.events(loading, documents, due)
	close(due)
	if err := errors.Join(err, g.Wait()); err != nil {
		return nil, err
	}
	uploaded := time.Now()
	fmt.Fprintf(r.out, "uploaded after         %.0f s\n", uploaded.Sub(begun).Seconds())
	settling, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	if err := r.engines.AwaitSettled(settling); err != nil {
		return nil, err
	}
	fmt.Fprintf(r.out, "settled after          %.0f s more\n", time.Since(uploaded).Seconds())
	return r.account(ctx)
}

// events lets one event follow another, before each a share of the documents.
func (r *run) events(ctx context.Context, documents []system.Document, due chan<- system.Document) error {
	events := r.plan()
	released := 0
	for i, event := range events {
		for ; released < (i+1)*len(documents)/len(events); released++ {
			due <- documents[released]
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(r.random.Int64N(2*int64(r.pause) + 1))):
		}
		if err := event(ctx); err != nil {
			return err
		}
	}
	return nil
}

// plan returns all events in an order of chance. Every process has its share of
// the kills.
func (r *run) plan() []func(context.Context) error {
	var events []func(context.Context) error
	for i := range r.kills {
		events = append(events, func(ctx context.Context) error { return r.kill(ctx, r.fleet.Members()[i%len(r.fleet.Members())]) })
	}
	for range r.flushes {
		events = append(events, r.engines.FlushRedis)
	}
	for range r.restarts {
		events = append(events, r.engines.RestartPostgres)
	}
	r.random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

// moment is about how long a process takes for what is worth interrupting: the
// commit of an upload that has arrived, the storing of vectors.
const moment = 10 * time.Millisecond

// kill kills the victim's process, as soon as there is one: every other time at
// any moment, else the api while it commits an upload and a worker about when
// it embeds.
func (r *run) kill(ctx context.Context, victim *system.Member) error {
	if r.random.IntN(2) == 0 {
		r.awaitMoment(ctx, victim.Type)
	}
	for !victim.Kill() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// awaitMoment waits for one that is worth a kill, but not for ever.
func (r *run) awaitMoment(ctx context.Context, kind string) {
	worth := map[string]<-chan struct{}{"api": r.sent, "worker": r.engines.Embedder.Asked()}[kind]
	if worth == nil {
		return
	}
	select {
	case <-worth:
		time.Sleep(time.Duration(r.random.Int64N(int64(moment))))
	case <-time.After(r.pause): // there is nothing to do
	case <-ctx.Done():
	}
}

func (r *run) uploadAll(ctx context.Context, due <-chan system.Document) error {
	for d := range due {
		if err := r.upload(ctx, d); err != nil {
			return fmt.Errorf("upload %s: %w", d.Name, err)
		}
	}
	return nil
}

// uploadRetry is how long a client waits before it tries again.
const uploadRetry = 100 * time.Millisecond

// upload sends a document until it is answered. A reply that blames the client
// is an error.
func (r *run) upload(ctx context.Context, d system.Document) error {
	for {
		up, err := r.send(ctx, d)
		if err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.accepted[up.ID] = d.Name
			if up.Duplicate {
				r.duplicates++
			}
			return nil
		}
		if refused, ok := errors.AsType[*system.Refusal](err); ok && refused.Status < 500 {
			return err
		}
		r.mu.Lock()
		r.brokenOff++
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(uploadRetry):
		}
	}
}

// uploadTimeout is longer than any upload that is going to be answered.
const uploadTimeout = 30 * time.Second

func (r *run) send(ctx context.Context, d system.Document) (system.Uploaded, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	return r.client.Upload(ctx, d.Name, d.Title, newTrickle(d.Content, r.sent))
}
