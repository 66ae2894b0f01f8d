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
	Search   string     // a part of the title, any case
	FolderID *uuid.UUID // the zero id selects what lies in no folder
	Offset   int
	Limit    int
}

// ConversationChange is what becomes of a conversation; nil fields change
// nothing.
type ConversationChange struct {
	Title    *string
	Archived *bool
	FolderID *uuid.UUID // the zero id takes it out of its folder
}

// Branch is a line of messages that leaves another one after ParentMessageID.
// It sees the messages up to there, and then its own.
type Branch struct {
	ID              string
	ConversationID  uuid.UUID
	ParentMessageID *uuid.UUID // nil for MainBranch, and when nothing is left before the fork
	MessageCount    int        // of the messages it sees
	CreatedAt       time.Time
	LastActivity    time.Time // of its own messages
}

// NewBranch asks for a branch after a message.
type NewBranch struct {
	UserID          uuid.UUID
	ConversationID  uuid.UUID
	ParentMessageID uuid.UUID
	InitialMessage  string // of the user, stored as the branch's first; "" is none
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
	Metadata        map[string]any // the client's own; never nil when read from the ledger
	Citations       []Citation
	Attachments     []Attachment
	CreatedAt       time.Time
	Duplicate       bool // this ClientMessageID had been stored before
}

// NewMessage is a message that a client stores without asking for an answer.
type NewMessage struct {
	UserID          uuid.UUID
	ConversationID  uuid.UUID
	BranchID        string // "" is MainBranch
	ParentID        *uuid.UUID
	ClientMessageID string
	Role            MessageRole
	Content         string
	Metadata        map[string]any
}

// ExtractiveModel is the Model of an answer that quotes passages and was not
// written by a language model.
const ExtractiveModel = "extractive"

// MaxQuestionLength is the longest question, in code points.
const MaxQuestionLength = 8000

// MaxMessageLength is the longest message of another speaker that a client may
// store, in code points.
const MaxMessageLength = 32000

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

// Regeneration asks for another answer to a question that was answered before.
type Regeneration struct {
	UserID         uuid.UUID
	ConversationID uuid.UUID
	MessageID      uuid.UUID // the question, or an answer to it
	NewBranch      bool      // the answer begins a branch after the question
	Style          AnswerStyle
	// ClinicalContextID names the facts that the model is told; zero: none.
	ClinicalContextID uuid.UUID
}

// AnswerStyle is how an answer is to be written. It matters to answers that a
// language model writes; those that quote are what they are.
type AnswerStyle struct {
	Temperature *float64 // nil is the model's usual one; from 0 to 2
	Length      AnswerLength
}

// AnswerLength is how long a reader likes answers to be.
type AnswerLength string

// The lengths of answers; "" is the usual one.
const (
	ShortAnswer AnswerLength = "short"
	LongAnswer  AnswerLength = "long"
)

// ChatRequest is what a language model is asked to continue.
type ChatRequest struct {
	Messages    []ChatMessage
	MaxTokens   int      // the longest reply, in the model's tokens
	Temperature *float64 // nil is the usual one
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
