package httpapi

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Users is what this package asks of the ledger about accounts as
// administrators see them. NotFound is a possible end of whatever takes an id.
type Users interface {
	// Users returns a page of users, the newest first, and how many the filter
	// lets through.
	Users(ctx context.Context, f voiceassist.UserFilter) ([]voiceassist.UserUsage, int, error)
	User(ctx context.Context, id uuid.UUID) (voiceassist.UserUsage, error)
	// ChangeUser applies c. Besides success its ends are Invalid, and Conflict
	// when the address is taken or no active admin would be left.
	ChangeUser(ctx context.Context, id uuid.UUID, c voiceassist.UserChange) (voiceassist.User, error)
	// DeleteUser shuts a user out at once, has them erased after grace and
	// returns when that will be. It is Conflict for the last active admin.
	DeleteUser(ctx context.Context, id uuid.UUID, grace time.Duration, reason string) (eraseAt time.Time, err error)
	// EraseUser removes a deleted user whose grace is over, and what is theirs.
	EraseUser(ctx context.Context, id uuid.UUID) error
	// UserEvents returns a page of what the audit log has of these actions on a
	// user, newest first, and how many there are.
	UserEvents(ctx context.Context, id uuid.UUID, actions []string, offset, limit int) ([]voiceassist.UserEvent, int, error)
}

// ProfileBody is what somebody may change of themselves; what is missing stays.
type ProfileBody struct {
	FullName  *string `json:"full_name,omitempty" doc:"first_name and last_name follow from it if they are missing"`
	Name      *string `json:"name,omitempty" doc:"full_name in other words" example:"Ada Lovelace"`
	FirstName *string `json:"first_name,omitempty"`
	LastName  *string `json:"last_name,omitempty"`
	Email     *string `json:"email,omitempty"`
	Specialty *string `json:"specialty,omitempty"`
}

func (b ProfileBody) change() voiceassist.UserChange {
	return voiceassist.UserChange{
		FullName: cmp.Or(b.FullName, b.Name), FirstName: b.FirstName, LastName: b.LastName, Email: b.Email, Specialty: b.Specialty,
	}
}

// StandingBody is what an administrator may change of somebody besides.
type StandingBody struct {
	IsActive  *bool             `json:"is_active,omitempty"`
	IsAdmin   *bool             `json:"is_admin,omitempty" doc:"false makes a user of an admin and leaves a viewer what they are"`
	AdminRole *voiceassist.Role `json:"admin_role,omitempty" enum:"user,viewer,admin"`
	Role      *voiceassist.Role `json:"role,omitempty" enum:"user,viewer,admin" doc:"admin_role in other words"`
	Reason    string            `json:"reason,omitempty" maxLength:"500" doc:"for the audit log, which never forgets it: nothing personal"`
}

// addTo adds what b says to a change. It is Invalid if b contradicts itself.
func (b StandingBody) addTo(c *voiceassist.UserChange) error {
	c.Active, c.Admin, c.Role, c.Reason = b.IsActive, b.IsAdmin, cmp.Or(b.AdminRole, b.Role), b.Reason
	if b.AdminRole != nil && b.Role != nil && *b.AdminRole != *b.Role {
		return voiceassist.FieldError("role", "role and admin_role contradict one another")
	}
	if c.Role != nil && c.Admin != nil && *c.Admin != (*c.Role == voiceassist.RoleAdmin) {
		return voiceassist.FieldError("is_admin", "is_admin and the role contradict one another")
	}
	return nil
}

type updateMeInput struct{ Body ProfileBody }

func (s *Server) updateMe(ctx context.Context, in *updateMeInput) (twins[UserBody], error) {
	u, err := s.changeUser(ctx, principal(ctx).User.ID, in.Body.change())
	return both(userOf(u)), err
}

// deletedUserBody says what becomes of a deleted user.
type deletedUserBody struct {
	ID        string         `json:"id"`
	Status    string         `json:"status" enum:"deleted,erased"`
	EraseAt   string         `json:"erase_at" format:"date-time" doc:"when the personal data goes"`
	Message   string         `json:"message"`
	RateLimit *rateLimitBody `json:"rate_limit,omitempty" doc:"of the administrator's actions"`
}

func (s *Server) deleteMe(ctx context.Context, _ *none) (twins[deletedUserBody], error) {
	body, err := s.remove(ctx, principal(ctx).User.ID, "")
	if err != nil {
		return twins[deletedUserBody]{}, err
	}
	requestOf(ctx).signedOut = true
	return both(body), nil
}

// remove deletes a user, to be erased when the grace is over.
func (s *Server) remove(ctx context.Context, id uuid.UUID, reason string) (deletedUserBody, error) {
	at, err := s.o.Users.DeleteUser(ctx, id, s.o.EraseAfter, reason)
	if err == nil {
		s.adminEvent(ctx, voiceassist.ActionUserDeleted, id.String())
	}
	return deletedUserBody{ID: id.String(), Status: "deleted", EraseAt: stamp(at), Message: "User deleted"}, err
}

type userInput struct {
	ID string `path:"id"`
}

// getUser shows users to administrators, and everybody themselves.
func (s *Server) getUser(ctx context.Context, in *userInput) (twins[UserBody], error) {
	id, err := oneselfOrAny(ctx, in.ID)
	if err != nil {
		return twins[UserBody]{}, err
	}
	u, err := s.o.Users.User(ctx, id)
	return both(userOf(u.User)), err
}

// oneselfOrAny reads the id of a user whom the caller may see: an admin
// anybody, others themselves. Others are Forbidden whether or not they exist.
func oneselfOrAny(ctx context.Context, raw string) (uuid.UUID, error) {
	who := principal(ctx).User
	id, err := parseID(raw, "user")
	if !who.IsAdmin() && (err != nil || id != who.ID) {
		return uuid.Nil, voiceassist.Errorf(voiceassist.Forbidden, "Insufficient permissions")
	}
	return id, err
}

type patchUserInput struct {
	ID   string `path:"id"`
	Body struct {
		ProfileBody
		StandingBody
	}
}

// patchUser changes users for administrators, and everybody themselves.
func (s *Server) patchUser(ctx context.Context, in *patchUserInput) (twins[changedUserBody], error) {
	if _, err := oneselfOrAny(ctx, in.ID); err != nil {
		return twins[changedUserBody]{}, err
	}
	c := in.Body.change()
	if err := in.Body.addTo(&c); err != nil {
		return twins[changedUserBody]{}, err
	}
	return s.act(ctx, in.ID, c)
}

// The four changes that have a route of their own.
var (
	activation   = voiceassist.UserChange{Active: new(true)}
	deactivation = voiceassist.UserChange{Active: new(false)}
	promotion    = voiceassist.UserChange{Admin: new(true)}
	revocation   = voiceassist.UserChange{Admin: new(false)}
)

type standingInput struct {
	ID   string `path:"id"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

// changeTo returns the handler that makes one change to somebody else.
func (s *Server) changeTo(c voiceassist.UserChange) handler[standingInput, twins[changedUserBody]] {
	return func(ctx context.Context, in *standingInput) (twins[changedUserBody], error) {
		id, err := parseID(in.ID, "user")
		if err != nil {
			return twins[changedUserBody]{}, err
		}
		if id == principal(ctx).User.ID {
			return twins[changedUserBody]{}, errOneself
		}
		change := c
		if in.Body != nil {
			change.Reason = in.Body.Reason
		}
		return s.act(ctx, in.ID, change)
	}
}

// errOneself is a 400: the request is as wrong as one that cannot be read.
var errOneself = voiceassist.Errorf(voiceassist.Malformed, "You cannot do this to your own account")

// mayChange refuses to let somebody change their own role or standing, and to
// let an API key change its owner. Changes that change nothing pass, since
// clients send whole users back.
func mayChange(p voiceassist.Principal, id uuid.UUID, c voiceassist.UserChange) error {
	who := p.User
	if id != who.ID {
		return nil
	}
	if p.APIKeyID != uuid.Nil {
		return errSessionOnly
	}
	next, err := c.Apply(who)
	if err != nil || next.Role == who.Role && next.IsActive == who.IsActive {
		return err
	}
	if !who.IsAdmin() {
		return voiceassist.Errorf(voiceassist.Forbidden, "Insufficient permissions")
	}
	return errOneself
}

type usersInput struct {
	Paging
	Search   string           `query:"search" maxLength:"200" doc:"a part of the address or the name"`
	IsActive string           `query:"is_active" doc:"true or false; both by default"`
	IsAdmin  string           `query:"is_admin" doc:"true or false; both by default"`
	Role     voiceassist.Role `query:"role" enum:"user,viewer,admin" doc:"those of this role"`
}

func (in usersInput) filter(flat bool) (voiceassist.UserFilter, error) {
	f := voiceassist.UserFilter{Search: in.Search, Role: in.Role}
	f.Offset, f.Limit = in.window(flat)
	var err error
	if f.Active, err = queryBool("is_active", in.IsActive); err != nil {
		return f, err
	}
	f.Admin, err = queryBool("is_admin", in.IsAdmin)
	return f, err
}

// queryBool reads a query parameter that may be missing.
func queryBool(name, value string) (*bool, error) {
	if value == "" {
		return nil, nil
	}
	v, err := strconv.ParseBool(value)
	if err != nil {
		return nil, queryError(name, notABool)
	}
	return &v, nil
}

// usersBody is a page of users; the v1 guide prints an array of them.
type usersBody struct{ UsersPage }

func (b usersBody) bare() (any, int) { return b.Users, b.Total }

func (s *Server) listUsers(ctx context.Context, in *usersInput) (usersBody, error) {
	page, err := s.panelUsers(ctx, in)
	return usersBody{page}, err
}
