package voiceassist

import (
	"context"

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
