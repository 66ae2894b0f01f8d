package httpapi

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	voiceassist "github.com/voiceassist/backend"
)

// maxTitleLength is the longest title of a conversation, in code points.
const maxTitleLength = 200

type conversationsInput struct {
	Paging
	Archived string `query:"archived" doc:"true or false; both by default"`
	Search   string `query:"search" maxLength:"200" doc:"a part of the title"`
}

// conversationsBody is a page of conversations.
type conversationsBody struct {
	Items      []twins[conversationBody] `json:"items"`
	Total      int                       `json:"total"`
	Page       int                       `json:"page"`
	PageSize   int                       `json:"pageSize"`
	TotalPages int                       `json:"totalPages"`
	Offset     int                       `json:"offset"`
	Limit      int                       `json:"limit"`
}

func (b conversationsBody) named() string    { return "items" }
func (b conversationsBody) bare() (any, int) { return b.Items, b.Total }

func (s *Server) listConversations(ctx context.Context, in *conversationsInput) (conversationsBody, error) {
	offset, limit := in.window(requestOf(ctx).flat)
	f := voiceassist.ConversationFilter{Search: in.Search, Offset: offset, Limit: limit}
	if in.Archived != "" {
		archived, err := strconv.ParseBool(in.Archived)
		if err != nil {
			return conversationsBody{}, queryError("archived", notABool)
		}
		f.Archived = &archived
	}
	list, total, err := s.o.Chats.Conversations(ctx, principal(ctx).User.ID, f)
	if err != nil {
		return conversationsBody{}, err
	}
	rows := make([]twins[conversationBody], len(list))
	for i, c := range list {
		rows[i] = both(conversationOf(c))
	}
	return conversationsBody{
		Items: rows, Total: total, Page: offset/limit + 1, PageSize: limit, TotalPages: (total + limit - 1) / limit,
		Offset: offset, Limit: limit,
	}, nil
}

type createConversationInput struct {
	Body *struct {
		Title string `json:"title,omitempty"`
	}
}

func (s *Server) createConversation(ctx context.Context, in *createConversationInput) (twins[conversationBody], error) {
	title := ""
	if in.Body != nil {
		title = in.Body.Title
	}
	title, err := checkTitle(title)
	if err != nil {
		return twins[conversationBody]{}, err
	}
	c, err := s.o.Chats.CreateConversation(ctx, principal(ctx).User.ID, title)
	return both(conversationOf(c)), err
}

func checkTitle(title string) (string, error) {
	title = strings.TrimSpace(title)
	if utf8.RuneCountInString(title) > maxTitleLength {
		return "", voiceassist.FieldError("title", "title must be at most %d characters long", maxTitleLength)
	}
	if strings.ContainsRune(title, 0) {
		return "", voiceassist.FieldError("title", "title is not valid text")
	}
	return title, nil
}

type conversationInput struct {
	ID string `path:"id"`
}

func (s *Server) getConversation(ctx context.Context, in *conversationInput) (twins[conversationBody], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return twins[conversationBody]{}, err
	}
	c, err := s.o.Chats.Conversation(ctx, principal(ctx).User.ID, id)
	return both(conversationOf(c)), err
}

type updateConversationInput struct {
	ID   string `path:"id"`
	Body struct {
		Title    *string `json:"title,omitempty"`
		Archived *bool   `json:"archived,omitempty"`
	}
}

func (s *Server) updateConversation(ctx context.Context, in *updateConversationInput) (twins[conversationBody], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return twins[conversationBody]{}, err
	}
	if in.Body.Title != nil {
		title, err := checkTitle(*in.Body.Title)
		if err != nil {
			return twins[conversationBody]{}, err
		}
		in.Body.Title = &title
	}
	c, err := s.o.Chats.UpdateConversation(ctx, principal(ctx).User.ID, id, in.Body.Title, in.Body.Archived)
	return both(conversationOf(c)), err
}

func (s *Server) deleteConversation(ctx context.Context, in *conversationInput) (messageBody, error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Conversation deleted"}, s.o.Chats.DeleteConversation(ctx, principal(ctx).User.ID, id)
}

type messagesInput struct {
	Paging
	ID            string `path:"id"`
	BranchID      string `query:"branch_id" doc:"main by default"`
	BranchIDCamel string `query:"branchId"`
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

func (b messagesBody) bare() (any, int) { return b.Items, b.Total }

func (s *Server) listMessages(ctx context.Context, in *messagesInput) (messagesBody, error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return messagesBody{}, err
	}
	branch := cmp.Or(in.BranchID, in.BranchIDCamel, voiceassist.MainBranch)
	offset, limit := in.window(requestOf(ctx).flat)
	list, total, err := s.o.Chats.Messages(ctx, principal(ctx).User.ID, id, branch, offset, limit)
	if err != nil {
		return messagesBody{}, err
	}
	rows := turnsOf(list)
	return messagesBody{
		Items: rows, Messages: rows, Total: total, Page: offset/limit + 1, PageSize: limit, Offset: offset, Limit: limit,
	}, nil
}

// provedBody is a citation with the passage it quotes.
type provedBody struct {
	citationBody
	MessageID string       `json:"message_id"`
	Passage   *passageBody `json:"passage" doc:"null when the library no longer holds it"`
}

func (s *Server) getCitation(ctx context.Context, in *conversationInput) (twins[provedBody], error) {
	id, err := parseID(in.ID, "citation")
	if err != nil {
		return twins[provedBody]{}, err
	}
	c, passage, err := s.o.Chats.Citation(ctx, principal(ctx).User.ID, id)
	if err != nil {
		return twins[provedBody]{}, err
	}
	body := provedBody{citationBody: citationOf(c), MessageID: c.MessageID.String()}
	if passage != nil {
		body.Passage = new(passageOf(*passage))
	}
	return both(body), nil
}
