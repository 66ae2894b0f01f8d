package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// MaxReasonLength is the longest reason for an administrator's action, in code
// points.
const MaxReasonLength = 500

// UserChange is what somebody wants to change of a user; nil fields stay.
type UserChange struct {
	Email     *string
	FullName  *string
	FirstName *string
	LastName  *string
	Specialty *string
	Role      *Role
	Admin     *bool // true makes an admin of anybody, false a user of an admin; overruled by Role
	Active    *bool
	Reason    string // for the audit log, which keeps it: nothing personal
}

// Apply returns u as c wants it, or an Invalid error. One kind of name follows
// from the other if only one is given.
func (c UserChange) Apply(u User) (User, error) {
	if c.Email != nil {
		email, err := NormalizeEmail(*c.Email)
		if err != nil {
			return User{}, err
		}
		u.Email = email
	}
	u.Role = c.role(u.Role)
	set(&u.IsActive, c.Active)
	if c.FullName == nil && c.FirstName == nil && c.LastName == nil && c.Specialty == nil {
		return u, nil
	}
	parts := c.FirstName != nil || c.LastName != nil
	if c.FullName != nil && !parts {
		u.FirstName, u.LastName = "", ""
	}
	if c.FullName == nil && parts {
		u.FullName = ""
	}
	set(&u.FullName, c.FullName)
	set(&u.FirstName, c.FirstName)
	set(&u.LastName, c.LastName)
	set(&u.Specialty, c.Specialty)
	return u.Named()
}

func (c UserChange) role(now Role) Role {
	switch {
	case c.Role != nil:
		return *c.Role
	case c.Admin != nil && *c.Admin:
		return RoleAdmin
	case c.Admin != nil && now == RoleAdmin:
		return RoleUser
	}
	return now
}

// MayRemoveAdmin reports whether c could make somebody cease to be an active
// admin.
func (c UserChange) MayRemoveAdmin() bool {
	return c.role(RoleAdmin) != RoleAdmin || c.Active != nil && !*c.Active
}

func set[T any](v *T, to *T) {
	if to != nil {
		*v = *to
	}
}

// UserFilter selects users; zero fields select everything.
type UserFilter struct {
	Search string // a part of the address or the full name, any case
	Active *bool
	Admin  *bool
	Role   Role
	Offset int
	Limit  int
}

// UserUsage is a user with the figures that administrators see.
type UserUsage struct {
	User
	Conversations int
	Messages      int
	Documents     int        // uploaded and not deleted
	Sessions      int        // that stand
	LastActiveAt  *time.Time // signed in, refreshed a token, or used a conversation
	EraseAt       *time.Time // deleted: when the personal data goes
}

// UserEvent is an entry of the audit log about a user.
type UserEvent struct {
	ID      uuid.UUID
	At      time.Time
	Action  string
	Actor   string // the address of who did it, their id if the address is not known any more, or "system"
	From    Role   // of a change of role
	To      Role
	Reason  string
	TraceID string
}

// What the audit log says of a user's role and of whether they may sign in.
const (
	ActionUserUpdated     = "user.updated"
	ActionRoleChanged     = "user.role_changed"
	ActionUserActivated   = "user.activated"
	ActionUserDeactivated = "user.deactivated"
	ActionUserDeleted     = "user.deleted"
	ActionUserErased      = "user.erased"
	ActionAccountLocked   = "account.locked"
	ActionAccountUnlocked = "account.unlocked"
)
