package httpapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of the answers of one process.
const (
	maxAnswers     = 64               // written at once
	maxUserAnswers = 4                // of them for one user
	keptAnswers    = 1000             // remembered at once, ended ones included
	answerMemory   = 60 * time.Second // how long an ended answer can be resumed event by event
)

// answers are the answers that this process writes. An answer belongs to its
// message and not to a socket: it is written to its end whoever follows it.
type answers struct {
	assistant Assistant
	gauge     prometheus.Gauge

	ctx     context.Context //nolint:containedctx // the life of the answers, which outlive every request
	stop    context.CancelFunc
	writing sync.WaitGroup
	kept    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	count  int
	users  map[uuid.UUID]int
	live   map[uuid.UUID]*answer // by the message's id
}

func newAnswers(a Assistant, running prometheus.Gauge) *answers {
	as := &answers{assistant: a, gauge: running, users: make(map[uuid.UUID]int), live: make(map[uuid.UUID]*answer)}
	as.ctx, as.stop = context.WithCancel(context.Background())
	return as
}

// ask stores the question, which it returns, and begins to write its answer. A
// question that was asked before is not answered again: the answer returned is
// the one under way, or tells how it ended. Besides the errors of Assistant.Begin, RateLimited
// means that too many answers are being written, for the user or at all.
func (as *answers) ask(ctx context.Context, q voiceassist.Question) (voiceassist.Message, *answer, error) {
	return as.begin(ctx, q.UserID, func() (voiceassist.Exchange, error) { return as.assistant.Begin(ctx, q) })
}

// again begins to write another answer to a question. Besides the errors of
// Assistant.Regenerate it ends like ask.
func (as *answers) again(ctx context.Context, r voiceassist.Regeneration) (*answer, error) {
	_, a, err := as.begin(ctx, r.UserID, func() (voiceassist.Exchange, error) { return as.assistant.Regenerate(ctx, r) })
	return a, err
}

// begin writes the answer of the exchange that store returns, on behalf of who
// acts in ctx, or finds it.
func (as *answers) begin(ctx context.Context, user uuid.UUID, store func() (voiceassist.Exchange, error)) (voiceassist.Message, *answer, error) {
	if err := as.reserve(user); err != nil {
		return voiceassist.Message{}, nil, err
	}
	x, err := store()
	if err != nil {
		as.release(user)
		return voiceassist.Message{}, nil, err
	}
	if a := as.find(user, x.Answer.ID); a != nil {
		as.release(user)
		return x.Question, a, nil
	}
	return x.Question, as.start(ctx, user, x, 0), nil
}

// recall follows a stored answer that this process does not write, for a client
// that has its events up to lastSeq: it ends when whoever writes it has ended.
func (as *answers) recall(asking context.Context, user uuid.UUID, m voiceassist.Message, lastSeq int) (*answer, error) {
	if err := as.reserve(user); err != nil {
		return nil, err
	}
	x := voiceassist.Exchange{Question: voiceassist.Message{Duplicate: true}, Answer: m}
	return as.start(asking, user, x, max(0, lastSeq)), nil
}

func (as *answers) reserve(user uuid.UUID) error {
	as.mu.Lock()
	defer as.mu.Unlock()
	switch {
	case as.closed:
		return voiceassist.Errorf(voiceassist.Unavailable, "the server is restarting, try again in a moment")
	case as.users[user] >= maxUserAnswers:
		return &voiceassist.Error{Code: voiceassist.RateLimited, Message: "You have several questions being answered, wait for one of them", Err: errQuota}
	case as.count >= maxAnswers:
		return &voiceassist.Error{Code: voiceassist.RateLimited, Message: "The server is answering many questions, try again in a moment"}
	}
	as.count++
	as.users[user]++
	as.writing.Add(1)
	as.gauge.Inc()
	return nil
}

// errQuota marks the refusals that are about the user and not about the server.
var errQuota = errors.New("too many answers for one user")

// running returns how many answers this process writes.
func (as *answers) running() int {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.count
}

func (as *answers) release(user uuid.UUID) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.count--
	as.users[user]--
	if as.users[user] == 0 {
		delete(as.users, user)
	}
	as.writing.Done()
	as.gauge.Dec()
}

// start writes the answer of an exchange whose place is reserved, on behalf of
// whoever acts in asking; it does not end with asking.
func (as *answers) start(asking context.Context, user uuid.UUID, x voiceassist.Exchange, skipped int) *answer {
	ctx, cancel := context.WithCancel(voiceassist.WithActor(as.ctx, voiceassist.ActorOf(asking)))
	a := &answer{user: user, exchange: x, cancel: cancel, changed: make(chan struct{}), skipped: skipped}
	own := !x.Question.Duplicate
	if own {
		as.mu.Lock()
		as.live[x.Answer.ID] = a
		as.mu.Unlock()
	}
	as.kept.Go(func() {
		a.write(ctx, as.assistant)
		cancel()
		as.release(user)
		if own {
			as.keep(x.Answer.ID)
		}
	})
	return a
}

// keep remembers an ended answer for a while.
func (as *answers) keep(id uuid.UUID) {
	as.mu.Lock()
	full := len(as.live) > keptAnswers
	as.mu.Unlock()
	if !full {
		select {
		case <-time.After(answerMemory):
		case <-as.ctx.Done():
		}
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	delete(as.live, id)
}

// find returns the user's answer with this id, or to the question with it; nil
// if this process does not remember it.
func (as *answers) find(user, id uuid.UUID) *answer {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a := as.live[id]; a != nil && a.user == user {
		return a
	}
	for _, a := range as.live {
		if a.user == user && a.exchange.Question.ID == id {
			return a
		}
	}
	return nil
}

// drain refuses new questions, lets the answers being written end until ctx
// does, and then ends them cancelled.
func (as *answers) drain(ctx context.Context) {
	as.mu.Lock()
	as.closed = true
	as.mu.Unlock()
	written := make(chan struct{})
	go func() {
		as.writing.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-ctx.Done():
	}
	as.stop()
	<-written
	as.kept.Wait()
}

// answer is an answer with everything that was said of it.
type answer struct {
	user     uuid.UUID
	exchange voiceassist.Exchange
	cancel   context.CancelFunc
	skipped  int // events before the first one here

	mu      sync.Mutex
	events  []voiceassist.AnswerEvent
	err     error         // of the final event
	changed chan struct{} // closed at the next event
}

// write collects the events of the assistant. An assistant that panics has
// failed.
func (a *answer) write(ctx context.Context, assistant Assistant) {
	defer func() {
		if r := recover(); r != nil {
			m := a.exchange.Answer
			m.Status = voiceassist.MessageFailed
			a.add(voiceassist.AnswerEvent{Final: true, Message: m}, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	for event, err := range assistant.Answer(ctx, a.exchange) {
		a.add(event, err)
	}
}

func (a *answer) add(event voiceassist.AnswerEvent, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	event.Seq = a.skipped + len(a.events) + 1
	a.events, a.err = append(a.events, event), err
	close(a.changed)
	a.changed = make(chan struct{})
}

// follow yields the events from the first on, waiting for those to come, until
// the final one or the end of ctx. Only the final event may carry an error.
func (a *answer) follow(ctx context.Context) iter.Seq2[voiceassist.AnswerEvent, error] {
	return func(yield func(voiceassist.AnswerEvent, error) bool) {
		for n := 0; ; n++ {
			event, err, ok := a.wait(ctx, n)
			if !ok || !yield(event, err) || event.Final {
				return
			}
		}
	}
}

// wait returns event n, from 0, once it is there; ok is false when ctx ended
// first.
func (a *answer) wait(ctx context.Context, n int) (event voiceassist.AnswerEvent, err error, ok bool) { //nolint:revive // the error belongs to the event
	for {
		a.mu.Lock()
		changed := a.changed
		if n < len(a.events) {
			event = a.events[n]
			if event.Final {
				err = a.err
			}
			a.mu.Unlock()
			return event, err, true
		}
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return event, nil, false
		}
	}
}
