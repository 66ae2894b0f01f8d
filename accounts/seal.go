package accounts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// sealUse separates the keys that seal from whatever else is made of a secret.
const sealUse = "voiceassist second factor v1"

// newSeals derives an AES-256-GCM key from each secret.
func newSeals(secrets []string) ([]cipher.AEAD, error) {
	seals := make([]cipher.AEAD, 0, len(secrets))
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, sealUse, 32)
		if err != nil {
			return nil, fmt.Errorf("derive a key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("derive a key: %w", err)
		}
		seal, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("derive a key: %w", err)
		}
		seals = append(seals, seal)
	}
	return seals, nil
}

// seal encrypts what only this user may have; nobody else's row opens it.
func (s *Service) seal(owner uuid.UUID, plain []byte) []byte {
	return s.seals[0].Seal(nil, nil, plain, owner[:])
}

// open decrypts what any of the secrets has sealed for the owner.
func (s *Service) open(owner uuid.UUID, sealed []byte) ([]byte, error) {
	for _, seal := range s.seals {
		if plain, err := seal.Open(nil, nil, sealed, owner[:]); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("a second factor was sealed with a secret that is no longer configured")
}

// newToken returns a secret for a link and the digest under which it is kept.
func newToken() (token string, digest [32]byte) {
	token = rand.Text() + rand.Text()[:6] // 160 bits
	return token, sha256.Sum256([]byte(token))
}
