package voiceassist

import (
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MainBranch is the branch every conversation begins with.
const MainBranch = "main"

// Conversation is a user's thread of questions and answers.
type Conversation struct {
	ID                 uuid.UUID
	UserID             uuid.UUID
	Title              string
	Archived           bool
	FolderID           *uuid.UUID
	MessageCount       int
	LastMessagePreview string
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

// ConversationFilter selects conversations; zero fields select everything.
type ConversationFilter struct {
	Archived *bool
	Search   string // a part of the title, any case
	Offset   int
	Limit    int
}

// MessageRole says who speaks.
type MessageRole string

// Who speaks in a conversation.
const (
	SpeakerUser      MessageRole = "user"
	SpeakerAssistant MessageRole = "assistant"
	SpeakerSystem    MessageRole = "system"
)

// MessageStatus is where a message stands. An answer begins streaming and ends
// in exactly one of the others.
type MessageStatus string

// The statuses of a message.
const (
	MessageStreaming MessageStatus = "streaming"
	MessageComplete  MessageStatus = "complete"
	MessageCancelled MessageStatus = "cancelled"
	MessageFailed    MessageStatus = "failed"
)

// Message is one turn of a conversation.
type Message struct {
	ID              uuid.UUID
	ConversationID  uuid.UUID
	BranchID        string
	ParentID        *uuid.UUID
	ClientMessageID string // the client's own name for it; "" if it gave none
	Role            MessageRole
	Content         string
	Status          MessageStatus
	Model           string // what wrote it: a model's name or ExtractiveModel; "" for users
	Tokens          int
	Citations       []Citation
	Attachments     []Attachment
	CreatedAt       time.Time
	Duplicate       bool // this ClientMessageID had been stored before
}

// ExtractiveModel is the Model of an answer that quotes passages and was not
// written by a language model.
const ExtractiveModel = "extractive"

// MaxQuestionLength is the longest question, in code points.
const MaxQuestionLength = 8000

// Citation is the proof of a statement: Quote is exactly the code points
// [CharStart, CharEnd) of the stored text of the page.
type Citation struct {
	ID         uuid.UUID
	MessageID  uuid.UUID
	Index      int // from 1, the number in the answer's [n]
	DocumentID uuid.UUID
	PassageID  uuid.UUID
	Generation int
	Page       int // from 1
	CharStart  int
	CharEnd    int
	Quote      string
	Section    string
	Title      string
	SourceType string
	Authors    []string
	Journal    string
	Year       int // 0 if unknown
	DOI        string
	PubMedID   string
	URL        string
	Score      float64
}

// Question is what a user asks.
type Question struct {
	UserID          uuid.UUID
	ConversationID  uuid.UUID // zero: begin a conversation
	BranchID        string    // "" is MainBranch
	ClientMessageID string
	Content         string

	Attachments       []uuid.UUID // files of the user's, to be attached to the question
	ClinicalContextID uuid.UUID   // zero: none; whose facts the model is told
}

// ChatRequest is what a language model is asked to continue.
type ChatRequest struct {
	Messages  []ChatMessage
	MaxTokens int // the longest reply, in the model's tokens
}

// ChatMessage is one turn of a ChatRequest.
type ChatMessage struct {
	Role    MessageRole
	Content string
}

// AnswerEvent is one step of an answer. Seq counts from 1 within the answer,
// without gaps. The last event has Final set and carries the stored message;
// it comes exactly once, also when the answer was cancelled or failed.
type AnswerEvent struct {
	Seq   int
	Delta string // text to append; "" in the final event
	Final bool
	// Message is the answer as stored, with its citations. Until Final only
	// ID, ConversationID, BranchID, ParentID and Role are set.
	Message Message
}

// Preview returns the first n code points of s, with "…" if there were more.
func Preview(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}
