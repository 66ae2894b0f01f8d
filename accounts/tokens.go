package accounts

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// minSecret is the least length of a signing secret in bytes: that of the
// digests it makes (RFC 7518, section 3.2).
const minSecret = 32

// What a token is for. One is never taken for another.
const (
	accessType    = "access"
	refreshType   = "refresh"
	cookieType    = "cookie"
	challengeType = "challenge" // that the password was right, and a code is wanted
)

// claims are the payload of every token.
type claims struct {
	Subject   string `json:"sub"`
	Email     string `json:"email"`
	Role      string `json:"role"`
	Type      string `json:"type"`
	SessionID string `json:"sid"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	ID        string `json:"jti"`
	Password  string `json:"pwd,omitempty"` // of a challenge: a digest of the hash of the password that was right

	userID    uuid.UUID // of Subject
	sessionID uuid.UUID // of SessionID
}

// MarshalJSON writes ASCII alone: v1's clients decode payloads with atob, which
// knows nothing else.
func (c claims) MarshalJSON() ([]byte, error) {
	type plain claims
	b, err := json.Marshal(plain(c))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case r < utf8.RuneSelf:
			out.WriteByte(byte(r))
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes(), nil
}

// The methods of jwt.Claims. Only the expiry is the library's to check.
func (c claims) GetExpirationTime() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.ExpiresAt, 0)), nil
}
func (c claims) GetIssuedAt() (*jwt.NumericDate, error)  { return nil, nil }
func (c claims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }
func (c claims) GetIssuer() (string, error)              { return "", nil }
func (c claims) GetSubject() (string, error)             { return c.Subject, nil }
func (c claims) GetAudience() (jwt.ClaimStrings, error)  { return nil, nil }

// issued are new tokens, and what the ledger has to keep of them.
type issued struct {
	tokens voiceassist.Tokens
	grant  voiceassist.Grant
}

func (i issued) signIn(u voiceassist.User) voiceassist.SignIn {
	return voiceassist.SignIn{Principal: voiceassist.Principal{User: u, SessionID: i.grant.SessionID}, Tokens: i.tokens}
}

// issue signs a set of tokens for a session that lives for another rest at
// most.
func (s *Service) issue(u voiceassist.User, session uuid.UUID, rest time.Duration) (issued, error) {
	accessTTL, refreshTTL := min(s.o.AccessTTL, rest), min(s.o.RefreshTTL, rest)
	access, err := s.sign(u, session, accessType, accessTTL)
	if err != nil {
		return issued{}, err
	}
	refresh, err := s.sign(u, session, refreshType, refreshTTL)
	if err != nil {
		return issued{}, err
	}
	cookie, err := s.sign(u, session, cookieType, refreshTTL)
	if err != nil {
		return issued{}, err
	}
	return issued{
		tokens: voiceassist.Tokens{
			Access:     access,
			Refresh:    refresh,
			Cookie:     cookie,
			AccessTTL:  accessTTL,
			RefreshTTL: refreshTTL,
		},
		grant: voiceassist.Grant{SessionID: session, Digest: sha256.Sum256([]byte(refresh)), TTL: refreshTTL, MaxAge: rest},
	}, nil
}

func (s *Service) sign(u voiceassist.User, session uuid.UUID, typ string, ttl time.Duration) (string, error) {
	return s.signClaims(claims{
		Subject:   u.ID.String(),
		Email:     u.Email,
		Role:      string(u.Role),
		Type:      typ,
		SessionID: session.String(),
	}, ttl)
}

// signClaims signs claims that hold from now on for ttl.
func (s *Service) signClaims(c claims, ttl time.Duration) (string, error) {
	now := time.Now()
	c.IssuedAt, c.ExpiresAt, c.ID = now.Unix(), now.Add(ttl).Unix(), uuid.NewString()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(s.o.Secrets[0]))
	if err != nil {
		return "", fmt.Errorf("sign %s token: %w", c.Type, err)
	}
	return signed, nil
}

// parse returns the claims of a token of one type that we signed and that has
// not expired, or an Unauthorized error.
func (s *Service) parse(token, typ string) (claims, error) {
	return s.parseWith(token, typ)
}

// parseExpired is parse for tokens that may have expired.
func (s *Service) parseExpired(token, typ string) (claims, error) {
	return s.parseWith(token, typ, jwt.WithoutClaimsValidation())
}

func (s *Service) parseWith(token, typ string, o ...jwt.ParserOption) (claims, error) {
	var c claims
	o = append(o, jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}))
	if _, err := jwt.ParseWithClaims(token, &c, s.keys, o...); err != nil {
		return claims{}, invalidToken(err)
	}
	if c.Type != typ {
		return claims{}, invalidToken(fmt.Errorf("token of type %q where %s is wanted", c.Type, typ))
	}
	var err error
	if c.userID, err = uuid.Parse(c.Subject); err != nil {
		return claims{}, invalidToken(err)
	}
	if c.sessionID, err = uuid.Parse(c.SessionID); err != nil {
		return claims{}, invalidToken(err)
	}
	return c, nil
}

func (s *Service) keys(*jwt.Token) (any, error) {
	var set jwt.VerificationKeySet
	for _, secret := range s.o.Secrets {
		set.Keys = append(set.Keys, []byte(secret))
	}
	return set, nil
}

func invalidToken(err error) error {
	return &voiceassist.Error{Code: voiceassist.Unauthorized, Message: "Invalid or expired token", Err: err}
}
