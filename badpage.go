package voiceassist

import (
	"fmt"
	"strconv"
	"strings"
)

// BadPage is a page that could not be read and is missing from the document's
// index.
type BadPage struct {
	Number int       `json:"page"` // from 1
	Reason PageFault `json:"reason"`
}

// PageFault says why a page could not be read.
type PageFault string

// Why pages cannot be read.
const (
	PageCrashed       PageFault = "crashed"         // it ended its reader
	PageTooSlow       PageFault = "too_slow"        // it took longer than a page may
	PageTooMuchMemory PageFault = "too_much_memory" // its reader grew beyond what it may have
	PageTooMuchText   PageFault = "too_much_text"   // it has more text than a document may have
	PageDamaged       PageFault = "damaged"         // it is not what its file claims it to be
)

// PageFaults lists every fault.
var PageFaults = []PageFault{PageCrashed, PageTooSlow, PageTooMuchMemory, PageTooMuchText, PageDamaged}

// did is what the page has done, for people.
func (f PageFault) did() string {
	switch f {
	case PageCrashed:
		return "crashed the reader"
	case PageTooSlow:
		return "took too long"
	case PageTooMuchMemory:
		return "took too much memory"
	case PageTooMuchText:
		return "held too much text"
	default:
		return "proved damaged"
	}
}

// DescribeBadPages says which pages could not be read and why, in a sentence
// for people; "" when there are none.
func DescribeBadPages(pages []BadPage) string {
	if len(pages) == 0 {
		return ""
	}
	byFault := map[PageFault]numbers{}
	var all numbers
	for _, p := range pages {
		byFault[p.Reason] = append(byFault[p.Reason], p.Number)
		all = append(all, p.Number)
	}
	if len(pages) == 1 {
		return fmt.Sprintf("Page %s could not be read: it %s.", all, pages[0].Reason.did())
	}
	if len(byFault) == 1 {
		return fmt.Sprintf("Pages %s could not be read: they %s.", all, pages[0].Reason.did())
	}
	var why []string
	for _, fault := range PageFaults {
		if those := byFault[fault]; len(those) > 0 {
			why = append(why, those.String()+" "+fault.did())
		}
	}
	return fmt.Sprintf("Pages %s could not be read: %s.", all, strings.Join(why, "; "))
}

// numbers are written as in a sentence: "7", "7 and 12", "1, 2 and 3".
type numbers []int

func (ns numbers) String() string {
	const most = 20
	words := make([]string, 0, most+1)
	for _, n := range ns[:min(len(ns), most)] {
		words = append(words, strconv.Itoa(n))
	}
	if more := len(ns) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// Warning says what is missing from the index of a document, and what to do
// about it; "" when nothing is.
func (d Document) Warning() string {
	if len(d.BadPages) == 0 {
		return ""
	}
	return DescribeBadPages(d.BadPages) + " The other pages are indexed. To have these, too, re-save or print the file to a new PDF and upload that."
}
