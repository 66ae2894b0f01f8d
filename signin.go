package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// Principal is who makes a request: a user, and the session they made it in.
// The zero value is nobody.
type Principal struct {
	User      User
	SessionID uuid.UUID
}

// Tokens are what a client keeps of a session. All are JWTs.
type Tokens struct {
	Access    string        // for the Authorization header
	Refresh   string        // works once
	Cookie    string        // for the session cookie alone; lives as long as the session
	AccessTTL time.Duration // from now
	// RefreshTTL is how long the session lives from now if nobody refreshes it.
	RefreshTTL time.Duration
}

// SignIn is the outcome of registering, signing in or refreshing.
type SignIn struct {
	Principal
	Tokens
}

// Registration is what somebody says of themselves who wants an account.
// FullName and the pair FirstName, LastName are filled from one another.
type Registration struct {
	Email     string
	Password  string
	FullName  string
	FirstName string
	LastName  string
	Specialty string
}

// Grant is a refresh token as the ledger keeps it.
type Grant struct {
	SessionID uuid.UUID
	Digest    [32]byte // SHA-256 of the token
	TTL       time.Duration
}
