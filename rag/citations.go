package rag

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// place is where a quote stands.
type place struct {
	document         uuid.UUID
	generation, page int
	start, end       int // code points of the page's text
}

// prover turns quotes into citations. It belongs to one answer and numbers its
// citations from 1 in the order of their first use.
type prover struct {
	store     Store
	metrics   metrics
	pages     map[place][]rune // by document, generation and page
	numbers   map[place]int
	citations []voiceassist.Citation
}

func (s *Service) newProver() *prover {
	return &prover{store: s.store, metrics: s.metrics, pages: make(map[place][]rune), numbers: make(map[place]int)}
}

// cite returns the number under which the answer cites a sentence of the hit's
// passage. The same quote keeps its number. ok is false when the stored page
// does not read so at that place.
func (p *prover) cite(ctx context.Context, hit voiceassist.Hit, quote sentence) (number int, ok bool, err error) {
	passage := hit.Passage
	at := place{
		document: passage.DocumentID, generation: passage.Generation, page: passage.Page,
		start: passage.CharStart + quote.Start, end: passage.CharStart + quote.End,
	}
	if number, ok = p.numbers[at]; ok {
		return number, true, nil
	}
	text, err := p.page(ctx, at)
	if err != nil {
		return 0, false, err
	}
	proved := at.end <= len(text) && string(text[at.start:at.end]) == quote.Text
	p.metrics.cited(proved)
	if !proved {
		return 0, false, nil
	}
	number = len(p.citations) + 1
	p.numbers[at] = number
	p.citations = append(p.citations, citation(hit, at, quote.Text, number))
	return number, true, nil
}

// page returns the stored text of the page that at lies on, nil when the
// ledger no longer has it.
func (p *prover) page(ctx context.Context, at place) ([]rune, error) {
	key := place{document: at.document, generation: at.generation, page: at.page}
	if text, known := p.pages[key]; known {
		return text, nil
	}
	page, err := p.store.PageText(ctx, at.document, at.generation, at.page)
	if err != nil && !errors.Is(err, voiceassist.NotFound) {
		return nil, fmt.Errorf("load page %d: %w", at.page, err)
	}
	p.pages[key] = []rune(page.Text)
	return p.pages[key], nil
}

func citation(hit voiceassist.Hit, at place, quote string, number int) voiceassist.Citation {
	d := hit.Document
	return voiceassist.Citation{
		Index: number, DocumentID: at.document, PassageID: hit.Passage.ID, Generation: at.generation,
		Page: at.page, CharStart: at.start, CharEnd: at.end, Quote: quote, Section: hit.Passage.Section,
		Title: d.Title, SourceType: d.SourceType, Authors: authors(d), Journal: word(d, "journal"),
		Year: number4(d, "year"), DOI: word(d, "doi"), PubMedID: word(d, "pubmed_id"), URL: word(d, "url"), Score: hit.Score,
	}
}

// authors returns the document's authors: the list in its metadata, or its
// author field split where several are named.
func authors(d voiceassist.Document) []string {
	var names []string
	if list, ok := d.Metadata["authors"].([]any); ok {
		for _, name := range list {
			if name, ok := name.(string); ok && name != "" {
				names = append(names, name)
			}
		}
		return names
	}
	for name := range strings.SplitSeq(d.Author, ";") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func word(d voiceassist.Document, key string) string {
	s, _ := d.Metadata[key].(string)
	return s
}

// number4 reads a year, which JSON holds as a number.
func number4(d voiceassist.Document, key string) int {
	n, _ := d.Metadata[key].(float64)
	return int(n)
}
