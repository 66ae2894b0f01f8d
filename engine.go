package voiceassist

import "context"

// TextEngine reads the text out of files of one media type. Engines run in
// child processes (package extract): a file may crash, hang or bloat them.
type TextEngine interface {
	// Name is the engine with the version of what it produces ("pdfium/3").
	// It is part of the key under which pages are stored, so it changes
	// whenever the same file would give other text.
	Name() string

	// Extract reads the file at path and calls emit once for each page, in
	// order, numbers from 1 without gaps; a format without pages is page 1.
	// Pages without text are emitted empty. Possible ends:
	//  1. nil and the file's info, after every page was emitted
	//  2. a *Failure: encrypted, damaged, too_complex
	//  3. the error of emit, at once
	//  4. any other error: the engine's own trouble, worth another attempt
	Extract(ctx context.Context, path string, emit func(Page) error) (FileInfo, error)
}

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
