package httpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Shares is what this package asks of postgres.DB about links to
// conversations. What belongs to somebody else is NotFound.
type Shares interface {
	// CreateShare stores a link under the digest of its token. It is Conflict
	// when the conversation has as many as it may.
	CreateShare(ctx context.Context, userID uuid.UUID, s voiceassist.Share, digest [32]byte, life time.Duration) (voiceassist.Share, error)
	// Shares returns the links that work, the newest first.
	Shares(ctx context.Context, userID, conversationID uuid.UUID) ([]voiceassist.Share, error)
	// RevokeShare ends a link that is named by its id or by its token's digest.
	RevokeShare(ctx context.Context, userID, conversationID, id uuid.UUID, digest [32]byte) error
	// OpenShare returns a link and where it leads. It is NotFound when there is
	// none, and Gone when it has ended.
	OpenShare(ctx context.Context, digest [32]byte) (voiceassist.Share, voiceassist.Conversation, error)
	// Audit notes what happens outside of any change.
	Audit(ctx context.Context, e voiceassist.AuditEntry) error
}

// Secrets is what this package asks of accounts.Service to keep passwords that
// are not of accounts.
type Secrets interface {
	// HashSecret is Unavailable when too many wait for their turn; so is
	// VerifySecret.
	HashSecret(ctx context.Context, secret string) (string, error)
	VerifySecret(ctx context.Context, secret, hash string) (bool, error)
}

// Bounds of links.
const (
	defaultShareHours = 7 * 24
	maxShareHours     = 366 * 24
	minSharePassword  = 6 // code points
	maxShared         = 500
)

// How often somebody may try passwords on one link: from one address, and from
// all together.
var (
	rateShareAddress = voiceassist.Rate{N: 10, Per: time.Minute}
	rateShare        = voiceassist.Rate{N: 100, Per: time.Hour}
)

// shareBody is a link as its owner sees it. Its token, and so its URL, is told
// only once; afterwards it goes by its id.
type shareBody struct {
	ID                string  `json:"id" doc:"ends the link, and does not open it"`
	ShareID           string  `json:"share_id" doc:"when the link is made its token, which opens it at /api/shared/{token}; afterwards its id"`
	ShareURL          *string `json:"share_url" doc:"a path of the web app, and of this API; only told when the link is made"`
	SessionID         string  `json:"session_id"`
	CreatedAt         string  `json:"created_at" format:"date-time"`
	ExpiresAt         string  `json:"expires_at" format:"date-time"`
	PasswordProtected bool    `json:"password_protected"`
	AllowAnonymous    bool    `json:"allow_anonymous"`
}

func shareOf(s voiceassist.Share) shareBody {
	return shareBody{
		ID: s.ID.String(), ShareID: s.ID.String(), SessionID: s.ConversationID.String(), CreatedAt: stamp(s.CreatedAt), ExpiresAt: stamp(s.ExpiresAt),
		PasswordProtected: s.PasswordHash != "", AllowAnonymous: s.AllowAnonymous,
	}
}

type createShareInput struct {
	ID   string `path:"id"`
	Body *struct {
		ExpiresInHours *int    `json:"expires_in_hours,omitempty" nullable:"true" minimum:"1" maximum:"8784" doc:"168 by default"`
		Password       *string `json:"password,omitempty" nullable:"true" doc:"at least 6 characters; none by default"`
		AllowAnonymous *bool   `json:"allow_anonymous,omitempty" nullable:"true" doc:"true by default; false asks readers to sign in"`
	}
}

func (s *Server) createShare(ctx context.Context, in *createShareInput) (twins[shareBody], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return twins[shareBody]{}, err
	}
	share := voiceassist.Share{ConversationID: id, AllowAnonymous: true}
	hours := defaultShareHours
	if in.Body != nil {
		if in.Body.ExpiresInHours != nil {
			hours = *in.Body.ExpiresInHours
		}
		if in.Body.AllowAnonymous != nil {
			share.AllowAnonymous = *in.Body.AllowAnonymous
		}
		if share.PasswordHash, err = s.hashSharePassword(ctx, or(in.Body.Password, "")); err != nil {
			return twins[shareBody]{}, err
		}
	}
	token := newShareToken()
	share, err = s.o.Shares.CreateShare(ctx, principal(ctx).User.ID, share, sha256.Sum256([]byte(token)), time.Duration(hours)*time.Hour)
	if err != nil {
		return twins[shareBody]{}, err
	}
	body := shareOf(share)
	body.ShareID, body.ShareURL = token, new("/shared/"+token)
	return both(body), nil
}

// newShareToken returns 256 random bits for a URL.
func newShareToken() string {
	var random [32]byte
	rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// hashSharePassword returns "" for no password.
func (s *Server) hashSharePassword(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	if n := utf8.RuneCountInString(password); n < minSharePassword || n > voiceassist.MaxPasswordLength {
		return "", voiceassist.FieldError("password", "password must be %d to %d characters long", minSharePassword, voiceassist.MaxPasswordLength)
	}
	return s.o.Secrets.HashSecret(ctx, password)
}

type sharesInput struct {
	ID string `path:"id"`
	Paging
}

func (s *Server) listShares(ctx context.Context, in *sharesInput) (array[twins[shareBody]], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return array[twins[shareBody]]{}, err
	}
	shares, err := s.o.Shares.Shares(ctx, principal(ctx).User.ID, id)
	if err != nil {
		return array[twins[shareBody]]{}, err
	}
	rows := make([]twins[shareBody], len(shares))
	for i, share := range shares {
		rows[i] = both(shareOf(share))
	}
	return pageOf(rows, in.Paging, requestOf(ctx).flat), nil
}

type revokeShareInput struct {
	ID    string `path:"id"`
	Token string `path:"token" doc:"the link's id, or its token"`
}

func (s *Server) revokeShare(ctx context.Context, in *revokeShareInput) (messageBody, error) {
	conversation, err := parseID(in.ID, "conversation")
	if err != nil {
		return messageBody{}, err
	}
	id, _ := uuid.Parse(in.Token) // else it is a token
	err = s.o.Shares.RevokeShare(ctx, principal(ctx).User.ID, conversation, id, sha256.Sum256([]byte(in.Token)))
	return messageBody{Message: "The link no longer works"}, err
}

type sharedInput struct {
	Token    string `path:"token"`
	Password string `query:"password" doc:"of a link that has one"`
	Header   string `header:"X-Share-Password" doc:"the same, out of sight of logs and histories"`
	Offset   int    `query:"offset" minimum:"0" maximum:"1000000000"`
	Limit    int    `query:"limit" minimum:"1" doc:"500 by default, and at most"`
}

// sharedBody is a conversation for readers who need not be its owner.
type sharedBody struct {
	Title     string              `json:"title"`
	CreatedAt string              `json:"created_at" format:"date-time"`
	UpdatedAt string              `json:"updated_at" format:"date-time"`
	ExpiresAt string              `json:"expires_at" format:"date-time"`
	Messages  []twins[sharedTurn] `json:"messages"`
	Total     int                 `json:"total"`
	Offset    int                 `json:"offset"`
	Limit     int                 `json:"limit"`
}

// sharedTurn is a message without what it says of its author.
type sharedTurn struct {
	ID        string                    `json:"id"`
	Role      voiceassist.MessageRole   `json:"role" enum:"user,assistant,system"`
	Content   string                    `json:"content"`
	Citations []twins[citationBody]     `json:"citations"`
	Attached  []string                  `json:"attachments" doc:"the names of files, which the link does not open"`
	Status    voiceassist.MessageStatus `json:"status" enum:"streaming,complete,cancelled,failed"`
	Model     string                    `json:"model"`
	CreatedAt string                    `json:"created_at" format:"date-time"`
	Timestamp int64                     `json:"timestamp"`
}

// openShare shows the main branch of a shared conversation as it is now.
func (s *Server) openShare(ctx context.Context, in *sharedInput) (twins[sharedBody], error) {
	digest := sha256.Sum256([]byte(in.Token))
	share, c, err := s.o.Shares.OpenShare(ctx, digest)
	if err != nil {
		return twins[sharedBody]{}, err
	}
	if err := s.mayOpen(ctx, share, digest, cmp.Or(in.Header, in.Password)); err != nil {
		return twins[sharedBody]{}, err
	}
	limit := min(cmp.Or(in.Limit, maxShared), maxShared)
	messages, total, err := s.o.Chats.Messages(ctx, c.UserID, c.ID, voiceassist.MainBranch, in.Offset, limit)
	if err != nil {
		return twins[sharedBody]{}, err
	}
	if err := s.o.Shares.Audit(ctx, shareOpened(share)); err != nil {
		return twins[sharedBody]{}, err
	}
	rows := make([]twins[sharedTurn], len(messages))
	for i, m := range messages {
		rows[i] = both(sharedTurn{
			ID: m.ID.String(), Role: m.Role, Content: m.Content, Citations: citationsOf(m.Citations), Attached: attachedTo(m), Status: m.Status, Model: m.Model,
			CreatedAt: stamp(m.CreatedAt), Timestamp: m.CreatedAt.UnixMilli(),
		})
	}
	return both(sharedBody{
		Title: c.Title, CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt), ExpiresAt: stamp(share.ExpiresAt),
		Messages: rows, Total: total, Offset: in.Offset, Limit: limit,
	}), nil
}

// attachedTo are the names of the files that a message has.
func attachedTo(m voiceassist.Message) []string {
	names := make([]string, len(m.Attachments))
	for i, a := range m.Attachments {
		names[i] = a.File.Filename
	}
	return names
}

// mayOpen is Unauthorized unless the link is for whoever asks and the password
// is right.
func (s *Server) mayOpen(ctx context.Context, share voiceassist.Share, digest [32]byte, password string) error {
	if !share.AllowAnonymous && principal(ctx).User.ID == uuid.Nil {
		return voiceassist.Errorf(voiceassist.Unauthorized, "Sign in to read this conversation")
	}
	if share.PasswordHash == "" {
		return nil
	}
	if password == "" {
		return voiceassist.Errorf(voiceassist.Unauthorized, "This conversation is protected by a password")
	}
	if err := s.countPassword(ctx, digest); err != nil {
		return err
	}
	ok, err := s.o.Secrets.VerifySecret(ctx, password, share.PasswordHash)
	if err != nil || ok {
		return err
	}
	refused := shareOpened(share)
	refused.Failed, refused.Level = true, voiceassist.AuditWarning
	if err := s.o.Shares.Audit(ctx, refused); err != nil {
		return err
	}
	return voiceassist.Errorf(voiceassist.Unauthorized, "The password is wrong")
}

func shareOpened(share voiceassist.Share) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{
		Action: "share.opened", ResourceType: "share", ResourceID: share.ID.String(),
		Details: map[string]any{"conversation_id": share.ConversationID.String()},
	}
}

// countPassword is RateLimited when too many passwords were tried on a link.
func (s *Server) countPassword(ctx context.Context, digest [32]byte) error {
	if s.o.Limits == nil {
		return nil
	}
	link := "share:" + hex.EncodeToString(digest[:16])
	for key, rate := range map[string]voiceassist.Rate{link: rateShare, link + ":" + clientKey(requestOf(ctx).ip): rateShareAddress} {
		if d := s.o.Limits.Allow(ctx, key, rate); !d.Allowed {
			requestOf(ctx).limit = &d
			return &voiceassist.Error{
				Code: voiceassist.RateLimited, Message: "Too many passwords were tried, try again later", RetryAfter: d.RetryAfter,
			}
		}
	}
	return nil
}
