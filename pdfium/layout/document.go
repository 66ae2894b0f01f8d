package layout

import "slices"

// Document makes the texts of a document's pages. It needs the pages around
// each to tell its furniture, so a text comes some pages late.
type Document struct {
	emit  func(text string) error
	words vocabulary
	pages []*Page // the last ones added
	done  int     // of pages, how many have been emitted
}

// NewDocument returns a Document that calls emit with the text of each page, in
// order.
func NewDocument(emit func(text string) error) *Document {
	return &Document{emit: emit, words: vocabulary{}}
}

// Add takes the next page. Its error is that of emit.
func (d *Document) Add(p *Page) error {
	for _, o := range d.pages[max(0, len(d.pages)-neighbours):] {
		compare(&o.edges, &p.edges)
	}
	d.words.add(p)
	d.pages = append(d.pages, p)
	if len(d.pages)-d.done <= neighbours {
		return nil
	}
	err := d.next()
	if extra := d.done - neighbours; extra > 0 {
		d.pages = slices.Delete(d.pages, 0, extra)
		d.done -= extra
	}
	return err
}

// Close emits the pages that waited for another. Its error is that of emit.
func (d *Document) Close() error {
	for d.done < len(d.pages) {
		if err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) next() error {
	p := d.pages[d.done]
	d.done++
	p.strip()
	return d.emit(p.text(d.words))
}
