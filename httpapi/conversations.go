package httpapi

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// maxTitleLength is the longest title of a conversation, in code points.
const maxTitleLength = 200

type conversationsInput struct {
	Paging
	Archived string `query:"archived" doc:"true or false; both by default"`
	Search   string `query:"search" maxLength:"200" doc:"a part of the title"`
	Folder   string `query:"folder_id" doc:"a folder, or none for conversations in no folder"`
	FolderID string `query:"folderId" doc:"the same as folder_id"`
}

// filter is what the query selects.
func (in conversationsInput) filter(flat bool) (voiceassist.ConversationFilter, error) {
	f := voiceassist.ConversationFilter{Search: in.Search}
	f.Offset, f.Limit = in.window(flat)
	if in.Archived != "" {
		archived, err := strconv.ParseBool(in.Archived)
		if err != nil {
			return f, queryError("archived", notABool)
		}
		f.Archived = &archived
	}
	switch folder := cmp.Or(in.Folder, in.FolderID); folder {
	case "":
	case "none", "null":
		f.FolderID = &uuid.Nil
	default:
		id, err := parseID(folder, "folder")
		if err != nil {
			return f, err
		}
		f.FolderID = &id
	}
	return f, nil
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

func (b conversationsBody) named() string { return "items" }

func (s *Server) listConversations(ctx context.Context, in *conversationsInput) (conversationsBody, error) {
	f, err := in.filter(requestOf(ctx).flat)
	if err != nil {
		return conversationsBody{}, err
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
		Items: rows, Total: total, Page: f.Offset/f.Limit + 1, PageSize: f.Limit, TotalPages: (total + f.Limit - 1) / f.Limit,
		Offset: f.Offset, Limit: f.Limit,
	}, nil
}

type createConversationInput struct {
	Body *struct {
		Title    string           `json:"title,omitempty"`
		FolderID optional[string] `json:"folder_id,omitzero"`
	}
}

func (s *Server) createConversation(ctx context.Context, in *createConversationInput) (twins[conversationBody], error) {
	var title string
	var folder *uuid.UUID
	if in.Body != nil {
		var err error
		if title, err = checkTitle(in.Body.Title); err != nil {
			return twins[conversationBody]{}, err
		}
		if folder, err = place(in.Body.FolderID); err != nil {
			return twins[conversationBody]{}, err
		}
	}
	if folder != nil && *folder == uuid.Nil {
		folder = nil
	}
	c, err := s.o.Chats.CreateConversation(ctx, principal(ctx).User.ID, title, folder)
	return both(conversationOf(c)), err
}

// place reads the id of a folder to put something into: nil if none is given,
// the zero id for null, "" and "root".
func place(folder optional[string]) (*uuid.UUID, error) {
	if !folder.given {
		return nil, nil //nolint:nilnil // documented: nothing is said of a place
	}
	if folder.value == "" || folder.value == rootFolder {
		return &uuid.Nil, nil
	}
	id, err := parseID(folder.value, "folder")
	return &id, err
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
		Title    *string          `json:"title,omitempty"`
		Archived *bool            `json:"archived,omitempty"`
		FolderID optional[string] `json:"folder_id,omitzero" doc:"null takes it out of its folder"`
	}
}

func (s *Server) updateConversation(ctx context.Context, in *updateConversationInput) (twins[conversationBody], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return twins[conversationBody]{}, err
	}
	change := voiceassist.ConversationChange{Archived: in.Body.Archived}
	if in.Body.Title != nil {
		title, err := checkTitle(*in.Body.Title)
		if err != nil {
			return twins[conversationBody]{}, err
		}
		change.Title = &title
	}
	if change.FolderID, err = place(in.Body.FolderID); err != nil {
		return twins[conversationBody]{}, err
	}
	c, err := s.o.Chats.UpdateConversation(ctx, principal(ctx).User.ID, id, change)
	return both(conversationOf(c)), err
}

func (s *Server) deleteConversation(ctx context.Context, in *conversationInput) (messageBody, error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Conversation deleted"}, s.o.Chats.DeleteConversation(ctx, principal(ctx).User.ID, id)
}

type deletedAllBody struct {
	DeletedCount int    `json:"deleted_count"`
	Message      string `json:"message"`
}

func (s *Server) deleteConversations(ctx context.Context, _ *none) (twins[deletedAllBody], error) {
	n, err := s.o.Chats.DeleteConversations(ctx, principal(ctx).User.ID)
	return both(deletedAllBody{DeletedCount: n, Message: "All conversations deleted"}), err
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
