package voiceassist

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Principal is who makes a request: a user, and the session or the API key they
// made it with. The zero value is nobody.
type Principal struct {
	User      User
	SessionID uuid.UUID // zero with an API key
	APIKeyID  uuid.UUID // zero with a session
	Scopes    []Scope   // of the API key
}

// CredentialID is the id of the session or of the API key.
func (p Principal) CredentialID() uuid.UUID {
	if p.APIKeyID != uuid.Nil {
		return p.APIKeyID
	}
	return p.SessionID
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

// SignIn is the outcome of registering, signing in or refreshing. A login that
// wants a second factor has a Challenge, the User, and no tokens.
type SignIn struct {
	Principal
	Tokens
	Challenge string
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
	Digest    [32]byte      // SHA-256 of the token
	TTL       time.Duration // of the token and, unless refreshed, of the session
	MaxAge    time.Duration // of a new session, however often it is refreshed
}

// Credentials are what a login is checked against.
type Credentials struct {
	User         User
	PasswordHash string
	SecondFactor []byte // the sealed secret; nil unless one is enabled
}

// Attempt is who tries to prove who they are, from where: what failures are
// counted by.
type Attempt struct {
	UserID  uuid.UUID // zero when nobody has the address
	Email   string    // as typed, in lower case
	Network string    // the client's address, or its /64 network; "" for the program itself
}

// FactorProof is a code of a second factor that was right: either the time step
// of a TOTP code or the SHA-256 of a backup code. The ledger takes each once.
type FactorProof struct {
	Step   int64
	Backup [32]byte // if Step is 0
}

// FactorStatus tells of a user's second factor.
type FactorStatus struct {
	Secret      []byte     // sealed; nil without one
	EnabledAt   *time.Time // nil until the first code has been right
	BackupCodes int        // not used yet
}

// FactorSetup is what a user needs to add this server to an authenticator. It is
// shown once.
type FactorSetup struct {
	Secret      string // in base 32
	URL         string // otpauth://
	QRCode      []byte // a PNG of URL
	BackupCodes []string
}

// Invitation is an account that an admin offers to an address.
type Invitation struct {
	Email     string
	FullName  string
	Role      Role
	InvitedBy uuid.UUID
	ExpiresAt time.Time
}

// Scope is what an API key may be used for. Each includes those before it.
type Scope string

// The scopes of API keys.
const (
	ScopeRead  Scope = "read"  // GET
	ScopeWrite Scope = "write" // changes of what is the user's own
	ScopeAdmin Scope = "admin" // what the user's role allows
)

// scopeOrder is from least to most.
var scopeOrder = []Scope{ScopeRead, ScopeWrite, ScopeAdmin}

// Valid reports whether there is such a scope.
func (s Scope) Valid() bool { return slices.Contains(scopeOrder, s) }

// Covered reports whether one of scopes includes s.
func (s Scope) Covered(scopes []Scope) bool {
	return slices.ContainsFunc(scopes, func(have Scope) bool {
		return slices.Index(scopeOrder, have) >= slices.Index(scopeOrder, s)
	})
}

// APIKey is a key as its owner may see it after it was made.
type APIKey struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	Name       string
	Prefix     string // of the key
	Scopes     []Scope
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	LastUsedAt *time.Time // to the minute
}

// MailKind says what a mail is about.
type MailKind string

// The mails that are sent.
const (
	MailReset      MailKind = "password_reset"
	MailInvitation MailKind = "invitation"
	MailBatchEnded MailKind = "batch_ended"
)

// Mail is a link for somebody, or a text.
type Mail struct {
	Kind MailKind
	To   string
	Link string // is a secret
	TTL  time.Duration
	Text string // of MailBatchEnded, in place of a link
}
