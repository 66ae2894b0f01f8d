package httpapi

import (
	"cmp"
	"context"
	"encoding/base64"
)

// factorStatusBody tells of the caller's second factor.
type factorStatusBody struct {
	Enabled              bool    `json:"enabled"`
	BackupCodesRemaining int     `json:"backup_codes_remaining"`
	VerifiedAt           *string `json:"verified_at" format:"date-time"`
}

func (s *Server) factorStatus(ctx context.Context, _ *none) (twins[factorStatusBody], error) {
	since, codes, err := s.o.Accounts.FactorStatus(ctx, principal(ctx).User.ID)
	return both(factorStatusBody{Enabled: since != nil, BackupCodesRemaining: codes, VerifiedAt: stampOrNil(since)}), err
}

// factorSetupBody is shown once. provisioning_uri and otpauth_url are the same.
type factorSetupBody struct {
	Secret          string   `json:"secret"`
	ProvisioningURI string   `json:"provisioning_uri"`
	OtpauthURL      string   `json:"otpauth_url"`
	QRCode          string   `json:"qr_code" doc:"a PNG as a data URI"`
	BackupCodes     []string `json:"backup_codes"`
}

func (s *Server) setUpFactor(ctx context.Context, _ *none) (twins[factorSetupBody], error) {
	f, err := s.o.Accounts.SetUpFactor(ctx, principal(ctx).User)
	if err != nil {
		return twins[factorSetupBody]{}, err
	}
	return both(factorSetupBody{
		Secret: f.Secret, ProvisioningURI: f.URL, OtpauthURL: f.URL, BackupCodes: f.BackupCodes,
		QRCode: "data:image/png;base64," + base64.StdEncoding.EncodeToString(f.QRCode),
	}), nil
}

type codeInput struct {
	Body struct {
		Code string `json:"code" maxLength:"40"`
	}
}

func (s *Server) enableFactor(ctx context.Context, in *codeInput) (messageBody, error) {
	if err := s.o.Accounts.EnableFactor(ctx, principal(ctx).User, in.Body.Code); err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Two-factor authentication is enabled"}, nil
}

type proofInput struct {
	Body struct {
		Password   string `json:"password,omitempty"`
		Code       string `json:"code,omitempty" maxLength:"40"`
		BackupCode string `json:"backup_code,omitempty" maxLength:"40"`
	}
}

func (s *Server) disableFactor(ctx context.Context, in *proofInput) (messageBody, error) {
	code := cmp.Or(in.Body.Code, in.Body.BackupCode)
	if err := s.o.Accounts.DisableFactor(ctx, principal(ctx).User.ID, in.Body.Password, code); err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Two-factor authentication is disabled"}, nil
}

// backupCodesBody is shown once.
type backupCodesBody struct {
	BackupCodes []string `json:"backup_codes"`
	Message     string   `json:"message"`
}

func (s *Server) newBackupCodes(ctx context.Context, in *proofInput) (twins[backupCodesBody], error) {
	code := cmp.Or(in.Body.Code, in.Body.BackupCode)
	codes, err := s.o.Accounts.NewBackupCodes(ctx, principal(ctx).User.ID, in.Body.Password, code)
	if err != nil {
		return twins[backupCodesBody]{}, err
	}
	return both(backupCodesBody{BackupCodes: codes, Message: "The older backup codes no longer work"}), nil
}

type verifyLoginInput struct {
	Body struct {
		Challenge  string `json:"challenge" maxLength:"2000"`
		Code       string `json:"code,omitempty" maxLength:"40"`
		BackupCode string `json:"backup_code,omitempty" maxLength:"40"`
	}
}

func (s *Server) verifyLogin(ctx context.Context, in *verifyLoginInput) (signedInBody, error) {
	out, err := s.o.Accounts.VerifyLogin(ctx, in.Body.Challenge, cmp.Or(in.Body.Code, in.Body.BackupCode))
	if err != nil {
		return signedInBody{}, err
	}
	return signIn(ctx, out), nil
}
