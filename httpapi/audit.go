package httpapi

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Audit is what this package asks of postgres.DB about the audit log.
type Audit interface {
	// Audit adds an entry about what is in no other transaction.
	Audit(ctx context.Context, e voiceassist.AuditEntry) error
	// AuditLogs returns a part of the matching entries and how many match.
	AuditLogs(ctx context.Context, f voiceassist.AuditFilter) ([]voiceassist.AuditRecord, int, error)
	// EachAudit returns all that match, one after another; an error ends them.
	EachAudit(ctx context.Context, f voiceassist.AuditFilter) iter.Seq2[voiceassist.AuditRecord, error]
	// VerifyAudit checks a part of the chain, or is Invalid when it begins
	// beyond the end.
	VerifyAudit(ctx context.Context, r voiceassist.AuditRange) (voiceassist.AuditVerdict, error)
	// DocumentHistory returns a part of a document's entries, how many there
	// are, and its last jobs. It is NotFound for what never was a document.
	DocumentHistory(ctx context.Context, id uuid.UUID, offset, limit int) ([]voiceassist.AuditRecord, int, []voiceassist.Job, error)
}

// auditBody is an entry of the audit log as clients see it.
type auditBody struct {
	ID           string                 `json:"id"`
	Timestamp    string                 `json:"timestamp" format:"date-time"`
	Level        voiceassist.AuditLevel `json:"level" enum:"info,warning,error"`
	Action       string                 `json:"action"`
	UserID       *string                `json:"user_id" doc:"who acted; null is the program, or somebody unknown"`
	UserEmail    *string                `json:"user_email" doc:"null when there is none, or it was erased"`
	ResourceType string                 `json:"resource_type"`
	ResourceID   string                 `json:"resource_id"`
	Success      bool                   `json:"success"`
	Details      map[string]any         `json:"details"`
	IPAddress    *string                `json:"ip_address" doc:"null when there is none, or it was erased"`
	RequestID    string                 `json:"request_id"`
	TraceID      string                 `json:"trace_id"`
	Seq          *int64                 `json:"seq" doc:"the place in the chain; null for a moment after the entry was made"`
	Hash         *string                `json:"hash"`
}

func auditOf(r voiceassist.AuditRecord) auditBody {
	b := auditBody{
		ID:           r.ID.String(),
		Timestamp:    stamp(r.At),
		Level:        r.Level,
		Action:       r.Action,
		UserEmail:    textOrNil(r.Email),
		ResourceType: r.ResourceType,
		ResourceID:   r.ResourceID,
		Success:      !r.Failed,
		Details:      r.Details,
		IPAddress:    textOrNil(r.IP),
		RequestID:    r.RequestID,
		TraceID:      r.TraceID,
	}
	if r.UserID != uuid.Nil {
		b.UserID = new(r.UserID.String())
	}
	if r.Seq > 0 {
		b.Seq, b.Hash = &r.Seq, new(hex.EncodeToString(r.Hash))
	}
	return b
}

func auditsOf(logs []voiceassist.AuditRecord) []twins[auditBody] {
	rows := make([]twins[auditBody], len(logs))
	for i, r := range logs {
		rows[i] = both(auditOf(r))
	}
	return rows
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// AuditQuery is how clients select entries.
type AuditQuery struct {
	Action       string `query:"action" maxLength:"200" doc:"user.created, or all that begin so: user.*"`
	UserID       string `query:"user_id" doc:"who did it"`
	Level        string `query:"level" enum:"info,warning,error" doc:"how grave it is"`
	From         string `query:"from" doc:"RFC 3339, or a date in UTC"`
	To           string `query:"to" doc:"RFC 3339, exclusive, or a date in UTC, that day included"`
	ResourceType string `query:"resource_type" maxLength:"200" doc:"to what it was done: user, document, …"`
	ResourceID   string `query:"resource_id" maxLength:"400" doc:"the id of what it was done to"`
	Success      string `query:"success" doc:"true or false; both by default"`
}

// filter says what q selects, or which parameter makes no sense.
func (q AuditQuery) filter() (f voiceassist.AuditFilter, err error) {
	f = voiceassist.AuditFilter{
		Action: q.Action, Level: voiceassist.AuditLevel(q.Level), ResourceType: q.ResourceType, ResourceID: q.ResourceID,
	}
	if prefix := strings.TrimSuffix(q.Action, "*"); prefix != q.Action || strings.HasSuffix(q.Action, ".") {
		f.Action, f.ActionPrefix = "", prefix
	}
	if !slices.Contains([]string{"", "info", "warning", "error"}, q.Level) {
		return f, queryError("level", "must be info, warning or error")
	}
	if q.UserID != "" {
		if f.UserID, err = parseID(q.UserID, "user"); err != nil {
			return f, err
		}
	}
	if q.Success != "" {
		success, err := strconv.ParseBool(q.Success)
		if err != nil {
			return f, queryError("success", notABool)
		}
		f.Success = &success
	}
	var ok bool
	if f.From, ok = parseMoment(q.From, 0); !ok {
		return f, queryError("from", notAMoment)
	}
	if f.To, ok = parseMoment(q.To, 24*time.Hour); !ok {
		return f, queryError("to", notAMoment)
	}
	return f, nil
}

const notAMoment = "must be a date (2006-01-02) or a time in RFC 3339"

// parseMoment reads a time, or a date, to which it adds; "" is the zero time.
func parseMoment(s string, add time.Duration) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.Add(add), true
	}
	// A plus that was not escaped has become a space.
	at, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+"))
	return at, err == nil
}

type auditLogsInput struct {
	Paging
	AuditQuery
}

// auditList is a page of the audit log, newest entry first.
type auditList struct {
	Logs       []twins[auditBody] `json:"logs"`
	Total      int                `json:"total"`
	Page       int                `json:"page"`
	PageSize   int                `json:"page_size"`
	TotalPages int                `json:"total_pages"`
	Limit      int                `json:"limit"`
	Offset     int                `json:"offset"`
}

func (auditList) named() string { return "logs" }

func (s *Server) listAudit(ctx context.Context, in *auditLogsInput) (auditList, error) {
	f, err := in.filter()
	if err != nil {
		return auditList{}, err
	}
	f.Offset, f.Limit = in.window(requestOf(ctx).flat)
	logs, total, err := s.o.Audit.AuditLogs(ctx, f)
	if err != nil {
		return auditList{}, err
	}
	return auditList{
		Logs: auditsOf(logs), Total: total, Page: f.Offset/f.Limit + 1, PageSize: f.Limit,
		TotalPages: (total + f.Limit - 1) / f.Limit, Limit: f.Limit, Offset: f.Offset,
	}, nil
}

// maxAudits is how many exports and checks of the chain run at a time in a
// process: each holds a connection to the ledger.
const maxAudits = 4

// How much of the chain one request checks: a million entries, or what can be
// done in half of a request's time, since it may have waited for its turn.
const (
	verifyLimit  = 1_000_000
	verifyBudget = requestTimeout / 2
)

type verifyInput struct {
	FromSeq int64 `query:"from_seq" minimum:"1" doc:"where to go on: the next_seq of the reply before"`
	Limit   int   `query:"limit" minimum:"1" maximum:"1000000" default:"1000000" doc:"entries to check"`
}

// verifyBody is what a check of the chain found.
type verifyBody struct {
	Valid     bool     `json:"valid" doc:"nothing is wrong with what was checked"`
	Complete  bool     `json:"complete" doc:"it was checked to its end"`
	Checked   int      `json:"checked"`
	NextSeq   *int64   `json:"next_seq" doc:"ask on from here; null at the end"`
	FirstBad  *badBody `json:"first_bad"`
	Anchor    linkBody `json:"anchor" doc:"where the chain begins: the last entry that retention removed, or zeros"`
	Head      linkBody `json:"head" doc:"where it ends; noted elsewhere it shows later whether the chain was made anew"`
	Unchained int      `json:"unchained" doc:"entries that wait for their place"`
}

type badBody struct {
	Seq int64   `json:"seq"`
	ID  *string `json:"id" doc:"null for an entry that is missing"`
	Why string  `json:"why"`
}

type linkBody struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

func linkOf(l voiceassist.AuditLink) linkBody {
	return linkBody{Seq: l.Seq, Hash: hex.EncodeToString(l.Hash)}
}

func (s *Server) verifyAudit(ctx context.Context, in *verifyInput) (twins[verifyBody], error) {
	leave, err := s.audits.enter(ctx)
	if err != nil {
		return twins[verifyBody]{}, err
	}
	defer leave()
	v, err := s.o.Audit.VerifyAudit(ctx, voiceassist.AuditRange{From: in.FromSeq, Limit: min(in.Limit, verifyLimit), Budget: verifyBudget})
	if err != nil {
		return twins[verifyBody]{}, err
	}
	b := verifyBody{
		Valid: v.Bad == nil, Complete: v.Bad == nil && v.Next == 0, Checked: v.Checked,
		Anchor: linkOf(v.Anchor), Head: linkOf(v.Head), Unchained: v.Unchained,
	}
	if v.Next != 0 {
		b.NextSeq = &v.Next
	}
	if v.Bad != nil {
		b.FirstBad = &badBody{Seq: v.Bad.Seq, Why: v.Bad.Why}
		if v.Bad.ID != uuid.Nil {
			b.FirstBad.ID = new(v.Bad.ID.String())
		}
	}
	return both(b), nil
}

type documentHistoryInput struct {
	ID string `path:"id"`
	Paging
}

// historyBody is what happened to a document: who did what, and what became of
// its jobs.
type historyBody struct {
	DocumentID string             `json:"document_id"`
	Logs       []twins[auditBody] `json:"logs"`
	Jobs       []twins[jobBody]   `json:"jobs" doc:"the last ones, with their timelines"`
	Total      int                `json:"total" doc:"of the logs"`
	Offset     int                `json:"offset"`
	Limit      int                `json:"limit"`
}

func (historyBody) named() string { return "logs" }

func (s *Server) documentHistory(ctx context.Context, in *documentHistoryInput) (historyBody, error) {
	id, err := parseID(in.ID, "document")
	if err != nil {
		return historyBody{}, err
	}
	offset, limit := in.window(requestOf(ctx).flat)
	logs, total, jobs, err := s.o.Audit.DocumentHistory(ctx, id, offset, limit)
	if err != nil {
		return historyBody{}, err
	}
	b := historyBody{
		DocumentID: id.String(), Logs: auditsOf(logs), Jobs: make([]twins[jobBody], len(jobs)),
		Total: total, Offset: offset, Limit: limit,
	}
	for i, j := range jobs {
		b.Jobs[i] = jobOf(j)
	}
	return b, nil
}
