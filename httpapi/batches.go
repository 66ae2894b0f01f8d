package httpapi

import (
	"context"
	"iter"
	"math"
	"strings"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Batches is what this package asks of postgres.DB about loads of many files.
// Whatever is looked up by an id may be NotFound, and what the state of a batch
// does not allow is a Conflict.
type Batches interface {
	// OpenBatch and ExtendBatch list entries of a manifest and return their
	// files in the same order.
	OpenBatch(ctx context.Context, b voiceassist.Batch, entries []voiceassist.ManifestEntry) (voiceassist.Batch, []voiceassist.BatchFile, error)
	ExtendBatch(ctx context.Context, id uuid.UUID, entries []voiceassist.ManifestEntry, more bool) (voiceassist.Batch, []voiceassist.BatchFile, error)

	Batch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error)
	Batches(ctx context.Context, f voiceassist.BatchFilter) ([]voiceassist.Batch, int, error)
	BatchFiles(ctx context.Context, id uuid.UUID, f voiceassist.BatchFileFilter) ([]voiceassist.BatchFile, int, error)
	EachBatchFile(ctx context.Context, id uuid.UUID) iter.Seq2[voiceassist.BatchFile, error]

	// CheckBatch returns nil if the batch takes files.
	CheckBatch(ctx context.Context, id uuid.UUID) error
	// SkipBatchFile notes that a file was refused unread.
	SkipBatchFile(ctx context.Context, id uuid.UUID, name string, reason voiceassist.Reason, message string) error

	PauseBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error)
	ResumeBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error)
	CloseBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error)
	CancelBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error)
	// RetryBatch also returns how many documents it runs again.
	RetryBatch(ctx context.Context, id uuid.UUID) (voiceassist.Batch, int, error)
}

// batchBody is a batch as clients see it.
type batchBody struct {
	ID          string                 `json:"id"`
	Name        string                 `json:"name"`
	State       voiceassist.BatchState `json:"state" enum:"open,paused,closed,cancelled,ended"`
	Manifest    bool                   `json:"manifest" doc:"whether it takes the files that it lists and no others"`
	More        bool                   `json:"more" doc:"whether entries of the manifest are still to come"`
	Defaults    batchDefaults          `json:"defaults"`
	WebhookURL  *string                `json:"webhook_url" doc:"without its query"`
	Notify      bool                   `json:"notify"`
	Account     accountBody            `json:"account"`
	Progress    int                    `json:"progress" minimum:"0" maximum:"100" doc:"of all files, how many are finished"`
	Rate        float64                `json:"files_per_minute" doc:"finished, over the last five minutes; 0 in lists"`
	ETA         *int                   `json:"eta_seconds" doc:"until all that came is finished, at this rate; null if nobody knows, as while it is paused"`
	CreatedBy   *string                `json:"created_by"`
	CreatedAt   string                 `json:"created_at" format:"date-time"`
	PausedAt    *string                `json:"paused_at" format:"date-time"`
	CancelledAt *string                `json:"cancelled_at" format:"date-time"`
	ClosedAt    *string                `json:"closed_at" format:"date-time"`
	EndedAt     *string                `json:"ended_at" format:"date-time"`
	Notices     []noticeBody           `json:"notices" doc:"of its ends, oldest first; none in lists"`
}

// noticeBody says how far a notice has come.
type noticeBody struct {
	Kind      voiceassist.NoticeKind `json:"kind" enum:"webhook,mail"`
	State     string                 `json:"state" enum:"waiting,delivered,given_up"`
	Attempts  int                    `json:"attempts"`
	LastError *string                `json:"last_error" doc:"why the last attempt failed"`
	CreatedAt string                 `json:"created_at" format:"date-time"`
	NextAt    *string                `json:"next_at" format:"date-time" doc:"when it is tried again; null if it is not"`
	EndedAt   *string                `json:"ended_at" format:"date-time" doc:"when it arrived or was given up"`
}

func noticeOf(r voiceassist.NoticeReport) noticeBody {
	b := noticeBody{Kind: r.Kind, State: "waiting", Attempts: r.Attempts, CreatedAt: stamp(r.CreatedAt)}
	if r.LastError != "" {
		b.LastError = &r.LastError
	}
	switch {
	case r.DeliveredAt != nil:
		b.State, b.EndedAt = "delivered", stampOrNil(r.DeliveredAt)
	case r.GivenUpAt != nil:
		b.State, b.EndedAt = "given_up", stampOrNil(r.GivenUpAt)
	default:
		b.NextAt = stampOrNil(&r.NextAt)
	}
	return b
}

// batchDefaults say of files what their uploads do not.
type batchDefaults struct {
	SourceType string `json:"source_type,omitempty" maxLength:"500"`
	Specialty  string `json:"specialty,omitempty" maxLength:"500"`
	Category   string `json:"category,omitempty" maxLength:"500"`
	Author     string `json:"author,omitempty" maxLength:"500"`
}

// accountBody says of how many files what has become.
type accountBody struct {
	Declared  int `json:"declared" doc:"awaited + accepted"`
	Awaited   int `json:"awaited" doc:"not uploaded yet"`
	Accepted  int `json:"accepted" doc:"indexed + duplicate + skipped + failed + cancelled + in_flight"`
	Indexed   int `json:"indexed"`
	Duplicate int `json:"duplicate" doc:"in the library before, or twice in the batch"`
	Skipped   int `json:"skipped" doc:"of a kind that is not read"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled" doc:"also: deleted afterwards"`
	InFlight  int `json:"in_flight"`
	Imbalance int `json:"imbalance" doc:"files that are lost; always 0"`
}

func batchOf(b voiceassist.Batch) twins[batchBody] {
	body := batchBody{
		ID: b.ID.String(), Name: b.Name, State: b.State(), Manifest: b.Manifest, More: b.More, Notify: b.Notify,
		Defaults: batchDefaults(b.Defaults), Account: accountBody(b.Account), Rate: math.Round(b.Rate*10) / 10,
		CreatedBy: idOrNil(b.CreatedBy), CreatedAt: stamp(b.CreatedAt), PausedAt: stampOrNil(b.PausedAt),
		CancelledAt: stampOrNil(b.CancelledAt), ClosedAt: stampOrNil(b.ClosedAt), EndedAt: stampOrNil(b.EndedAt),
		Notices: make([]noticeBody, len(b.Notices)),
	}
	for i, r := range b.Notices {
		body.Notices[i] = noticeOf(r)
	}
	if b.WebhookURL != "" {
		shown, _, _ := strings.Cut(b.WebhookURL, "?") // where senders put their secrets
		body.WebhookURL = &shown
	}
	if a := b.Account; a.Declared > 0 {
		body.Progress = 100 * (a.Accepted - a.InFlight - a.Imbalance) / a.Declared
		if b.Rate > 0 && b.EndedAt == nil && b.PausedAt == nil {
			body.ETA = new(int(math.Ceil(float64(a.InFlight) / b.Rate * 60)))
		}
	}
	return both(body)
}

// manifestBody is an entry of a manifest.
type manifestBody struct {
	Name   string `json:"name" minLength:"1" maxLength:"1000" example:"guidelines/diabetes.pdf" doc:"the file as the client knows it, such as a path; with the digest it tells files of the batch apart"`
	Size   int64  `json:"size" minimum:"0" doc:"bytes"`
	SHA256 string `json:"sha256" pattern:"^[0-9a-fA-F]{64}$"`
}

func entriesOf(files []manifestBody) ([]voiceassist.ManifestEntry, error) {
	entries := make([]voiceassist.ManifestEntry, len(files))
	for i, f := range files {
		if !validText(f.Name) {
			return nil, voiceassist.FieldError("files", "the name of file %d %s", i+1, notText)
		}
		entries[i] = voiceassist.ManifestEntry{Name: f.Name, Size: f.Size, SHA256: strings.ToLower(f.SHA256)}
	}
	return entries, nil
}

type openBatchInput struct {
	Body struct {
		Name       string         `json:"name" minLength:"1" maxLength:"200"`
		Files      []manifestBody `json:"files,omitempty" maxItems:"10000" doc:"the manifest, or its first entries; without one the batch takes any file until it is closed"`
		More       bool           `json:"more,omitempty" doc:"whether more entries follow in further requests; the batch does not end before"`
		WebhookURL *string        `json:"webhook_url,omitempty" nullable:"true" maxLength:"2000" doc:"is told of the end, signed with WEBHOOK_SECRET"`
		Notify     bool           `json:"notify,omitempty" doc:"whether the caller is mailed the end"`
		Defaults   *batchDefaults `json:"defaults,omitempty" doc:"for files whose upload does not say otherwise"`
	}
}

// openedBody is a batch with the files that a request listed.
type openedBody struct {
	ID     string           `json:"id"`
	Batch  twins[batchBody] `json:"batch"`
	Files  []listedBody     `json:"files" doc:"in the order of the request"`
	Upload int              `json:"upload" doc:"how many of them are to be uploaded"`
}

// listedBody says of a file of the manifest whether it has to come.
type listedBody struct {
	Name       string           `json:"name"`
	SHA256     string           `json:"sha256"`
	State      voiceassist.Fate `json:"state" enum:"awaited,in_flight,indexed,duplicate,skipped,failed,cancelled,lost"`
	Upload     bool             `json:"upload" doc:"false: the library has it"`
	DocumentID *string          `json:"document_id"`
}

func openedOf(b voiceassist.Batch, files []voiceassist.BatchFile) openedBody {
	body := openedBody{ID: b.ID.String(), Batch: batchOf(b), Files: make([]listedBody, len(files))}
	for i, f := range files {
		one := listedBody{Name: f.Name, SHA256: f.SHA256, State: f.Fate, DocumentID: idOrNil(f.DocumentID)}
		one.Upload = f.Fate == voiceassist.FateAwaited || f.Fate == voiceassist.FateLost
		if one.Upload {
			body.Upload++
		}
		body.Files[i] = one
	}
	return body
}

func (s *Server) openBatch(ctx context.Context, in *openBatchInput) (openedBody, error) {
	entries, err := entriesOf(in.Body.Files)
	if err != nil {
		return openedBody{}, err
	}
	b := voiceassist.Batch{
		Name: strings.TrimSpace(in.Body.Name), Manifest: len(entries) > 0 || in.Body.More, More: in.Body.More,
		Defaults:   voiceassist.BatchDefaults(or(in.Body.Defaults, batchDefaults{})),
		WebhookURL: or(in.Body.WebhookURL, ""), Notify: in.Body.Notify, CreatedBy: new(principal(ctx).User.ID),
	}
	if b.Name == "" {
		return openedBody{}, voiceassist.FieldError("name", "name must not be empty")
	}
	if err := s.checkNotices(b); err != nil {
		return openedBody{}, err
	}
	opened, files, err := s.o.Batches.OpenBatch(ctx, b, entries)
	if err != nil {
		return openedBody{}, err
	}
	s.adminEvent(ctx, "batch.opened", opened.ID.String())
	return openedOf(opened, files), nil
}

// checkNotices refuses notices that could never be sent.
func (s *Server) checkNotices(b voiceassist.Batch) error {
	if b.Notify && s.o.MailReady != nil {
		if err := s.o.MailReady(); err != nil {
			return voiceassist.FieldError("notify", "no mail can be sent: SMTP_URL is not set on this server")
		}
	}
	if b.WebhookURL == "" {
		return nil
	}
	if s.o.CheckWebhook == nil {
		return voiceassist.FieldError("webhook_url", "no webhook can be sent: WEBHOOK_SECRET is not set on this server")
	}
	return s.o.CheckWebhook(b.WebhookURL)
}

type extendBatchInput struct {
	ID   string `path:"id"`
	Body struct {
		Files []manifestBody `json:"files" maxItems:"10000"`
		More  bool           `json:"more,omitempty" doc:"whether more entries follow"`
	}
}

func (s *Server) extendBatch(ctx context.Context, in *extendBatchInput) (openedBody, error) {
	id, err := parseID(in.ID, "batch")
	if err != nil {
		return openedBody{}, err
	}
	entries, err := entriesOf(in.Body.Files)
	if err != nil {
		return openedBody{}, err
	}
	b, files, err := s.o.Batches.ExtendBatch(ctx, id, entries, in.Body.More)
	return openedOf(b, files), err
}

type batchesInput struct {
	Paging
	Name string `query:"name" maxLength:"200" doc:"exactly this one"`
	Open bool   `query:"open" doc:"those that have not ended"`
}

func (s *Server) listBatches(ctx context.Context, in *batchesInput) (array[twins[batchBody]], error) {
	offset, limit := in.window(requestOf(ctx).flat)
	batches, total, err := s.o.Batches.Batches(ctx, voiceassist.BatchFilter{Name: in.Name, Open: in.Open, Offset: offset, Limit: limit})
	list := array[twins[batchBody]]{rows: make([]twins[batchBody], len(batches)), total: total, offset: offset, limit: limit}
	for i, b := range batches {
		list.rows[i] = batchOf(b)
	}
	return list, err
}

type batchInput struct {
	ID string `path:"id"`
}

func (s *Server) getBatch(ctx context.Context, in *batchInput) (twins[batchBody], error) {
	return batchBy(ctx, in, s.o.Batches.Batch)
}

// changeBatch is a handler that changes a batch and tells the admin panels.
func (s *Server) changeBatch(event string, change func(Batches, context.Context, uuid.UUID) (voiceassist.Batch, error)) handler[batchInput, twins[batchBody]] {
	return func(ctx context.Context, in *batchInput) (twins[batchBody], error) {
		b, err := batchBy(ctx, in, func(ctx context.Context, id uuid.UUID) (voiceassist.Batch, error) {
			return change(s.o.Batches, ctx, id)
		})
		if err == nil {
			s.adminEvent(ctx, event, b.V.ID)
		}
		return b, err
	}
}

// batchBy shows the batch of the path after find has found or changed it.
func batchBy(ctx context.Context, in *batchInput, find func(context.Context, uuid.UUID) (voiceassist.Batch, error)) (twins[batchBody], error) {
	id, err := parseID(in.ID, "batch")
	if err != nil {
		return twins[batchBody]{}, err
	}
	b, err := find(ctx, id)
	return batchOf(b), err
}

// retriedBody is a batch of which some documents run again.
type retriedBody struct {
	Retried int              `json:"retried" doc:"documents"`
	Batch   twins[batchBody] `json:"batch"`
}

func (s *Server) retryBatch(ctx context.Context, in *batchInput) (retriedBody, error) {
	id, err := parseID(in.ID, "batch")
	if err != nil {
		return retriedBody{}, err
	}
	b, n, err := s.o.Batches.RetryBatch(ctx, id)
	if err == nil {
		s.adminEvent(ctx, "batch.retried", in.ID)
	}
	return retriedBody{Retried: n, Batch: batchOf(b)}, err
}

type batchFilesInput struct {
	ID string `path:"id"`
	Paging
	State  string `query:"state" enum:"awaited,in_flight,indexed,duplicate,skipped,failed,cancelled,lost" doc:"those with this fate"`
	Search string `query:"search" maxLength:"200" doc:"a part of the name"`
}

// batchFileBody is a file of a batch with its fate.
type batchFileBody struct {
	Name         string             `json:"name"`
	Size         int64              `json:"size" doc:"bytes; 0 if nobody knows"`
	SHA256       string             `json:"sha256" doc:"empty if nobody knows"`
	State        voiceassist.Fate   `json:"state" enum:"awaited,in_flight,indexed,duplicate,skipped,failed,cancelled,lost"`
	ErrorCode    voiceassist.Reason `json:"error_code" doc:"why, in a word; empty where there is nothing to explain"`
	ErrorMessage *string            `json:"error_message" doc:"why, in a sentence"`
	DocumentID   *string            `json:"document_id"`
	JobID        *string            `json:"job_id" doc:"the last that worked on it"`
	AddedAt      string             `json:"added_at" format:"date-time"`
	ReceivedAt   *string            `json:"received_at" format:"date-time"`
	FinishedAt   *string            `json:"finished_at" format:"date-time"`
}

func batchFileOf(f voiceassist.BatchFile) batchFileBody {
	b := batchFileBody{
		Name: f.Name, Size: f.Size, SHA256: f.SHA256, State: f.Fate, ErrorCode: f.Reason,
		DocumentID: idOrNil(f.DocumentID), JobID: idOrNil(f.JobID),
		AddedAt: stamp(f.AddedAt), ReceivedAt: stampOrNil(f.ReceivedAt), FinishedAt: stampOrNil(f.FinishedAt),
	}
	if f.Message != "" {
		b.ErrorMessage = &f.Message
	}
	return b
}

func (s *Server) listBatchFiles(ctx context.Context, in *batchFilesInput) (array[twins[batchFileBody]], error) {
	id, err := parseID(in.ID, "batch")
	if err != nil {
		return array[twins[batchFileBody]]{}, err
	}
	offset, limit := in.window(requestOf(ctx).flat)
	files, total, err := s.o.Batches.BatchFiles(ctx, id, voiceassist.BatchFileFilter{
		Fate: voiceassist.Fate(in.State), Search: in.Search, Offset: offset, Limit: limit,
	})
	list := array[twins[batchFileBody]]{rows: make([]twins[batchFileBody], len(files)), total: total, offset: offset, limit: limit}
	for i, f := range files {
		list.rows[i] = both(batchFileOf(f))
	}
	return list, err
}
