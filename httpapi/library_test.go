package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// library is a knowledge base in memory. It keeps the text of small documents
// and only the digest of large ones.
type library struct {
	mu       sync.Mutex
	docs     []voiceassist.Document
	jobs     []voiceassist.Job
	files    map[string][]byte // by blob key
	pending  int               // received, neither committed nor discarded
	receipts chan struct{}     // if not nil, Receive waits for one
	refuse   error             // of Commit
}

const keepBytes = 1 << 20

func newLibrary() *library { return &library{files: map[string][]byte{}} }

func (l *library) Receive(ctx context.Context, filename string, body io.Reader) (voiceassist.Received, error) {
	if l.receipts != nil {
		select {
		case <-l.receipts:
		case <-ctx.Done():
			return voiceassist.Received{}, ctx.Err()
		}
	}
	hash := sha256.New()
	var kept bytes.Buffer
	buf := make([]byte, 32<<10)
	size := int64(0)
	for {
		n, err := body.Read(buf)
		hash.Write(buf[:n])
		size += int64(n)
		if kept.Len() < keepBytes {
			kept.Write(buf[:n])
		}
		if size > voiceassist.MaxUploadSize {
			return voiceassist.Received{}, voiceassist.Errorf(voiceassist.TooLarge, "The file is larger than 50 MB")
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return voiceassist.Received{}, errors.Join(errors.New("store the blob"), err)
		}
	}
	if size == 0 {
		return voiceassist.Received{}, voiceassist.FieldError("file", "The file is empty")
	}
	if bytes.HasPrefix(kept.Bytes(), []byte("MZ")) {
		return voiceassist.Received{}, voiceassist.Errorf(voiceassist.UnsupportedMedia, "Files of this type are not read")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending++
	key := uuid.NewString()
	l.files[key] = kept.Bytes()
	return voiceassist.Received{
		Filename: filename, MediaType: voiceassist.MediaText, SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size, BlobKey: key,
	}, nil
}

func (l *library) Commit(_ context.Context, r voiceassist.Received, m voiceassist.DocumentMeta) (voiceassist.Accepted, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return voiceassist.Accepted{}, l.refuse
	}
	l.pending--
	for _, d := range l.docs {
		if d.SHA256 == r.SHA256 {
			return voiceassist.Accepted{Document: d, Duplicate: true}, nil
		}
	}
	d := voiceassist.Document{
		ID: uuid.New(), SHA256: r.SHA256, Size: r.Size, Filename: r.Filename, MediaType: r.MediaType, BlobKey: r.BlobKey,
		Title: cmp.Or(m.Title, r.Filename), SourceType: m.SourceType, Specialty: m.Specialty, Category: m.Category, Author: m.Author,
		State: voiceassist.DocumentUploaded, Version: 1, UploadedBy: m.UploadedBy, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	l.docs = append(l.docs, d)
	return voiceassist.Accepted{Document: d, JobID: l.addJob(d.ID).ID}, nil
}

func (l *library) addJob(document uuid.UUID) voiceassist.Job {
	j := voiceassist.Job{
		ID: uuid.New(), DocumentID: document, Kind: voiceassist.JobIndex, Queue: voiceassist.QueueDefault,
		State: voiceassist.JobPending, CreatedAt: time.Now(),
	}
	l.jobs = append(l.jobs, j)
	return j
}

func (l *library) Discard(_ context.Context, r voiceassist.Received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
	delete(l.files, r.BlobKey)
}

func (l *library) uncommitted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

func (l *library) Original(_ context.Context, d voiceassist.Document) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return io.NopCloser(bytes.NewReader(l.files[d.BlobKey])), nil
}

func (l *library) Document(_ context.Context, id uuid.UUID) (voiceassist.Document, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.docs, func(d voiceassist.Document) bool { return d.ID == id })
	if i < 0 {
		return voiceassist.Document{}, voiceassist.Errorf(voiceassist.NotFound, "document not found")
	}
	return l.docs[i], nil
}

func (l *library) Documents(_ context.Context, f voiceassist.DocumentFilter) ([]voiceassist.Document, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []voiceassist.Document
	for _, d := range l.docs {
		if (f.States == nil || slices.Contains(f.States, d.State)) && strings.Contains(d.Title, f.Search) {
			found = append(found, d)
		}
	}
	return found[min(f.Offset, len(found)):min(f.Offset+f.Limit, len(found))], len(found), nil
}

// UpdateDocument changes nothing: that is tested with the real ledger.
func (l *library) UpdateDocument(ctx context.Context, id uuid.UUID, _ voiceassist.DocumentEdit) (voiceassist.Document, error) {
	return l.Document(ctx, id)
}

func (l *library) DeleteDocument(_ context.Context, id uuid.UUID, _ time.Duration) (uuid.UUID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.docs, func(d voiceassist.Document) bool { return d.ID == id })
	if i < 0 {
		return uuid.Nil, voiceassist.Errorf(voiceassist.NotFound, "document not found")
	}
	l.docs = slices.Delete(l.docs, i, i+1)
	return uuid.New(), nil
}

func (l *library) Reindex(_ context.Context, ids []uuid.UUID) ([]voiceassist.Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var jobs []voiceassist.Job
	for _, d := range l.docs {
		if ids == nil || slices.Contains(ids, d.ID) {
			jobs = append(jobs, l.addJob(d.ID))
		}
	}
	if len(jobs) < len(ids) {
		return nil, voiceassist.Errorf(voiceassist.NotFound, "document not found")
	}
	return jobs, nil
}

func (l *library) Jobs(_ context.Context, f voiceassist.JobFilter) ([]voiceassist.Job, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs[min(f.Offset, len(l.jobs)):min(f.Offset+f.Limit, len(l.jobs))], len(l.jobs), nil
}

func (l *library) Job(_ context.Context, id uuid.UUID) (voiceassist.Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range l.jobs {
		if j.ID == id {
			j.Timeline = []voiceassist.JobEvent{{Attempt: 1, Stage: voiceassist.StageExtract, Result: "done", Took: 1500 * time.Microsecond, At: j.CreatedAt}}
			return j, nil
		}
	}
	return voiceassist.Job{}, voiceassist.Errorf(voiceassist.NotFound, "job not found")
}

func (l *library) DocumentTimeline(_ context.Context, id uuid.UUID, _, _ int) (voiceassist.Timeline, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range l.jobs {
		if j.DocumentID == id {
			e := voiceassist.JobEvent{Attempt: 1, Stage: voiceassist.StageExtract, Result: "done", Took: 1500 * time.Microsecond, At: j.CreatedAt}
			inPart := e
			inPart.Part = &voiceassist.Part{JobID: doneJob, First: 65, Last: 96}
			return voiceassist.Timeline{
				Events: []voiceassist.TimelineEvent{{JobEvent: e, JobID: j.ID, Kind: j.Kind}, {JobEvent: inPart, JobID: j.ID, Kind: j.Kind}},
				Total:  2,
				Stages: []voiceassist.StageTotal{{Stage: voiceassist.StageExtract, Runs: 2, Took: 3 * time.Millisecond}},
			}, nil
		}
	}
	return voiceassist.Timeline{}, voiceassist.Errorf(voiceassist.NotFound, "document not found")
}

func (l *library) CancelJob(ctx context.Context, id uuid.UUID) (voiceassist.Job, error) {
	j, err := l.Job(ctx, id)
	j.State = voiceassist.JobCancelled
	return j, err
}

// doneJob is a job that has not failed.
var doneJob = uuid.MustParse("6f1d9f3e-9b5a-4b0e-8a68-1d2f3c4b5a69")

func (l *library) RetryJob(ctx context.Context, id uuid.UUID) (voiceassist.Job, error) {
	if _, err := l.Job(ctx, id); err != nil && id != doneJob {
		return voiceassist.Job{}, err
	}
	return voiceassist.Job{}, voiceassist.Errorf(voiceassist.Conflict, "only failed jobs can be retried")
}

func (l *library) PageText(_ context.Context, _ uuid.UUID, _, page int) (voiceassist.Page, error) {
	if page > 2 {
		return voiceassist.Page{}, voiceassist.Errorf(voiceassist.NotFound, "page not found")
	}
	return voiceassist.Page{Number: page, Text: "Metformin is <first-line> & cheap."}, nil
}

func (l *library) Passages(_ context.Context, id uuid.UUID, _, _ int) ([]voiceassist.Passage, int, error) {
	return []voiceassist.Passage{{ID: uuid.New(), DocumentID: id, Page: 1, CharEnd: 9, Text: "Metformin"}}, 1, nil
}

func (l *library) LibraryStats(context.Context) (voiceassist.LibraryStats, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return voiceassist.LibraryStats{
		Documents: len(l.docs),
		ByState:   map[voiceassist.DocumentState]int{voiceassist.DocumentFailed: 1, voiceassist.DocumentCancelled: 2},
	}, nil
}

func (l *library) Search(_ context.Context, query string, f voiceassist.SearchFilter, limit int) ([]voiceassist.Hit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var hits []voiceassist.Hit
	for _, d := range l.docs {
		i := bytes.Index(l.files[d.BlobKey], []byte(query))
		if i < 0 || f.SourceType != "" && f.SourceType != d.SourceType || len(hits) == limit {
			continue
		}
		p := voiceassist.Passage{ID: uuid.New(), DocumentID: d.ID, Page: 1, CharStart: i, CharEnd: i + len(query), Text: query}
		hits = append(hits, voiceassist.Hit{Passage: p, Document: d, Score: 1})
	}
	return hits, nil
}

// panicker is a searcher with a bug.
type panicker struct{}

func (panicker) Search(context.Context, string, voiceassist.SearchFilter, int) ([]voiceassist.Hit, error) {
	panic("secret detail")
}
