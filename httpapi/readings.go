package httpapi

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Who reads a document page by page is audited once in readingPause, not with
// every page. Each API process remembers for itself, the last maxReadings at
// most; what it forgets early is audited once more.
const (
	readingPause = 10 * time.Minute
	maxReadings  = 8192
)

// reading is that somebody reads a document.
type reading struct{ user, document uuid.UUID }

// readings are when readings were last audited.
type readings struct {
	mu sync.Mutex
	at map[reading]time.Time
}

func newReadings() *readings { return &readings{at: make(map[reading]time.Time)} }

// known reports whether a reading was audited not long ago.
func (r *readings) known(one reading) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[one]
	return ok && time.Since(at) < readingPause
}

// note remembers that a reading was audited now.
func (r *readings) note(one reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.at) >= maxReadings {
		maps.DeleteFunc(r.at, func(_ reading, at time.Time) bool { return time.Since(at) >= readingPause })
	}
	if len(r.at) >= maxReadings {
		clear(r.at)
	}
	r.at[one] = time.Now()
}

// auditReading puts into the audit log that the caller reads the text of a
// document, unless that stands there since a moment ago. Without the entry
// nothing is shown.
func (s *Server) auditReading(ctx context.Context, document uuid.UUID) error {
	one := reading{principal(ctx).User.ID, document}
	if s.readings.known(one) {
		return nil
	}
	if err := s.auditDocument(ctx, "document.read", document); err != nil {
		return err
	}
	s.readings.note(one)
	return nil
}

// auditDocument puts into the audit log what the caller does with a document.
func (s *Server) auditDocument(ctx context.Context, action string, document uuid.UUID) error {
	return s.o.Audit.Audit(ctx, voiceassist.AuditEntry{Action: action, ResourceType: "document", ResourceID: document.String()})
}
