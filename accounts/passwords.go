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

// Cost is what it takes to hash a password with argon2id on one thread.
type Cost struct {
	Memory uint32 // KiB
	Passes uint32 // over the memory
}

// standardCost is OWASP's for 19 MiB (https://cheatsheetseries.owasp.org,
// Password Storage). At maxCost a hash takes seconds.
var (
	standardCost = Cost{Memory: 19456, Passes: 2}
	maxCost      = Cost{Memory: 1 << 20, Passes: 10}
)

// possible reports whether argon2 takes the cost, and this service would.
func (c Cost) possible() bool {
	return c.Memory >= 8 && c.Memory <= maxCost.Memory && c.Passes >= 1 && c.Passes <= maxCost.Passes
}

const (
	saltLength = 16
	keyLength  = 32
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
func (s *Service) nobodysHash() string {
	return passwordHash{s.o.HashCost, make([]byte, saltLength), make([]byte, keyLength)}.String()
}

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
	return passwordHash{s.o.HashCost, salt, s.derive(ctx, secret, salt, s.o.HashCost)}.String(), nil
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
	h, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	if len(password) > 4*voiceassist.MaxPasswordLength {
		return false, nil // longer than any that was taken, and costly to hash
	}
	return subtle.ConstantTimeCompare(s.derive(ctx, password, h.salt, h.cost), h.key) == 1, nil
}

func (s *Service) derive(ctx context.Context, password string, salt []byte, cost Cost) []byte {
	if s.o.Hashers == nil {
		return derive(password, salt, cost)
	}
	return s.o.Hashers.derive(ctx, password, salt, cost)
}

func derive(password string, salt []byte, cost Cost) []byte {
	return argon2.IDKey([]byte(password), salt, cost.Passes, cost.Memory, 1, keyLength)
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

// passwordHash is what is kept of a password.
type passwordHash struct {
	cost      Cost
	salt, key []byte
}

// hashForm is the PHC string format, as far as its salt and key:
// $argon2id$v=19$m=19456,t=2,p=1$salt$key.
const hashForm = "$argon2id$v=%d$m=%d,t=%d,p=1$"

func (h passwordHash) String() string {
	return fmt.Sprintf(hashForm, argon2.Version, h.cost.Memory, h.cost.Passes) +
		base64.RawStdEncoding.EncodeToString(h.salt) + "$" + base64.RawStdEncoding.EncodeToString(h.key)
}

func parseHash(text string) (h passwordHash, err error) {
	var version int
	var rest string
	if _, err := fmt.Sscanf(text, hashForm+"%s", &version, &h.cost.Memory, &h.cost.Passes, &rest); err != nil {
		return h, fmt.Errorf("password hash is not of the form %s: %w", hashForm, err)
	}
	if version != argon2.Version || !h.cost.possible() {
		return h, fmt.Errorf("password hash of version %d at the cost %+v", version, h.cost)
	}
	salt, key, _ := strings.Cut(rest, "$")
	if h.salt, err = base64.RawStdEncoding.DecodeString(salt); err != nil {
		return h, fmt.Errorf("salt of a password hash: %w", err)
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(key); err != nil {
		return h, fmt.Errorf("key of a password hash: %w", err)
	}
	if len(h.key) != keyLength {
		return h, fmt.Errorf("key of a password hash has %d bytes", len(h.key))
	}
	return h, nil
}
