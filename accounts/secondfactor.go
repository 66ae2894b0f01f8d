package accounts

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"image/png"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	voiceassist "github.com/voiceassist/backend"
)

const (
	totpPeriod  = 30 // seconds
	backupCodes = 10
	qrSize      = 240 // pixels
)

// FactorStatus tells of a user's second factor: since when it is enabled, nil if
// it is not, and how many backup codes are left.
func (s *Service) FactorStatus(ctx context.Context, userID uuid.UUID) (since *time.Time, codes int, err error) {
	f, err := s.store.SecondFactor(ctx, userID)
	if err != nil || f.EnabledAt == nil {
		return nil, 0, err
	}
	return f.EnabledAt, f.BackupCodes, nil
}

// SetUpFactor begins to set up a second factor, anew if one was begun. It is
// Conflict when one is enabled.
func (s *Service) SetUpFactor(ctx context.Context, u voiceassist.User) (voiceassist.FactorSetup, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "VoiceAssist", AccountName: u.Email, Period: totpPeriod})
	if err != nil {
		return voiceassist.FactorSetup{}, fmt.Errorf("make a TOTP secret: %w", err)
	}
	image, err := key.Image(qrSize, qrSize)
	if err != nil {
		return voiceassist.FactorSetup{}, fmt.Errorf("draw a QR code: %w", err)
	}
	var qr bytes.Buffer
	if err := png.Encode(&qr, image); err != nil {
		return voiceassist.FactorSetup{}, fmt.Errorf("draw a QR code: %w", err)
	}
	codes, digests := newBackupCodes()
	if err := s.store.BeginSecondFactor(ctx, u.ID, s.seal(u.ID, []byte(key.Secret())), digests); err != nil {
		return voiceassist.FactorSetup{}, err
	}
	return voiceassist.FactorSetup{Secret: key.Secret(), URL: key.URL(), QRCode: qr.Bytes(), BackupCodes: codes}, nil
}

// EnableFactor enables the second factor being set up, with its first code.
// Possible ends: success; Conflict when none is being set up; Invalid for a
// wrong code, which is counted as in Login.
func (s *Service) EnableFactor(ctx context.Context, u voiceassist.User, code string) error {
	f, err := s.store.SecondFactor(ctx, u.ID)
	if err != nil {
		return err
	}
	if f.Secret == nil || f.EnabledAt != nil {
		return voiceassist.Errorf(voiceassist.Conflict, "Two-factor authentication is not being set up")
	}
	var step int64
	right, err := s.try(ctx, attemptOn(ctx, u), wrongCode, func() (bool, error) {
		step, err = s.stepOf(u.ID, f.Secret, code)
		return step != 0, err
	})
	if err != nil {
		return err
	}
	if !right {
		return voiceassist.FieldError("code", "the code is not right")
	}
	return s.store.EnableSecondFactor(ctx, u.ID, f.Secret, step)
}

// DisableFactor removes a user's second factor, given the password or a code.
// Possible ends: success; Conflict without one; Invalid when neither is right.
func (s *Service) DisableFactor(ctx context.Context, userID uuid.UUID, password, code string) error {
	proof, err := s.proveAgain(ctx, userID, password, code)
	if err != nil {
		return err
	}
	return usedCode(s.store.DisableSecondFactor(ctx, userID, proof))
}

// NewBackupCodes replaces a user's backup codes, given the password or a code.
func (s *Service) NewBackupCodes(ctx context.Context, userID uuid.UUID, password, code string) ([]string, error) {
	proof, err := s.proveAgain(ctx, userID, password, code)
	if err != nil {
		return nil, err
	}
	codes, digests := newBackupCodes()
	return codes, usedCode(s.store.ReplaceBackupCodes(ctx, userID, proof, digests))
}

// usedCode says of a signed-in user's code what Unauthorized, which would send
// them to sign in, says of a login's.
func usedCode(err error) error {
	if errors.Is(err, voiceassist.Unauthorized) {
		return voiceassist.FieldError("code", "the code was used before")
	}
	return err
}

// proveAgain asks a signed-in user with a second factor for the password, for
// which there is no proof to spend, or a code.
func (s *Service) proveAgain(ctx context.Context, userID uuid.UUID, password, code string) (*voiceassist.FactorProof, error) {
	c, err := s.store.CredentialsByID(ctx, userID)
	if err != nil {
		return nil, err
	}
	if c.SecondFactor == nil {
		return nil, voiceassist.Errorf(voiceassist.Conflict, "Two-factor authentication is not enabled")
	}
	a := attemptOn(ctx, c.User)
	if password != "" {
		right, err := s.try(ctx, a, wrongPassword, func() (bool, error) { return s.matches(ctx, password, c.PasswordHash) })
		if err == nil && !right {
			err = voiceassist.FieldError("password", "the password is not right")
		}
		return nil, err
	}
	if code == "" {
		return nil, voiceassist.FieldError("code", "the password or a code is required")
	}
	proof, err := s.proveFactor(ctx, a, c.SecondFactor, code)
	if err == nil && proof == nil {
		err = voiceassist.FieldError("code", "the code is not right")
	}
	return proof, err
}

// proveFactor returns what a code proves, to be spent by the ledger; nil if it
// is wrong, which is counted.
func (s *Service) proveFactor(ctx context.Context, a voiceassist.Attempt, sealed []byte, code string) (*voiceassist.FactorProof, error) {
	var proof voiceassist.FactorProof
	right, err := s.try(ctx, a, wrongCode, func() (ok bool, err error) {
		if proof.Step, err = s.stepOf(a.UserID, sealed, code); err != nil || proof.Step != 0 {
			return true, err
		}
		proof.Backup = backupDigest(code)
		return s.store.HasBackupCode(ctx, a.UserID, proof.Backup)
	})
	if err != nil || !right {
		return nil, err
	}
	return &proof, nil
}

// stepOf returns the time step of a TOTP code, the present one or a neighbour;
// 0 for a code that is none of them.
func (s *Service) stepOf(owner uuid.UUID, sealed []byte, code string) (int64, error) {
	secret, err := s.open(owner, sealed)
	if err != nil {
		return 0, err
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	now := time.Now()
	found := int64(0)
	for _, skew := range []int64{-1, 0, 1} {
		at := now.Add(time.Duration(skew) * totpPeriod * time.Second)
		want, err := totp.GenerateCode(string(secret), at)
		if err != nil {
			return 0, fmt.Errorf("make a TOTP code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = at.Unix() / totpPeriod
		}
	}
	return found, nil
}

func errWrongCode() error {
	return voiceassist.Errorf(voiceassist.Unauthorized, "The code is wrong or was used before")
}

// newBackupCodes returns codes of 80 bits, as XXXX-XXXX-XXXX-XXXX, and the
// digests under which they are kept.
func newBackupCodes() (codes []string, digests [][32]byte) {
	for range backupCodes {
		t := rand.Text()
		code := strings.Join([]string{t[0:4], t[4:8], t[8:12], t[12:16]}, "-")
		codes, digests = append(codes, code), append(digests, backupDigest(code))
	}
	return codes, digests
}

// backupDigest is the digest of a backup code, in whichever way it is typed.
func backupDigest(code string) [32]byte {
	return sha256.Sum256([]byte(strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))))
}
