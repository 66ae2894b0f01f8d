package httpapi

import (
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// How many frames a client may send over one socket. A person causes a few in a
// second; a client that goes on beyond what it is told is closed.
const (
	frameBurst  = 60  // at once
	frameRate   = 20  // per second, evenly
	frameExcess = 100 // refused ones, beyond the rate, before the socket is closed
)

var errTooManyFrames = voiceassist.Errorf(voiceassist.RateLimited, "Too many frames, slow down")

// pace counts the frames of one socket: a bucket of frames left, which refused
// frames take from as well. The zero pace has a full bucket.
type pace struct {
	used float64 // of frameBurst; more means in excess
	at   time.Time
}

type paceVerdict int

const (
	paceGood paceVerdict = iota
	paceTooFast
	paceAbusive
)

// take counts a frame.
func (p *pace) take(now time.Time) paceVerdict {
	p.used = max(0, p.used-now.Sub(p.at).Seconds()*frameRate) + 1
	p.at = now
	switch {
	case p.used <= frameBurst:
		return paceGood
	case p.used <= frameBurst+frameExcess:
		return paceTooFast
	default:
		return paceAbusive
	}
}
