package httpapi

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of what is said of a document, in code points.
const (
	maxMetaLength = 500
	maxAuthors    = 200
)

type updateDocumentInput struct {
	ID   string `path:"id"`
	Body struct {
		Title           *string   `json:"title,omitempty" doc:"at most 500 characters, as all of these"`
		Author          *string   `json:"author,omitempty"`
		SourceType      *string   `json:"source_type,omitempty"`
		Specialty       *string   `json:"specialty,omitempty"`
		Category        *string   `json:"category,omitempty"`
		Authors         *[]string `json:"authors,omitempty" doc:"what citations name; an empty list leaves author to tell"`
		Journal         *string   `json:"journal,omitempty"`
		Year            *int      `json:"year,omitempty" minimum:"0" maximum:"9999" doc:"of publication; 0 removes it"`
		PublicationYear *int      `json:"publication_year,omitempty" minimum:"0" maximum:"9999"`
		DOI             *string   `json:"doi,omitempty"`
		PubMedID        *string   `json:"pubmed_id,omitempty"`
		URL             *string   `json:"url,omitempty" doc:"http or https"`
		Version         int       `json:"version,omitempty" minimum:"0" doc:"of the document that was edited: if there is another by now the answer is 409"`
	}
}

// updateDocument changes what is said of a document. Its text stays as it is
// indexed; empty values remove what was said.
func (s *Server) updateDocument(ctx context.Context, in *updateDocumentInput) (twins[documentBody], error) {
	id, err := parseID(in.ID, "document")
	if err != nil {
		return twins[documentBody]{}, err
	}
	edit, err := in.edit()
	if err != nil {
		return twins[documentBody]{}, err
	}
	d, err := s.o.Ledger.UpdateDocument(ctx, id, edit)
	if err == nil {
		s.adminEvent(ctx, "document.updated", id.String())
	}
	return both(documentOf(d)), err
}

// edit returns the change that the body asks for, or an Invalid error.
func (in *updateDocumentInput) edit() (voiceassist.DocumentEdit, error) {
	b := &in.Body
	e := voiceassist.DocumentEdit{
		Title: b.Title, Author: b.Author, SourceType: b.SourceType, Specialty: b.Specialty, Category: b.Category,
		Metadata: map[string]any{}, Version: b.Version,
	}
	for name, text := range map[string]*string{
		"title": b.Title, "author": b.Author, "source_type": b.SourceType, "specialty": b.Specialty, "category": b.Category,
		"journal": b.Journal, "doi": b.DOI, "pubmed_id": b.PubMedID, "url": b.URL,
	} {
		if err := checkMeta(name, text); err != nil {
			return e, err
		}
	}
	if b.Title != nil && *b.Title == "" {
		return e, voiceassist.FieldError("title", "title must not be empty")
	}
	if b.URL != nil && *b.URL != "" && !isWebAddress(*b.URL) {
		return e, voiceassist.FieldError("url", "url must be an address that begins with http:// or https://")
	}
	for name, text := range map[string]*string{"journal": b.Journal, "doi": b.DOI, "pubmed_id": b.PubMedID, "url": b.URL} {
		if text != nil {
			e.Metadata[name] = unlessZero(*text)
		}
	}
	if year := cmp.Or(b.Year, b.PublicationYear); year != nil {
		e.Metadata["year"] = unlessZero(float64(*year)) // as JSON has it
	}
	return e, in.editAuthors(e.Metadata)
}

func (in *updateDocumentInput) editAuthors(metadata map[string]any) error {
	if in.Body.Authors == nil {
		return nil
	}
	names := *in.Body.Authors
	if len(names) > maxAuthors {
		return voiceassist.FieldError("authors", "authors must be at most %d", maxAuthors)
	}
	var list []any
	for i := range names {
		if err := checkMeta("authors", &names[i]); err != nil {
			return err
		}
		if names[i] != "" {
			list = append(list, names[i])
		}
	}
	metadata["authors"] = nil
	if list != nil {
		metadata["authors"] = list
	}
	return nil
}

// checkMeta trims a text of a form, which may be missing, and refuses one that
// is no single short line.
func checkMeta(name string, text *string) error {
	if text == nil {
		return nil
	}
	*text = strings.TrimSpace(*text)
	if utf8.RuneCountInString(*text) > maxMetaLength {
		return voiceassist.FieldError(name, "%s must be at most %d characters long", name, maxMetaLength)
	}
	if !utf8.ValidString(*text) || strings.ContainsFunc(*text, unicode.IsControl) {
		return voiceassist.FieldError(name, "%s must not contain line breaks or other control characters", name)
	}
	return nil
}

func isWebAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// unlessZero returns v, or nil for its zero value, which removes what there was.
func unlessZero[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
