package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	voiceassist "github.com/voiceassist/backend"
)

// The cost of a password hash: OWASP's argon2id parameters for 19 MiB
// (https://cheatsheetseries.owasp.org, Password Storage).
const (
	argonMemory  = 19456 // KiB
	argonTime    = 2
	argonThreads = 1
	saltLength   = 16
	keyLength    = 32
)

// What waits for a turn. There are fewer turns than processors, so that a flood
// of logins takes neither the memory nor the processors from everybody else, and
// a bounded crowd waits for them.
const (
	turnWait   = 20 * time.Second // less than a request may take
	maxWaiting = 512
)

// nobodysHash is verified for addresses that are not ours, so that the answer
// takes as long. No password has it: the key is all zero.
var nobodysHash = encodeHash(make([]byte, saltLength), make([]byte, keyLength))

// hashNew checks a password that somebody has chosen and returns its hash.
func (s *Service) hashNew(ctx context.Context, password string) (string, error) {
	if err := voiceassist.CheckPassword(password); err != nil {
		return "", err
	}
	return s.HashSecret(ctx, password)
}

// HashSecret returns the hash of a secret that protects something else than an
// account, for VerifySecret. It waits for its turn like passwords do, and is
// Unavailable when too many do.
func (s *Service) HashSecret(ctx context.Context, secret string) (string, error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	salt := make([]byte, saltLength)
	rand.Read(salt)
	return encodeHash(salt, s.derive(ctx, secret, salt)), nil
}

// VerifySecret reports whether a secret has this hash.
func (s *Service) VerifySecret(ctx context.Context, secret, hash string) (bool, error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	return s.matches(ctx, secret, hash)
}

// matches reports whether password has this hash. It is called in a turn.
func (s *Service) matches(ctx context.Context, password, hash string) (bool, error) {
	salt, want, err := decodeHash(hash)
	if err != nil {
		return false, err
	}
	if len(password) > 4*voiceassist.MaxPasswordLength {
		return false, nil // longer than any that was taken, and costly to hash
	}
	return subtle.ConstantTimeCompare(s.derive(ctx, password, salt), want) == 1, nil
}

func (s *Service) derive(ctx context.Context, password string, salt []byte) []byte {
	if s.o.Hashers == nil {
		return derive(password, salt)
	}
	return s.o.Hashers.derive(ctx, password, salt)
}

func derive(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, keyLength)
}

// takeTurn waits until it is the caller's turn to hash or to have a guess
// looked at; done ends the turn.
func (s *Service) takeTurn(ctx context.Context) (done func(), err error) {
	busy := func(err error) error {
		return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "Too many sign-ins at once, try again", RetryAfter: 5 * time.Second, Err: err}
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return nil, busy(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	if err := s.turns.Acquire(ctx, 1); err != nil {
		return nil, busy(err)
	}
	return func() { s.turns.Release(1) }, nil
}

// hashPrefix is the beginning of every hash, in the PHC string format:
// $argon2id$v=19$m=19456,t=2,p=1$salt$key.
var hashPrefix = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, argonMemory, argonTime, argonThreads)

func encodeHash(salt, key []byte) string {
	return hashPrefix + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(key)
}

func decodeHash(hash string) (salt, key []byte, err error) {
	encoded, ok := strings.CutPrefix(hash, hashPrefix)
	saltText, keyText, found := strings.Cut(encoded, "$")
	if !ok || !found {
		return nil, nil, fmt.Errorf("password hash does not begin with %s", hashPrefix)
	}
	if salt, err = base64.RawStdEncoding.DecodeString(saltText); err != nil {
		return nil, nil, fmt.Errorf("salt of a password hash: %w", err)
	}
	if key, err = base64.RawStdEncoding.DecodeString(keyText); err != nil {
		return nil, nil, fmt.Errorf("key of a password hash: %w", err)
	}
	return salt, key, nil
}
