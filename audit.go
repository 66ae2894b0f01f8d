package voiceassist

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Actor is on whose behalf something happens: who, from where, in which
// request. The zero Actor is the program itself.
type Actor struct {
	UserID    uuid.UUID
	Email     string
	Role      Role
	Specialty string
	IP        string
	RequestID string
	TraceID   string
}

type actorKey struct{}

// WithActor returns a context in which actor acts. The ledger writes it beside
// every change that it audits.
func WithActor(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf returns who acts in ctx.
func ActorOf(ctx context.Context) Actor {
	actor, _ := ctx.Value(actorKey{}).(Actor)
	return actor
}

// AuditLevel says how much an entry should worry its reader.
type AuditLevel string

// The levels of audit entries.
const (
	AuditInfo    AuditLevel = "info"
	AuditWarning AuditLevel = "warning"
	AuditError   AuditLevel = "error"
)

// AuditEntry is one line of the audit log: that somebody did something, or
// tried to. Who acted is the Actor of the context, unless UserID or Email say
// otherwise, which they do where nobody is signed in yet.
type AuditEntry struct {
	Action       string     // as in "user.role_changed": resource, dot, what happened
	Level        AuditLevel // "" is AuditInfo
	UserID       uuid.UUID
	Email        string // personal: kept beside the chain, and erased with its owner
	ResourceType string // "user", "document", …
	ResourceID   string
	Failed       bool           // it was tried and refused
	Details      map[string]any // never personal data, questions, passages or secrets
}

// AuditRecord is an entry as the audit log holds it.
type AuditRecord struct {
	AuditEntry
	ID        uuid.UUID
	At        time.Time
	IP        string // personal, like Email
	RequestID string
	TraceID   string
	Seq       int64  // its place in the chain, from 1; 0 while it waits for one
	Hash      []byte // nil as long
}

// AuditFilter selects entries. Zero fields select everything.
type AuditFilter struct {
	Action       string
	ActionPrefix string
	UserID       uuid.UUID
	Level        AuditLevel
	From, To     time.Time // from inclusive, to exclusive
	ResourceType string
	ResourceID   string
	Success      *bool
	Offset       int
	Limit        int
}

// AuditLink is an end of a chain: a place and the hash there.
type AuditLink struct {
	Seq  int64
	Hash []byte
}

// AuditRange is a part of the chain. The zero AuditRange is all of it.
type AuditRange struct {
	From   int64         // 0 is where the chain begins
	Limit  int           // 0 is no limit
	Budget time.Duration // stop after about this long; 0 is never
}

// AuditVerdict is what checking a part of the chain found.
type AuditVerdict struct {
	Checked   int         // entries
	Bad       *AuditFault // the first that is wrong; nil: none is
	Next      int64       // where to go on; 0: the chain was checked to its end
	Anchor    AuditLink   // where the chain begins: the last entry that retention took, or zeros
	Head      AuditLink   // where it ends. Noted elsewhere, it shows a chain that somebody made anew
	Unchained int         // entries that wait for a place
}

// AuditFault is where a chain is broken and how.
type AuditFault struct {
	Seq int64
	ID  uuid.UUID // uuid.Nil for an entry that is missing
	Why string
}
