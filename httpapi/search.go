package httpapi

import (
	"cmp"
	"context"
	"maps"
	"strings"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// defaultHits is how many passages a search returns unless it says otherwise.
const defaultHits = 10

// excerptLength is how much of a passage a hit shows, in code points.
const excerptLength = 300

type searchInput struct {
	Body struct {
		Query   string        `json:"query" minLength:"1" maxLength:"8000"`
		Limit   int           `json:"limit,omitempty" minimum:"1" doc:"10 by default, at most 100"`
		Filters searchFilters `json:"filters,omitzero" required:"false"`
	}
}

// searchFilters come in either casing, inside a body whose top level alone is
// renamed.
type searchFilters struct {
	DocumentIDs      []string `json:"document_ids,omitempty" maxItems:"1000"`
	DocumentIDsCamel []string `json:"documentIds,omitempty" maxItems:"1000"`
	SourceType       string   `json:"source_type,omitempty"`
	SourceTypeCamel  string   `json:"sourceType,omitempty"`
	Specialty        string   `json:"specialty,omitempty"`
	Category         string   `json:"category,omitempty"`
}

// filter returns what the filters select. A malformed id selects nothing, which
// the zero id stands for.
func (f searchFilters) filter() voiceassist.SearchFilter {
	out := voiceassist.SearchFilter{
		SourceType: cmp.Or(f.SourceType, f.SourceTypeCamel),
		Specialty:  f.Specialty,
		Category:   f.Category,
	}
	for _, text := range append(f.DocumentIDs, f.DocumentIDsCamel...) {
		id, err := uuid.Parse(text)
		if err != nil {
			id = uuid.Nil
		}
		out.DocumentIDs = append(out.DocumentIDs, id)
	}
	return out
}

// hitBody is a passage that a search found.
type hitBody struct {
	ID         string  `json:"id"`
	DocumentID string  `json:"document_id"`
	Title      string  `json:"title"`
	Filename   string  `json:"filename"`
	Excerpt    string  `json:"excerpt"`
	Content    string  `json:"content"`
	Score      float64 `json:"score"`
	PageNumber int     `json:"page_number"`
	Page       int     `json:"page"`
	CharStart  int     `json:"char_start"`
	CharEnd    int     `json:"char_end"`
	Section    string  `json:"section"`
	SourceType string  `json:"source_type"`
	Specialty  string  `json:"specialty"`
	Category   string  `json:"category"`
	Generation int     `json:"generation"`
}

func hitOf(h voiceassist.Hit) hitBody {
	p, d := h.Passage, h.Document
	return hitBody{
		ID:         p.ID.String(),
		DocumentID: p.DocumentID.String(),
		Title:      cmp.Or(d.Title, d.Filename),
		Filename:   d.Filename,
		Excerpt:    voiceassist.Preview(p.Text, excerptLength),
		Content:    p.Text,
		Score:      h.Score,
		PageNumber: p.Page,
		Page:       p.Page,
		CharStart:  p.CharStart,
		CharEnd:    p.CharEnd,
		Section:    p.Section,
		SourceType: d.SourceType,
		Specialty:  d.Specialty,
		Category:   d.Category,
		Generation: p.Generation,
	}
}

func (s *Server) search(ctx context.Context, in *searchInput) (array[twins[hitBody]], error) {
	query := strings.TrimSpace(in.Body.Query)
	if query == "" {
		return array[twins[hitBody]]{}, voiceassist.FieldError("query", "query must not be empty")
	}
	leave, err := s.searches.enter(ctx)
	if err != nil {
		return array[twins[hitBody]]{}, err
	}
	defer leave()
	limit := min(cmp.Or(in.Body.Limit, defaultHits), maxLimit)
	hits, err := s.o.Searcher.Search(ctx, query, in.Body.Filters.filter(), limit)
	if err != nil {
		return array[twins[hitBody]]{}, err
	}
	list := array[twins[hitBody]]{rows: make([]twins[hitBody], len(hits)), total: len(hits), limit: limit}
	for i, h := range hits {
		list.rows[i] = both(hitOf(h))
	}
	return list, nil
}

// statsBody are the figures of the knowledge base.
type statsBody struct {
	TotalDocuments   int            `json:"total_documents"`
	TotalChunks      int            `json:"total_chunks"`
	VectorCount      int            `json:"vector_count"`
	ByStatus         map[string]int `json:"by_status"`
	BySourceType     map[string]int `json:"by_source_type"`
	LibrarySizeBytes int64          `json:"library_size_bytes" doc:"of the original files"`
	IndexSizeBytes   int64          `json:"index_size_bytes" doc:"0 if the index does not tell"`
	EmbeddingProfile string         `json:"embedding_profile" doc:"empty when the search goes by words alone"`
	LastIndexedAt    *string        `json:"last_indexed_at" format:"date-time"`
}

func (s *Server) libraryStats(ctx context.Context, _ *none) (statsBody, error) {
	l, err := s.o.Ledger.LibraryStats(ctx)
	if err != nil {
		return statsBody{}, err
	}
	b := statsBody{
		TotalDocuments:   l.Documents,
		TotalChunks:      l.Passages,
		ByStatus:         map[string]int{},
		BySourceType:     map[string]int{},
		LibrarySizeBytes: l.BytesOriginal,
		LastIndexedAt:    stampOrNil(l.LastIndexedAt),
	}
	maps.Copy(b.BySourceType, l.BySourceType)
	for state, n := range l.ByState {
		b.ByStatus[wireStatus(state)] += n
	}
	if s.o.IndexFigures != nil {
		f, err := s.o.IndexFigures(ctx)
		if err != nil {
			return statsBody{}, err
		}
		b.VectorCount, b.IndexSizeBytes, b.EmbeddingProfile = f.Points, f.Bytes, f.Profile
	}
	return b, nil
}
