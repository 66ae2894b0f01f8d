package layout

import "slices"

// Around is how many pages before and after a page its text depends on: they
// tell what is furniture, and how words are written. Left and right pages often
// differ, so one would not do.
const Around = 2

// Document makes the texts of a document's pages. Each needs the pages around
// it, so it comes so many pages late.
type Document struct {
	emit  func(text string) error
	pages []*Page // the last ones added
	done  int     // of pages, how many have been emitted
}

// NewDocument returns a Document that calls emit with the text of each page, in
// order.
func NewDocument(emit func(text string) error) *Document {
	return &Document{emit: emit}
}

// Add takes the next page. Its error is that of emit.
func (d *Document) Add(p *Page) error {
	for _, o := range d.pages[max(0, len(d.pages)-Around):] {
		compare(&o.edges, &p.edges)
	}
	d.pages = append(d.pages, p)
	if len(d.pages)-d.done <= Around {
		return nil
	}
	err := d.next()
	if extra := d.done - Around; extra > 0 {
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
	around := d.pages[max(0, d.done-Around):min(len(d.pages), d.done+Around+1)]
	d.done++
	p.strip()
	return d.emit(p.text(vocabularyOf(around)))
}
