package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Service is something that the system is made of and that can be asked how it
// is.
type Service struct {
	Name     string
	Required bool // nothing works without it
	// Probe asks. An error says that the service does not do its work, and a
	// voiceassist.Error's message is told to the admin; nil: the service is not
	// configured.
	Probe func(ctx context.Context) (Condition, error)
}

// Condition is what a service says of itself.
type Condition struct {
	Version string
	Message string
}

// The states of services.
const (
	statusHealthy   = "healthy"
	statusUnhealthy = "unhealthy"
	statusDegraded  = "degraded"       // of the whole: what is not required fails
	statusAbsent    = "not_configured" // and not needed
)

// probeTimeout is how long a service may take to answer; an answer is good for
// probeFresh, whoever asks.
const (
	probeTimeout = 2 * time.Second
	probeFresh   = 2 * time.Second
)

// serviceBody is how a service is.
type serviceBody struct {
	Name      string   `json:"name" example:"postgres"`
	Status    string   `json:"status" enum:"healthy,unhealthy,not_configured"`
	LatencyMS *float64 `json:"latency_ms" doc:"null unless it answered"`
	Version   *string  `json:"version" doc:"null where it does not tell"`
	Message   string   `json:"message"`
	Required  bool     `json:"required"`
}

// overall is the state of the whole.
func overall(states []serviceBody) string {
	status := statusHealthy
	for _, s := range states {
		switch {
		case s.Status == statusUnhealthy && s.Required:
			return statusUnhealthy
		case s.Status == statusUnhealthy:
			status = statusDegraded
		}
	}
	return status
}

// probes asks all services at once, and no more often than makes sense: those
// who ask meanwhile share the answer, so no dashboard can hammer a service.
type probes struct {
	services []Service
	log      *slog.Logger
	turn     chan struct{} // held by whoever asks or reads what follows
	states   []serviceBody
	at       time.Time

	stuck   []atomic.Bool  // a probe has not returned yet
	running sync.WaitGroup // probes, also those that were given up
}

func newProbes(services []Service, log *slog.Logger) *probes {
	return &probes{services: services, log: log, turn: make(chan struct{}, 1), stuck: make([]atomic.Bool, len(services))}
}

// wait returns when no probe is under way.
func (p *probes) wait() { p.running.Wait() }

// ask returns how each service is, or was a moment ago, and when.
func (p *probes) ask(ctx context.Context) ([]serviceBody, time.Time, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, time.Time{}, fmt.Errorf("wait for the services' answers: %w", ctx.Err())
	}
	defer func() { <-p.turn }()
	if p.states == nil || time.Since(p.at) > probeFresh {
		// Others will be given the answer too, so it does not end with ctx.
		p.states = p.askAll(context.WithoutCancel(ctx))
		p.at = time.Now()
	}
	return p.states, p.at, nil
}

func (p *probes) askAll(ctx context.Context) []serviceBody {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	states := make([]serviceBody, len(p.services))
	var asking sync.WaitGroup
	for i := range p.services {
		asking.Go(func() { states[i] = p.askOne(ctx, i) })
	}
	asking.Wait()
	return states
}

// probed is what a probe returned.
type probed struct {
	Condition
	err error
}

// askOne asks a service and waits for its answer until ctx ends. A probe that
// does not heed ctx is left behind, and not called again before it returns.
func (p *probes) askOne(ctx context.Context, i int) serviceBody {
	service, began := p.services[i], time.Now()
	if service.Probe == nil {
		return serviceBody{Name: service.Name, Status: statusAbsent, Message: "Not configured", Required: service.Required}
	}
	answers := make(chan probed, 1)
	if p.stuck[i].CompareAndSwap(false, true) {
		p.running.Go(func() {
			defer p.stuck[i].Store(false)
			condition, err := service.Probe(ctx)
			answers <- probed{condition, err}
		})
	}
	select {
	case a := <-answers:
		return p.stateOf(ctx, service, a, time.Since(began))
	case <-ctx.Done():
		return p.stateOf(ctx, service, probed{err: context.Cause(ctx)}, 0)
	}
}

func (p *probes) stateOf(ctx context.Context, service Service, a probed, took time.Duration) serviceBody {
	b := serviceBody{
		Name: service.Name, Status: statusHealthy, Message: a.Message, Version: textOrNil(a.Version), Required: service.Required,
	}
	if a.err == nil {
		b.LatencyMS = new(float64(took.Microseconds()) / 1000)
		return b
	}
	p.log.WarnContext(ctx, "service fails its probe", slog.String("service", service.Name), slog.Any("error", a.err))
	b.Status, b.Message = statusUnhealthy, complaint(a.err)
	return b
}

// complaint says what is wrong with a service, without addresses and whatever
// else libraries put into their errors.
func complaint(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("It did not answer within %v", probeTimeout)
	}
	if e, ok := errors.AsType[*voiceassist.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return "It does not work as it should; the log says more"
}
