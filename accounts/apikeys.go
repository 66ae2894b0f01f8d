package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

const (
	keyPrefix     = "va_k_"
	shownOfKey    = len(keyPrefix) + 6 // characters that lists show
	maxKeyName    = 100                // code points
	longestKeyTTL = 10 * 365 * 24 * time.Hour
)

// CreateAPIKey makes a key for a user and returns it; it is not shown again. A
// nil expiry is none. Possible ends: success; Invalid; Conflict when the user
// has as many keys as they may.
func (s *Service) CreateAPIKey(ctx context.Context, userID uuid.UUID, name string, scopes []voiceassist.Scope, expires *time.Time) (key string, k voiceassist.APIKey, err error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > maxKeyName || strings.ContainsFunc(name, unicode.IsControl) {
		return "", k, voiceassist.FieldError("name", "name must have 1 to %d characters and no line breaks", maxKeyName)
	}
	if len(scopes) == 0 {
		scopes = []voiceassist.Scope{voiceassist.ScopeRead}
	}
	for _, scope := range scopes {
		if !scope.Valid() {
			return "", k, voiceassist.FieldError("scopes", "scopes are read, write and admin")
		}
	}
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	if now := time.Now(); expires != nil && (!expires.After(now) || expires.After(now.Add(longestKeyTTL))) {
		return "", k, voiceassist.FieldError("expires_at", "expires_at must be in the future, and no further than ten years")
	}
	secret, _ := newToken()
	key = keyPrefix + secret
	k, err = s.store.AddAPIKey(ctx, voiceassist.APIKey{
		ID: uuid.Must(uuid.NewV7()), UserID: userID, Name: name, Prefix: key[:shownOfKey], Scopes: slices.Compact(scopes), ExpiresAt: expires,
	}, sha256.Sum256([]byte(key)))
	return key, k, err
}

// APIKeys returns a page of a user's keys, the newest first, and how many they
// have.
func (s *Service) APIKeys(ctx context.Context, userID uuid.UUID, offset, limit int) ([]voiceassist.APIKey, int, error) {
	return s.store.APIKeys(ctx, userID, offset, limit)
}

// DeleteAPIKey ends one of a user's keys, or is NotFound.
func (s *Service) DeleteAPIKey(ctx context.Context, userID, id uuid.UUID) error {
	return s.store.DeleteAPIKey(ctx, userID, id)
}

// AuthenticateKey returns who an API key belongs to, or is Unauthorized. Without
// the scope admin its user counts as an ordinary one.
func (s *Service) AuthenticateKey(ctx context.Context, key string) (voiceassist.Principal, error) {
	invalid := voiceassist.Errorf(voiceassist.Unauthorized, "Invalid or expired API key")
	if !strings.HasPrefix(key, keyPrefix) {
		return voiceassist.Principal{}, invalid
	}
	u, k, err := s.store.KeyUser(ctx, sha256.Sum256([]byte(key)))
	if errors.Is(err, voiceassist.NotFound) {
		return voiceassist.Principal{}, invalid
	}
	if err != nil {
		return voiceassist.Principal{}, err
	}
	if !voiceassist.ScopeAdmin.Covered(k.Scopes) {
		u.Role = voiceassist.RoleUser
	}
	return voiceassist.Principal{User: u, APIKeyID: k.ID, Scopes: k.Scopes}, nil
}
