package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// File is what a user has uploaded for themselves, as opposed to a Document of
// the library.
type File struct {
	ID            uuid.UUID
	UserID        uuid.UUID
	Filename      string
	MediaType     string // from the content; application/octet-stream if unknown
	Size          int64  // bytes
	SHA256        string // of the bytes, 64 hex digits
	BlobKey       string
	TextStatus    TextStatus
	TextReason    string // why there is no text; a sentence, "" if there is
	TextTruncated bool   // the text was longer than MaxFileText
	CreatedAt     time.Time
}

// TextStatus says what became of the text of a file.
type TextStatus string

// The statuses of a file's text.
const (
	TextExtracted   TextStatus = "extracted"   // it was read and is stored
	TextNone        TextStatus = "no_text"     // it was read and has none, as a scan
	TextUnsupported TextStatus = "unsupported" // files of its type or size are not read
	TextFailed      TextStatus = "failed"      // it could not be read
)

// FileText is what was read of a file.
type FileText struct {
	Status    TextStatus
	Reason    string
	Text      string // valid UTF-8 without NUL; "" unless Status is TextExtracted
	Truncated bool
}

// Bounds of files.
const (
	MaxFileSize       = 100 << 20 // bytes of one file
	MaxAttachmentSize = 10 << 20  // bytes of one that is attached to a message
	MaxAttachments    = 10        // of one message
	MaxFileText       = 200_000   // code points that are stored of a file's text
)

// Attachment is a file as a message has it.
type Attachment struct {
	ID        uuid.UUID
	MessageID uuid.UUID
	File      File
	CreatedAt time.Time
}

// AttachedText is the text of an attachment, for whoever answers the message.
type AttachedText struct {
	Name string
	Text string
}
