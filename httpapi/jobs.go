package httpapi

import (
	"context"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// jobBody is a job as clients see it.
type jobBody struct {
	ID           string               `json:"id"`
	DocumentID   string               `json:"document_id"`
	Kind         voiceassist.JobKind  `json:"kind" enum:"index,refresh,delete,purge"`
	State        voiceassist.JobState `json:"state" enum:"pending,running,completed,failed,superseded,cancelled"`
	Status       voiceassist.JobState `json:"status" enum:"pending,running,completed,failed,superseded,cancelled"`
	Queue        voiceassist.Queue    `json:"queue"`
	Stage        voiceassist.Stage    `json:"stage"`
	Attempts     int                  `json:"attempts"`
	Progress     int                  `json:"progress" minimum:"0" maximum:"100"`
	Processed    int                  `json:"processed" doc:"pages or passages done in this stage"`
	Total        int                  `json:"total" doc:"of so many; 0 while unknown"`
	ErrorCode    voiceassist.Reason   `json:"error_code"`
	ErrorMessage *string              `json:"error_message"`
	CreatedAt    string               `json:"created_at" format:"date-time"`
	StartedAt    *string              `json:"started_at" format:"date-time"`
	CompletedAt  *string              `json:"completed_at" format:"date-time"`
	Timeline     []jobEventBody       `json:"timeline"`
}

// jobEventBody is a line of a job's timeline.
type jobEventBody struct {
	Attempt int               `json:"attempt"`
	Stage   voiceassist.Stage `json:"stage"`
	Result  string            `json:"result" enum:"done,retry,paced,split,failed,cancelled,interrupted"`
	Detail  string            `json:"detail"`
	TookMS  float64           `json:"took_ms"`
	At      string            `json:"at" format:"date-time"`
}

func jobOf(j voiceassist.Job) twins[jobBody] {
	state := j.State
	if state == voiceassist.JobWaiting {
		state = voiceassist.JobRunning // its parts are
	}
	b := jobBody{
		ID:          j.ID.String(),
		DocumentID:  j.DocumentID.String(),
		Kind:        j.Kind,
		State:       state,
		Status:      state,
		Queue:       j.Queue,
		Stage:       j.Stage,
		Attempts:    j.Attempts,
		Progress:    j.Progress,
		Processed:   j.Processed,
		Total:       j.Total,
		ErrorCode:   j.ErrorCode,
		CreatedAt:   stamp(j.CreatedAt),
		StartedAt:   stampOrNil(j.StartedAt),
		CompletedAt: stampOrNil(j.CompletedAt),
		Timeline:    make([]jobEventBody, len(j.Timeline)),
	}
	if j.ErrorMessage != "" {
		b.ErrorMessage = &j.ErrorMessage
	}
	for i, e := range j.Timeline {
		b.Timeline[i] = jobEventBody{
			Attempt: e.Attempt,
			Stage:   e.Stage,
			Result:  e.Result,
			Detail:  e.Detail,
			TookMS:  milliseconds(e.Took),
			At:      stamp(e.At),
		}
	}
	return both(b)
}

type jobsInput struct {
	Paging
	State      string `query:"state" enum:"pending,running,completed,failed,superseded,cancelled" doc:"those in this state"`
	DocumentID string `query:"document_id" doc:"those of this document"`
}

func (s *Server) listJobs(ctx context.Context, in *jobsInput) (array[twins[jobBody]], error) {
	offset, limit := in.window(requestOf(ctx).flat)
	f := voiceassist.JobFilter{State: voiceassist.JobState(in.State), Offset: offset, Limit: limit}
	if in.DocumentID != "" {
		id, err := parseID(in.DocumentID, "document")
		if err != nil {
			return array[twins[jobBody]]{}, err
		}
		f.DocumentID = &id
	}
	jobs, total, err := s.o.Ledger.Jobs(ctx, f)
	if err != nil {
		return array[twins[jobBody]]{}, err
	}
	list := array[twins[jobBody]]{rows: make([]twins[jobBody], len(jobs)), total: total, offset: offset, limit: limit}
	for i, j := range jobs {
		list.rows[i] = jobOf(j)
	}
	return list, nil
}

type jobInput struct {
	ID string `path:"id"`
}

func (s *Server) getJob(ctx context.Context, in *jobInput) (twins[jobBody], error) {
	return jobBy(ctx, in, s.o.Ledger.Job)
}

func (s *Server) cancelJob(ctx context.Context, in *jobInput) (twins[jobBody], error) {
	return s.announced(ctx, "job.cancelled")(jobBy(ctx, in, s.o.Ledger.CancelJob))
}

func (s *Server) retryJob(ctx context.Context, in *jobInput) (twins[jobBody], error) {
	return s.announced(ctx, "job.retried")(jobBy(ctx, in, s.o.Ledger.RetryJob))
}

// announced tells the admin panels of a job that was changed.
func (s *Server) announced(ctx context.Context, kind string) func(twins[jobBody], error) (twins[jobBody], error) {
	return func(j twins[jobBody], err error) (twins[jobBody], error) {
		if err == nil {
			s.adminEvent(ctx, kind, j.V.ID)
		}
		return j, err
	}
}

// jobBy shows the job of the path after find has found or changed it.
func jobBy(ctx context.Context, in *jobInput, find func(context.Context, uuid.UUID) (voiceassist.Job, error)) (twins[jobBody], error) {
	id, err := parseID(in.ID, "job")
	if err != nil {
		return twins[jobBody]{}, err
	}
	j, err := find(ctx, id)
	return jobOf(j), err
}

type reindexInput struct {
	Body *struct {
		DocumentIDs []string `json:"document_ids,omitempty" maxItems:"10000" doc:"all documents if there are none"`
	}
}

type reindexBody struct {
	JobID    *string  `json:"job_id" doc:"of the first job"`
	JobIDs   []string `json:"job_ids"`
	JobCount int      `json:"job_count"`
}

func (s *Server) reindex(ctx context.Context, in *reindexInput) (reindexBody, error) {
	var ids []uuid.UUID
	if in.Body != nil {
		for _, text := range in.Body.DocumentIDs {
			id, err := parseID(text, "document")
			if err != nil {
				return reindexBody{}, err
			}
			ids = append(ids, id)
		}
	}
	return s.reindexAll(ctx, ids)
}

func (s *Server) reindexDocument(ctx context.Context, in *documentInput) (reindexBody, error) {
	id, err := parseID(in.ID, "document")
	if err != nil {
		return reindexBody{}, err
	}
	return s.reindexAll(ctx, []uuid.UUID{id})
}

func (s *Server) reindexAll(ctx context.Context, ids []uuid.UUID) (reindexBody, error) {
	jobs, err := s.o.Ledger.Reindex(ctx, ids)
	if err != nil {
		return reindexBody{}, err
	}
	b := reindexBody{JobIDs: make([]string, len(jobs)), JobCount: len(jobs)}
	for i, j := range jobs {
		b.JobIDs[i] = j.ID.String()
	}
	if len(jobs) > 0 {
		b.JobID = &b.JobIDs[0]
		s.adminEvent(ctx, "document.reindexed", reindexed(ids))
	}
	return b, nil
}

// reindexed is the id of the document that was asked for, "*" for several.
func reindexed(ids []uuid.UUID) string {
	if len(ids) == 1 {
		return ids[0].String()
	}
	return "*"
}
