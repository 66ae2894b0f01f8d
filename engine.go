package voiceassist

import "context"

// TextEngine reads the text out of files of one media type. Engines run in
// child processes (package extract): a file may crash, hang or bloat them.
type TextEngine interface {
	// Name is the engine with the version of what it produces ("pdfium/3").
	// It is part of the key under which pages are stored, so it changes
	// whenever the same file would give other text.
	Name() string

	// Extract reads pages of the file at path and calls emit once for each, in
	// order, under its number in the file, without gaps; a format without pages
	// is page 1. Pages without text are emitted empty. Of a range, what lies
	// beyond the file's last page is left out, and that may be all of it.
	//
	// The text of a page may depend on up to PageReach pages before and after
	// it, whether or not they are in the range, so that a page has the same text
	// in every range. The exception is a range of one page, which is read
	// by itself: no other page is touched, because it may be one that crashes
	// the reader. Possible ends:
	//  1. nil and the file's info, after every page was emitted; Pages is the
	//     count of the whole file, the title may be one that only page 1 tells
	//  2. a *Failure: encrypted, damaged, too_complex
	//  3. the error of emit, at once
	//  4. any other error: the engine's own trouble, worth another attempt
	Extract(ctx context.Context, path string, pages PageRange, emit func(Page) error) (FileInfo, error)
}

// PageReach is the most pages before and after a page that its text may depend
// on.
const PageReach = 2

// Of returns the first and the last page of the range that a file of n pages
// has; first > last when it has none of them. A Last of 0 is the end.
func (r PageRange) Of(n int) (first, last int) {
	first, last = max(1, r.First), n
	if r.Last > 0 {
		last = min(r.Last, n)
	}
	return first, last
}

// Has reports whether page n is in the range.
func (r PageRange) Has(n int) bool {
	first, last := r.Of(n)
	return first <= n && n <= last
}

// Alone reports whether the range is one page.
func (r PageRange) Alone() bool { return r.First > 0 && r.First == r.Last }

// Embedder turns texts into dense vectors.
type Embedder interface {
	// Profile names the model, its dimension and whatever else changes its
	// vectors ("text-embedding-3-small/1536"). Vectors of different profiles
	// are never compared.
	Profile() string
	// Dim is the length of every vector.
	Dim() int
	// Embed returns one vector per text, in order, each of length 1. Possible
	// ends: all vectors; a *Paced error when the service is busy; a *Failure
	// when it refuses a text for good; any other error is worth a retry.
	Embed(ctx context.Context, texts []string) ([][]float32, error)
}
