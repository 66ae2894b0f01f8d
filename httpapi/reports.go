package httpapi

import (
	"context"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Reports is what this package asks of postgres.DB about reports of wrong
// citations.
type Reports interface {
	// ReportCitation stores the user's report about a citation of one of their
	// answers, in place of an earlier one; NotFound otherwise.
	ReportCitation(ctx context.Context, userID, citation uuid.UUID, reason voiceassist.ReportReason, comment string) (voiceassist.CitationReport, error)
	CitationReports(ctx context.Context, f voiceassist.ReportFilter) ([]voiceassist.CitationReport, int, error)
	// SettleReport changes a report's state, and its note unless that is nil.
	SettleReport(ctx context.Context, id uuid.UUID, state voiceassist.ReportState, note *string) (voiceassist.CitationReport, error)
}

// reportBody is a report as its author and administrators see it.
type reportBody struct {
	ID            string                   `json:"id"`
	Reason        voiceassist.ReportReason `json:"reason" enum:"wrong_quote,wrong_source,irrelevant,outdated,other"`
	Comment       string                   `json:"comment"`
	State         voiceassist.ReportState  `json:"state" enum:"open,resolved"`
	Note          string                   `json:"note"`
	ReporterID    *string                  `json:"reporter_id" doc:"null when the account is gone"`
	CitationID    *string                  `json:"citation_id" doc:"null when the answer is gone"`
	DocumentID    string                   `json:"document_id"`
	DocumentTitle string                   `json:"document_title"`
	Citation      twins[reportedBody]      `json:"citation"`
	ResolvedBy    *string                  `json:"resolved_by"`
	ResolvedAt    *string                  `json:"resolved_at" format:"date-time"`
	CreatedAt     string                   `json:"created_at" format:"date-time"`
	UpdatedAt     string                   `json:"updated_at" format:"date-time"`
}

// reportedBody is what the citation quoted, which the report keeps a copy of.
type reportedBody struct {
	DocumentID string `json:"document_id"`
	Title      string `json:"title"`
	Quote      string `json:"quote"`
	Page       int    `json:"page"`
	CharStart  int    `json:"char_start"`
	CharEnd    int    `json:"char_end"`
	Generation int    `json:"generation"`
}

func reportOf(r voiceassist.CitationReport) reportBody {
	c := r.Citation
	b := reportBody{
		ID:            r.ID.String(),
		Reason:        r.Reason,
		Comment:       r.Comment,
		State:         r.State,
		Note:          r.Note,
		ReporterID:    idOrNil(r.UserID),
		DocumentID:    c.DocumentID.String(),
		DocumentTitle: c.Title,
		Citation: both(reportedBody{
			DocumentID: c.DocumentID.String(), Title: c.Title, Quote: c.Quote, Page: c.Page,
			CharStart: c.CharStart, CharEnd: c.CharEnd, Generation: c.Generation,
		}),
		ResolvedBy: idOrNil(r.ResolvedBy),
		ResolvedAt: stampOrNil(r.ResolvedAt),
		CreatedAt:  stamp(r.CreatedAt),
		UpdatedAt:  stamp(r.UpdatedAt),
	}
	if c.ID != uuid.Nil {
		b.CitationID = idOrNil(&c.ID)
	}
	return b
}

type reportInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason  voiceassist.ReportReason `json:"reason" enum:"wrong_quote,wrong_source,irrelevant,outdated,other"`
		Comment *string                  `json:"comment,omitempty" nullable:"true" maxLength:"2000"`
	}
}

func (s *Server) reportCitation(ctx context.Context, in *reportInput) (twins[reportBody], error) {
	id, err := parseID(in.ID, "citation")
	if err != nil {
		return twins[reportBody]{}, err
	}
	r, err := s.o.Reports.ReportCitation(ctx, principal(ctx).User.ID, id, in.Body.Reason, or(in.Body.Comment, ""))
	if err == nil {
		s.adminEvent(ctx, "citation_report.created", r.ID.String())
	}
	return both(reportOf(r)), err
}

type reportsInput struct {
	Paging
	State string `query:"state" enum:"open,resolved" doc:"both by default"`
}

type reportsBody struct {
	Reports []twins[reportBody] `json:"reports"`
	Items   []twins[reportBody] `json:"items"`
	Total   int                 `json:"total"`
	Offset  int                 `json:"offset"`
	Limit   int                 `json:"limit"`
}

func (b reportsBody) named() string { return "reports" }

func (s *Server) listReports(ctx context.Context, in *reportsInput) (reportsBody, error) {
	offset, limit := in.window(requestOf(ctx).flat)
	list, total, err := s.o.Reports.CitationReports(ctx, voiceassist.ReportFilter{
		State: voiceassist.ReportState(in.State), Offset: offset, Limit: limit,
	})
	rows := make([]twins[reportBody], len(list))
	for i, r := range list {
		rows[i] = both(reportOf(r))
	}
	return reportsBody{Reports: rows, Items: rows, Total: total, Offset: offset, Limit: limit}, err
}

type settleReportInput struct {
	ID   string `path:"id"`
	Body struct {
		State voiceassist.ReportState `json:"state" enum:"open,resolved"`
		Note  *string                 `json:"note,omitempty" nullable:"true" maxLength:"2000"`
	}
}

func (s *Server) settleReport(ctx context.Context, in *settleReportInput) (twins[reportBody], error) {
	id, err := parseID(in.ID, "report")
	if err != nil {
		return twins[reportBody]{}, err
	}
	r, err := s.o.Reports.SettleReport(ctx, id, in.Body.State, in.Body.Note)
	if err == nil {
		s.adminEvent(ctx, "citation_report.changed", r.ID.String())
	}
	return both(reportOf(r)), err
}
