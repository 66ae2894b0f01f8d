package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// MaxShares is how many links to one conversation may work at the same time.
const MaxShares = 50

// Share is a link by which others read a conversation. Whoever has its token
// may; the ledger only knows the token's digest.
type Share struct {
	ID             uuid.UUID
	ConversationID uuid.UUID
	PasswordHash   string // "" is no password
	AllowAnonymous bool   // nobody needs to be signed in
	CreatedAt      time.Time
	ExpiresAt      time.Time
	RevokedAt      *time.Time
}
