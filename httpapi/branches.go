package httpapi

import (
	"context"

	voiceassist "github.com/voiceassist/backend"
)

// branchBody is a branch as clients see it.
type branchBody struct {
	BranchID        string  `json:"branch_id"`
	SessionID       string  `json:"session_id"`
	ParentMessageID *string `json:"parent_message_id" doc:"the last message that it shares with the branch it was forked from"`
	MessageCount    int     `json:"message_count" doc:"of the messages that it sees"`
	CreatedAt       string  `json:"created_at" format:"date-time"`
	LastActivity    string  `json:"last_activity" format:"date-time"`
}

func branchOf(b voiceassist.Branch) branchBody {
	return branchBody{
		BranchID:        b.ID,
		SessionID:       b.ConversationID.String(),
		ParentMessageID: idOrNil(b.ParentMessageID),
		MessageCount:    b.MessageCount,
		CreatedAt:       stamp(b.CreatedAt),
		LastActivity:    stamp(b.LastActivity),
	}
}

type branchesInput struct {
	ID string `path:"id"`
	Paging
}

func (s *Server) listBranches(ctx context.Context, in *branchesInput) (array[twins[branchBody]], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return array[twins[branchBody]]{}, err
	}
	branches, err := s.o.Chats.Branches(ctx, principal(ctx).User.ID, id)
	if err != nil {
		return array[twins[branchBody]]{}, err
	}
	rows := make([]twins[branchBody], len(branches))
	for i, b := range branches {
		rows[i] = both(branchOf(b))
	}
	return pageOf(rows, in.Paging, requestOf(ctx).flat), nil
}

// pageOf returns a page of rows of which all are at hand.
func pageOf[T any](rows []T, p Paging, flat bool) array[T] {
	offset, limit := p.window(flat)
	total := len(rows)
	from := min(offset, total)
	return array[T]{rows: rows[from:min(from+limit, total)], total: total, offset: offset, limit: limit}
}

type createBranchInput struct {
	ID   string `path:"id"`
	Body struct {
		ParentMessageID string  `json:"parent_message_id" minLength:"1"`
		InitialMessage  *string `json:"initial_message,omitempty" nullable:"true" doc:"stored as the user's first message of the branch"`
	}
}

func (s *Server) createBranch(ctx context.Context, in *createBranchInput) (twins[branchBody], error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return twins[branchBody]{}, err
	}
	parent, err := parseID(in.Body.ParentMessageID, "message")
	if err != nil {
		return twins[branchBody]{}, err
	}
	first := or(in.Body.InitialMessage, "")
	if first != "" {
		if err := checkContent("initial_message", first, voiceassist.MaxQuestionLength); err != nil {
			return twins[branchBody]{}, err
		}
	}
	b, err := s.o.Chats.CreateBranch(ctx, voiceassist.NewBranch{
		UserID: principal(ctx).User.ID, ConversationID: id, ParentMessageID: parent, InitialMessage: first,
	})
	return both(branchOf(b)), err
}

type branchMessagesInput struct {
	ID       string `path:"id"`
	BranchID string `path:"bid"`
	Paging
}

func (s *Server) listBranchMessages(ctx context.Context, in *branchMessagesInput) (messagesBody, error) {
	id, err := parseID(in.ID, "conversation")
	if err != nil {
		return messagesBody{}, err
	}
	if !validText(in.BranchID) {
		return messagesBody{}, voiceassist.Errorf(voiceassist.NotFound, "branch not found")
	}
	return s.branchPage(ctx, id, in.BranchID, in.Paging)
}
