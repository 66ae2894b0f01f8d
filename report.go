package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// CitationReport is a user's word that a citation is wrong, with a copy of what
// it quoted.
type CitationReport struct {
	ID         uuid.UUID
	UserID     *uuid.UUID // nil: the account is gone
	Citation   Citation   // its ID is zero when the answer is gone
	Reason     ReportReason
	Comment    string
	State      ReportState
	Note       string // of who looked at it
	ResolvedBy *uuid.UUID
	ResolvedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// ReportReason is what is wrong with a citation.
type ReportReason string

// What may be wrong with a citation.
const (
	ReportWrongQuote  ReportReason = "wrong_quote"
	ReportWrongSource ReportReason = "wrong_source"
	ReportIrrelevant  ReportReason = "irrelevant"
	ReportOutdated    ReportReason = "outdated"
	ReportOther       ReportReason = "other"
)

// ReportState is where a report stands.
type ReportState string

// The states of a report.
const (
	ReportOpen     ReportState = "open"
	ReportResolved ReportState = "resolved"
)

// ReportFilter selects reports, newest first.
type ReportFilter struct {
	State  ReportState // "": all
	Offset int
	Limit  int
}

// MaxReportText is the longest comment or note, in code points.
const MaxReportText = 2000

// Retention is for how many days things are kept; 0 is for ever.
type Retention struct {
	Conversations int `json:"conversations_days"` // since the last activity
	Files         int `json:"files_days"`         // since the upload
	Audit         int `json:"audit_days"`
}

// MaxRetentionDays is the longest time that can be set: a hundred years.
const MaxRetentionDays = 36_500
