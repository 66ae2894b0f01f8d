package httpapi

import (
	"context"
	"iter"
	"strconv"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Assistant is what this package asks of rag.Service: it answers questions.
type Assistant interface {
	// Begin stores a question and the beginning of its answer. Possible ends:
	// both are stored; the question had been asked before and its exchange is
	// returned, Duplicate; Invalid; NotFound when the conversation, an
	// attachment or the clinical context is not the user's.
	Begin(ctx context.Context, q voiceassist.Question) (voiceassist.Exchange, error)
	// Regenerate stores the beginning of another answer to a question that was
	// answered before. Possible ends: it is stored; NotFound when the message is
	// not the user's; Conflict when there is nothing to answer again.
	Regenerate(ctx context.Context, r voiceassist.Regeneration) (voiceassist.Exchange, error)
	// Answer yields an answer as it is written, and in the end exactly one
	// final event, which alone may carry an error. It ends cancelled with ctx.
	Answer(ctx context.Context, x voiceassist.Exchange) iter.Seq2[voiceassist.AnswerEvent, error]
}

// Chats is what this package asks of postgres.DB about conversations. What
// belongs to somebody else is NotFound.
type Chats interface {
	Conversations(ctx context.Context, userID uuid.UUID, f voiceassist.ConversationFilter) ([]voiceassist.Conversation, int, error)
	Conversation(ctx context.Context, userID, id uuid.UUID) (voiceassist.Conversation, error)
	// CreateConversation is NotFound when the folder is not the user's; so is
	// UpdateConversation.
	CreateConversation(ctx context.Context, userID uuid.UUID, title string, folderID *uuid.UUID) (voiceassist.Conversation, error)
	UpdateConversation(ctx context.Context, userID, id uuid.UUID, change voiceassist.ConversationChange) (voiceassist.Conversation, error)
	DeleteConversation(ctx context.Context, userID, id uuid.UUID) error
	// DeleteConversations deletes all of the user's and returns how many.
	DeleteConversations(ctx context.Context, userID uuid.UUID) (int, error)

	// Branches returns main first.
	Branches(ctx context.Context, userID, conversationID uuid.UUID) ([]voiceassist.Branch, error)
	CreateBranch(ctx context.Context, n voiceassist.NewBranch) (voiceassist.Branch, error)

	// Messages returns a part of what a branch sees, oldest first, and how many
	// messages that are. A negative offset counts from the end. A branch that
	// the conversation does not have is NotFound.
	Messages(ctx context.Context, userID, conversationID uuid.UUID, branch string, offset, limit int) ([]voiceassist.Message, int, error)
	UserMessage(ctx context.Context, userID, id uuid.UUID) (voiceassist.Message, error)
	// AddMessage stores a message once: again, it is Duplicate.
	AddMessage(ctx context.Context, n voiceassist.NewMessage) (voiceassist.Message, error)
	// UpdateMessage is Conflict unless the message is the user's own words.
	UpdateMessage(ctx context.Context, userID, conversationID, id uuid.UUID, content string) (voiceassist.Message, error)
	// DeleteMessage is Conflict while the message, or an answer to it, is being
	// written.
	DeleteMessage(ctx context.Context, userID, conversationID, id uuid.UUID) error
	// Citation also returns the passage quoted, nil if it is gone.
	Citation(ctx context.Context, userID, id uuid.UUID) (voiceassist.Citation, *voiceassist.Passage, error)

	// EndedSessions returns those of the sessions that no longer stand.
	EndedSessions(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
}

// conversationBody is a conversation as clients see it.
type conversationBody struct {
	ID                 string  `json:"id"`
	UserID             string  `json:"user_id"`
	Title              string  `json:"title"`
	Archived           bool    `json:"archived"`
	MessageCount       int     `json:"message_count"`
	FolderID           *string `json:"folder_id"`
	CreatedAt          string  `json:"created_at" format:"date-time"`
	UpdatedAt          string  `json:"updated_at" format:"date-time"`
	LastMessagePreview string  `json:"last_message_preview"`
}

func conversationOf(c voiceassist.Conversation) conversationBody {
	return conversationBody{
		ID:                 c.ID.String(),
		UserID:             c.UserID.String(),
		Title:              c.Title,
		Archived:           c.Archived,
		MessageCount:       c.MessageCount,
		FolderID:           idOrNil(c.FolderID),
		CreatedAt:          stamp(c.CreatedAt),
		UpdatedAt:          stamp(c.UpdatedAt),
		LastMessagePreview: c.LastMessagePreview,
	}
}

// turnBody is a message of a conversation as clients see it.
type turnBody struct {
	ID              string                    `json:"id"`
	SessionID       string                    `json:"session_id"`
	ConversationID  string                    `json:"conversation_id"`
	Role            voiceassist.MessageRole   `json:"role" enum:"user,assistant,system"`
	Content         string                    `json:"content"`
	ParentMessageID *string                   `json:"parent_message_id"`
	ParentID        *string                   `json:"parent_id"`
	BranchID        string                    `json:"branch_id"`
	ClientMessageID *string                   `json:"client_message_id"`
	Citations       []twins[citationBody]     `json:"citations"`
	Attachments     []twins[attachmentBody]   `json:"attachments"`
	Status          voiceassist.MessageStatus `json:"status" enum:"streaming,complete,cancelled,failed"`
	Tokens          int                       `json:"tokens"`
	Model           string                    `json:"model"`
	Metadata        map[string]any            `json:"metadata" doc:"what the client stored with it"`
	CreatedAt       string                    `json:"created_at" format:"date-time"`
	Timestamp       int64                     `json:"timestamp" doc:"created_at in milliseconds since 1970"`
	IsDuplicate     bool                      `json:"is_duplicate"`
}

func turnOf(m voiceassist.Message) turnBody {
	b := turnBody{
		ID:              m.ID.String(),
		SessionID:       m.ConversationID.String(),
		ConversationID:  m.ConversationID.String(),
		Role:            m.Role,
		Content:         m.Content,
		ParentMessageID: idOrNil(m.ParentID),
		ParentID:        idOrNil(m.ParentID),
		BranchID:        m.BranchID,
		Citations:       citationsOf(m.Citations),
		Attachments:     attachmentsOf(m.Attachments),
		Status:          m.Status,
		Tokens:          m.Tokens,
		Model:           m.Model,
		Metadata:        metadataOf(m.Metadata),
		CreatedAt:       stamp(m.CreatedAt),
		Timestamp:       m.CreatedAt.UnixMilli(),
		IsDuplicate:     m.Duplicate,
	}
	if m.ClientMessageID != "" {
		b.ClientMessageID = &m.ClientMessageID
	}
	return b
}

// metadataOf never is null.
func metadataOf(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func turnsOf(messages []voiceassist.Message) []twins[turnBody] {
	rows := make([]twins[turnBody], len(messages))
	for i, m := range messages {
		rows[i] = both(turnOf(m))
	}
	return rows
}

// snippetLength is how much of a quote a citation shows at a glance, in code
// points.
const snippetLength = 240

// citationBody is a citation as clients see it.
type citationBody struct {
	ID              string   `json:"id"`
	Index           int      `json:"index"`
	DocumentID      string   `json:"document_id"`
	PassageID       string   `json:"passage_id"`
	Source          string   `json:"source" enum:"kb"`
	SourceType      string   `json:"source_type"`
	Title           string   `json:"title"`
	Snippet         string   `json:"snippet"`
	Quote           string   `json:"quote" doc:"the code points [char_start, char_end) of the page's text"`
	Page            int      `json:"page" minimum:"1"`
	PageLabel       string   `json:"page_label"`
	CharStart       int      `json:"char_start"`
	CharEnd         int      `json:"char_end"`
	Section         string   `json:"section"`
	Authors         []string `json:"authors"`
	Journal         string   `json:"journal"`
	PublicationYear *int     `json:"publication_year"`
	DOI             string   `json:"doi"`
	PubMedID        string   `json:"pubmed_id"`
	URL             string   `json:"url"`
	RelevanceScore  float64  `json:"relevance_score"`
	Score           float64  `json:"score"`
	Generation      int      `json:"generation"`
}

func citationOf(c voiceassist.Citation) citationBody {
	b := citationBody{
		ID:             c.ID.String(),
		Index:          c.Index,
		DocumentID:     c.DocumentID.String(),
		PassageID:      c.PassageID.String(),
		Source:         "kb",
		SourceType:     c.SourceType,
		Title:          c.Title,
		Snippet:        voiceassist.Preview(c.Quote, snippetLength),
		Quote:          c.Quote,
		Page:           c.Page,
		PageLabel:      strconv.Itoa(c.Page),
		CharStart:      c.CharStart,
		CharEnd:        c.CharEnd,
		Section:        c.Section,
		Authors:        append([]string{}, c.Authors...),
		Journal:        c.Journal,
		DOI:            c.DOI,
		PubMedID:       c.PubMedID,
		URL:            c.URL,
		RelevanceScore: c.Score,
		Score:          c.Score,
		Generation:     c.Generation,
	}
	if c.Year != 0 {
		b.PublicationYear = &c.Year
	}
	return b
}

func citationsOf(citations []voiceassist.Citation) []twins[citationBody] {
	rows := make([]twins[citationBody], len(citations))
	for i, c := range citations {
		rows[i] = both(citationOf(c))
	}
	return rows
}
