package voiceassist

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Role is what a user may do. A viewer may read the admin API, an admin may
// change things.
type Role string

// The roles, from least to most.
const (
	RoleUser   Role = "user"
	RoleViewer Role = "viewer"
	RoleAdmin  Role = "admin"
)

// User is an account. The password's hash is not part of it.
type User struct {
	ID          uuid.UUID
	Email       string // lower case
	FullName    string
	FirstName   string
	LastName    string
	Specialty   string
	Role        Role
	IsActive    bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
	LastLoginAt *time.Time
}

// Named returns u with its names and specialty trimmed, and FullName and the
// pair FirstName, LastName filled in from one another; or an Invalid error.
func (u User) Named() (User, error) {
	for _, s := range []*string{&u.FullName, &u.FirstName, &u.LastName, &u.Specialty} {
		*s = strings.TrimSpace(*s)
	}
	if u.FullName == "" {
		u.FullName = strings.TrimSpace(u.FirstName + " " + u.LastName)
	}
	if u.FirstName == "" && u.LastName == "" {
		u.FirstName, u.LastName = splitName(u.FullName)
	}
	if u.FullName == "" {
		return User{}, FieldError("full_name", "full_name, or first_name and last_name, are required")
	}
	return u, u.CheckNames()
}

// splitName takes the last word for the last name.
func splitName(full string) (first, last string) {
	i := strings.LastIndexByte(full, ' ')
	if i < 0 {
		return full, ""
	}
	return strings.TrimSpace(full[:i]), full[i+1:]
}

// CheckNames returns an Invalid error for a name that is too long or more than one
// line.
func (u User) CheckNames() error {
	for _, each := range []struct{ field, name string }{
		{"full_name", u.FullName}, {"first_name", u.FirstName}, {"last_name", u.LastName}, {"specialty", u.Specialty},
	} {
		field, name := each.field, each.name
		if utf8.RuneCountInString(name) > MaxNameLength {
			return FieldError(field, "%s must be at most %d characters long", field, MaxNameLength)
		}
		if strings.ContainsFunc(name, unicode.IsControl) {
			return FieldError(field, "%s must not contain line breaks or other control characters", field)
		}
	}
	return nil
}

// IsAdmin reports whether the user may change what the admin API shows.
func (u User) IsAdmin() bool { return u.Role == RoleAdmin }

// CanView reports whether the user may read the admin API.
func (u User) CanView() bool { return u.Role == RoleAdmin || u.Role == RoleViewer }

// Session is a family of tokens: a login and every refresh that followed from
// it. Revoking it ends them all.
type Session struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	CreatedAt  time.Time
	LastUsedAt time.Time // when it began or was last refreshed
	ExpiresAt  time.Time // if nobody refreshes it
	EndsAt     time.Time // at the latest
}

// Lengths of what a person may call themselves and choose as a password, in
// code points. The upper bound of a password keeps hashing cheap.
const (
	MaxNameLength     = 200
	MinPasswordLength = 8
	MaxPasswordLength = 256
)

// NormalizeEmail returns the address in the form in which it is stored and
// compared, or an Invalid error.
func NormalizeEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || len(email) > 254 || !strings.Contains(email, "@") {
		return "", FieldError("email", "email is not a valid address")
	}
	return email, nil
}

// CheckPassword returns an Invalid error for a password that is too short, too
// long or on the list of common ones.
func CheckPassword(password string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return FieldError("password", "password is not valid text")
	case n < MinPasswordLength:
		return FieldError("password", "password must be at least %d characters long", MinPasswordLength)
	case n > MaxPasswordLength:
		return FieldError("password", "password must be at most %d characters long", MaxPasswordLength)
	case commonPasswords[strings.ToLower(password)]:
		return FieldError("password", "password is too common")
	}
	return nil
}

// commonPasswords are the ones of eight characters or more that head every
// published list of leaked passwords; shorter ones are refused for length.
var commonPasswords = map[string]bool{
	"password": true, "password1": true, "password12": true, "password123": true, "passw0rd": true, "p@ssw0rd": true, "p@ssword": true,
	"12345678": true, "123456789": true, "1234567890": true, "0123456789": true, "87654321": true, "987654321": true, "11111111": true,
	"00000000": true, "88888888": true, "123123123": true, "12341234": true, "11223344": true, "1q2w3e4r": true, "1q2w3e4r5t": true,
	"1qaz2wsx": true, "qwertyui": true, "qwertyuiop": true, "qwerty123": true, "qwerty12": true, "asdfghjk": true, "asdfghjkl": true,
	"zxcvbnm1": true, "abcd1234": true, "abc12345": true, "iloveyou": true, "iloveyou1": true, "sunshine": true, "sunshine1": true,
	"princess": true, "princess1": true, "football": true, "football1": true, "baseball": true, "superman": true, "trustno1": true,
	"welcome1": true, "welcome123": true, "letmein1": true, "letmein123": true, "admin123": true, "admin1234": true, "administrator": true,
	"changeme": true, "changeme1": true, "changeme123": true, "computer": true, "internet": true, "whatever": true, "starwars": true,
	"michelle": true, "jennifer": true, "danielle": true, "dragon123": true, "monkey123": true, "master123": true, "shadow123": true,
	"a1b2c3d4": true, "aa123456": true, "aaaaaaaa": true, "q1w2e3r4": true, "secret123": true, "test1234": true, "testtest": true,
}
