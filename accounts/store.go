package accounts

import (
	"context"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Store is what this package asks of the ledger. Each method is one transaction
// and leaves its rows in the audit log with what it changes.
type Store interface {
	userStore
	sessionStore
	failureStore
	linkStore
	factorStore
	keyStore
}

type userStore interface {
	// AddUser stores a new user and begins a session of theirs. It is Conflict
	// when the address is taken.
	AddUser(ctx context.Context, u voiceassist.User, passwordHash string, g voiceassist.Grant) (voiceassist.User, error)
	// PutAdmin makes the owner of an address an active admin with this password
	// and reports whether it had to create the account. Sessions and the lock of
	// an account that existed end.
	PutAdmin(ctx context.Context, u voiceassist.User, passwordHash string) (user voiceassist.User, created bool, err error)
	// Credentials returns what a login to the account of an address is checked
	// against, or NotFound.
	Credentials(ctx context.Context, email string) (voiceassist.Credentials, error)
	// CredentialsByID is Credentials for the account itself.
	CredentialsByID(ctx context.Context, userID uuid.UUID) (voiceassist.Credentials, error)
	// ChangePassword gives an active user a new password, ends their sessions
	// and begins another. It is Unauthorized if oldHash is no longer the user's.
	ChangePassword(ctx context.Context, userID uuid.UUID, oldHash, newHash string, g voiceassist.Grant) (voiceassist.User, error)
	// Audit adds an entry to the audit log.
	Audit(ctx context.Context, e voiceassist.AuditEntry) error
}

type sessionStore interface {
	// BeginSession begins a session of an active user, notes the login and
	// forgets the failures before it. It is Unauthorized if passwordHash is no
	// longer the user's ("" asks for none), or if proof was used before (nil asks
	// for none), and Forbidden if the account has been locked meanwhile.
	BeginSession(ctx context.Context, a voiceassist.Attempt, passwordHash string, proof *voiceassist.FactorProof, g voiceassist.Grant) (voiceassist.User, error)
	// Rotate spends the refresh token spent and stores g in its session. A
	// token that was spent no longer than grace ago may be spent again; after
	// that its session is revoked. Possible ends: the user; Unauthorized for a
	// token that is unknown, expired, of a dead session or revoked just now.
	Rotate(ctx context.Context, spent [32]byte, g voiceassist.Grant, grace time.Duration) (voiceassist.User, error)
	// Session returns a living session, or NotFound.
	Session(ctx context.Context, id uuid.UUID) (voiceassist.Session, error)
	// SessionUser returns the active user of a living session, or NotFound. It
	// is asked with every request: the one place where revocation is noticed.
	SessionUser(ctx context.Context, sessionID uuid.UUID) (voiceassist.User, error)
	// RevokeSessions ends sessions; dead ones and unknown ones are no error.
	RevokeSessions(ctx context.Context, ids []uuid.UUID, reason string) error
}

type failureStore interface {
	// MaySignIn returns nil, or RateLimited when the account or the network has
	// to wait, or Forbidden when the account is locked.
	MaySignIn(ctx context.Context, a voiceassist.Attempt) error
	// SignInFailed counts a failed attempt and locks the account if there were
	// too many.
	SignInFailed(ctx context.Context, a voiceassist.Attempt, reason string) error
	// UnlockAccount takes the lock and all waits off the account of an address
	// and reports whether it was locked. It is NotFound when nobody has the
	// address.
	UnlockAccount(ctx context.Context, email string) (locked bool, err error)
}

// Links are known by the SHA-256 digests of their tokens.
type linkStore interface {
	// AddPasswordReset stores a reset link and returns whose it is: nobody's if
	// no active user has the address, or if they asked too often.
	AddPasswordReset(ctx context.Context, email string, digest [32]byte, ttl time.Duration) (userID uuid.UUID, err error)
	// ResetPassword spends a reset link. It is Invalid for one that is unknown,
	// expired or spent.
	ResetPassword(ctx context.Context, digest [32]byte, passwordHash string) (voiceassist.User, error)
	// PutInvitation stores an invitation, in place of an older one for the same
	// address. It is Conflict when the address has an account.
	PutInvitation(ctx context.Context, i voiceassist.Invitation, digest [32]byte, ttl time.Duration) (voiceassist.Invitation, error)
	// Invitation returns the open invitation of a token, or NotFound.
	Invitation(ctx context.Context, digest [32]byte) (voiceassist.Invitation, error)
	// AddInvitedUser spends an invitation: it stores the user, with the address
	// and the role of the invitation, and begins a session of theirs. It is
	// Invalid for one that is spent, Conflict when the address is taken.
	AddInvitedUser(ctx context.Context, invitation [32]byte, u voiceassist.User, passwordHash string, g voiceassist.Grant) (voiceassist.User, error)
}

type factorStore interface {
	// SecondFactor tells of a user's second factor; the zero status is none.
	SecondFactor(ctx context.Context, userID uuid.UUID) (voiceassist.FactorStatus, error)
	// BeginSecondFactor stores a second factor that is not enabled yet. It is
	// Conflict when one is enabled.
	BeginSecondFactor(ctx context.Context, userID uuid.UUID, secret []byte, backup [][32]byte) error
	// EnableSecondFactor enables the second factor that has this secret, with
	// its first code. It is Conflict if that is not the one being set up.
	EnableSecondFactor(ctx context.Context, userID uuid.UUID, secret []byte, step int64) error
	// DisableSecondFactor removes a user's second factor and spends the proof;
	// nil is none.
	DisableSecondFactor(ctx context.Context, userID uuid.UUID, proof *voiceassist.FactorProof) error
	// ReplaceBackupCodes gives a user other backup codes and spends the proof;
	// nil is none.
	ReplaceBackupCodes(ctx context.Context, userID uuid.UUID, proof *voiceassist.FactorProof, backup [][32]byte) error
	// HasBackupCode reports whether a backup code of a user is still good.
	HasBackupCode(ctx context.Context, userID uuid.UUID, digest [32]byte) (bool, error)
}

type keyStore interface {
	// AddAPIKey stores a key. It is Conflict when the user has as many as they
	// may.
	AddAPIKey(ctx context.Context, k voiceassist.APIKey, digest [32]byte) (voiceassist.APIKey, error)
	// APIKeys returns a page of a user's keys, the newest first, and how many
	// they have.
	APIKeys(ctx context.Context, userID uuid.UUID, offset, limit int) (page []voiceassist.APIKey, total int, err error)
	// DeleteAPIKey ends one of a user's keys, or is NotFound.
	DeleteAPIKey(ctx context.Context, userID, id uuid.UUID) error
	// KeyUser returns a living key and its active user, or NotFound, and notes
	// the use.
	KeyUser(ctx context.Context, digest [32]byte) (voiceassist.User, voiceassist.APIKey, error)
}
