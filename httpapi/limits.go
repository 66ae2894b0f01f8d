package httpapi

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Limits is what this package asks of redis.Limits: it counts one request under
// key and says whether rate allows it. It never fails; when it cannot count, it
// allows.
type Limits interface {
	Allow(ctx context.Context, key string, rate voiceassist.Rate) voiceassist.Decision
}

// Rates are the rate limits: of anonymous routes per client address, of the
// others per session.
type Rates struct {
	Register  voiceassist.Rate
	Login     voiceassist.Rate // and second factors, and accepted invitations
	Reset     voiceassist.Rate // of forgotten passwords and their links
	Health    voiceassist.Rate // of each of the health routes
	Anonymous voiceassist.Rate // of other anonymous routes
	Session   voiceassist.Rate
	Refresh   voiceassist.Rate // of a token family

	AdminActions voiceassist.Rate // on users, per administrator
}

// DefaultRates are the limits of the contract.
var DefaultRates = Rates{
	Register:  voiceassist.Rate{N: 5, Per: time.Hour},
	Login:     voiceassist.Rate{N: 10, Per: time.Minute},
	Reset:     voiceassist.Rate{N: 5, Per: time.Hour},
	Health:    voiceassist.Rate{N: 100, Per: time.Minute},
	Anonymous: voiceassist.Rate{N: 300, Per: time.Minute},
	Session:   voiceassist.Rate{N: 6000, Per: time.Minute},
	Refresh:   voiceassist.Rate{N: 20, Per: time.Minute},

	AdminActions: voiceassist.Rate{N: 120, Per: time.Minute},
}

// rateName names a rate in keys and in the route table.
type rateName string

const (
	rateNone      rateName = ""
	rateRegister  rateName = "register"
	rateLogin     rateName = "login"
	rateReset     rateName = "reset"
	rateHealth    rateName = "health"
	rateReady     rateName = "ready"
	rateAnonymous rateName = "anonymous"
	rateSession   rateName = "session"
	rateRefresh   rateName = "refresh"

	rateAdminActions rateName = "admin_actions"
)

func (r Rates) named(name rateName) voiceassist.Rate {
	switch name {
	case rateRegister:
		return r.Register
	case rateLogin:
		return r.Login
	case rateReset:
		return r.Reset
	case rateHealth, rateReady:
		return r.Health
	case rateAnonymous:
		return r.Anonymous
	case rateSession:
		return r.Session
	case rateRefresh:
		return r.Refresh
	case rateAdminActions:
		return r.AdminActions
	default:
		return voiceassist.Rate{}
	}
}

// count counts the request against a rate of whom, and is RateLimited when
// there were too many.
func (s *Server) count(ctx context.Context, name rateName, whom string) error {
	rate := s.o.Rates.named(name)
	if s.o.Limits == nil || rate == (voiceassist.Rate{}) {
		return nil
	}
	d := s.o.Limits.Allow(ctx, string(name)+":"+whom, rate)
	requestOf(ctx).limit = &d
	if d.Allowed {
		return nil
	}
	return &voiceassist.Error{Code: voiceassist.RateLimited, Message: "Too many requests, try again later", RetryAfter: d.RetryAfter}
}

// countToken counts a request of a route that anybody may call: against a rate
// of the session whose token came with it, or, if session is zero because no
// token of ours did, as an anonymous one of its address.
func (s *Server) countToken(ctx context.Context, name rateName, session uuid.UUID) error {
	if session == uuid.Nil {
		return s.count(ctx, rateAnonymous, clientKey(requestOf(ctx).ip))
	}
	return s.count(ctx, name, session.String())
}

// clientKey is under whom an anonymous client is counted: its address, or the
// /64 network of an IPv6 address, which is what one customer is given.
func clientKey(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return network.String()
}
