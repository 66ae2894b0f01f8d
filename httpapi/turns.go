package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of what clients store with messages.
const (
	maxClientName = 200      // bytes of a client_message_id
	maxMetadata   = 16 << 10 // bytes of metadata, as JSON
)

type messagesInput struct {
	Paging
	ID            string `path:"id"`
	BranchID      string `query:"branch_id" doc:"main by default"`
	BranchIDCamel string `query:"branchId" doc:"the same as branch_id"`
}

// messagesBody is a page of a branch, oldest message first.
type messagesBody struct {
	Items    []twins[turnBody] `json:"items"`
	Messages []twins[turnBody] `json:"messages"`
	Total    int               `json:"total"`
	Page     int               `json:"page"`
	PageSize int               `json:"pageSize"`
	Offset   int               `json:"offset"`
	Limit    int               `json:"limit"`
}

func (s *Server) listMessages(ctx context.Context, in *messagesInput) (messagesBody, error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return messagesBody{}, err
	}
	return s.branchPage(ctx, id, cmp.Or(in.BranchID, in.BranchIDCamel, voiceassist.MainBranch), in.Paging)
}

// branchPage is a page of what a branch sees.
func (s *Server) branchPage(ctx context.Context, id uuid.UUID, branch string, p Paging) (messagesBody, error) {
	offset, limit := p.window(requestOf(ctx).flat)
	list, total, err := s.o.Chats.Messages(ctx, principal(ctx).User.ID, id, branch, offset, limit)
	if err != nil {
		return messagesBody{}, err
	}
	rows := turnsOf(list)
	return messagesBody{
		Items: rows, Messages: rows, Total: total, Page: offset/limit + 1, PageSize: limit, Offset: offset, Limit: limit,
	}, nil
}

type addMessageInput struct {
	ID   string `path:"id"`
	Body struct {
		Content         string                  `json:"content"`
		Role            voiceassist.MessageRole `json:"role,omitempty" enum:"user,assistant,system" default:"user"`
		BranchID        *string                 `json:"branch_id,omitempty" nullable:"true" doc:"main by default"`
		ParentMessageID *string                 `json:"parent_message_id,omitempty" nullable:"true" doc:"the branch's last message by default"`
		ClientMessageID *string                 `json:"client_message_id,omitempty" nullable:"true" doc:"the same again stores nothing again"`
		Metadata        map[string]any          `json:"metadata,omitempty" nullable:"true" doc:"at most 16 KiB of JSON"`
	}
}

// addMessage stores a message: 201, or 200 when its client had stored it.
func (s *Server) addMessage(ctx context.Context, in *addMessageInput) (twins[turnBody], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return twins[turnBody]{}, err
	}
	n := voiceassist.NewMessage{
		UserID: principal(ctx).User.ID, ConversationID: id, BranchID: or(in.Body.BranchID, ""),
		ClientMessageID: or(in.Body.ClientMessageID, ""), Role: in.Body.Role, Content: in.Body.Content, Metadata: in.Body.Metadata,
	}
	if n.ParentID, err = parseOptionalID(in.Body.ParentMessageID, "parent message"); err != nil {
		return twins[turnBody]{}, err
	}
	if err := checkNewMessage(n); err != nil {
		return twins[turnBody]{}, err
	}
	m, err := s.o.Chats.AddMessage(ctx, n)
	if m.Duplicate {
		requestOf(ctx).status = http.StatusOK
	}
	return both(turnOf(m)), err
}

func checkNewMessage(n voiceassist.NewMessage) error {
	limit := voiceassist.MaxMessageLength
	if n.Role == voiceassist.SpeakerUser {
		limit = voiceassist.MaxQuestionLength
	}
	if err := checkContent("content", n.Content, limit); err != nil {
		return err
	}
	if len(n.ClientMessageID) > maxClientName {
		return voiceassist.FieldError("client_message_id", "client_message_id must be at most %d bytes long", maxClientName)
	}
	if encoded, err := json.Marshal(n.Metadata); err != nil || len(encoded) > maxMetadata {
		return voiceassist.FieldError("metadata", "metadata must be at most %d bytes of JSON", maxMetadata)
	}
	return nil
}

// checkContent checks the text of a message.
func checkContent(field, text string, limit int) error {
	switch {
	case !validText(text):
		return voiceassist.FieldError(field, "%s is not valid text", field)
	case strings.TrimSpace(text) == "":
		return voiceassist.FieldError(field, "%s must not be empty", field)
	case utf8.RuneCountInString(text) > limit:
		return voiceassist.FieldError(field, "%s must be at most %d characters long", field, limit)
	}
	return nil
}

type turnInput struct {
	ID        string `path:"id"`
	MessageID string `path:"mid"`
}

// parseMessage reads the ids of a conversation and of a message.
func parseMessage(conversationID, messageID string) (conversation, message uuid.UUID, err error) {
	if conversation, err = parseID(conversationID, "conversation"); err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	message, err = parseID(messageID, "message")
	return conversation, message, err
}

type updateMessageInput struct {
	ID        string `path:"id"`
	MessageID string `path:"mid"`
	Body      struct {
		Content string `json:"content"`
	}
}

func (s *Server) updateMessage(ctx context.Context, in *updateMessageInput) (twins[turnBody], error) {
	conversation, message, err := parseMessage(in.ID, in.MessageID)
	if err != nil {
		return twins[turnBody]{}, err
	}
	if err := checkContent("content", in.Body.Content, voiceassist.MaxQuestionLength); err != nil {
		return twins[turnBody]{}, err
	}
	m, err := s.o.Chats.UpdateMessage(ctx, principal(ctx).User.ID, conversation, message, in.Body.Content)
	return both(turnOf(m)), err
}

func (s *Server) deleteMessage(ctx context.Context, in *turnInput) (messageBody, error) {
	conversation, message, err := parseMessage(in.ID, in.MessageID)
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Message deleted"}, s.o.Chats.DeleteMessage(ctx, principal(ctx).User.ID, conversation, message)
}
