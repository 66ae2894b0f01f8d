package rag

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of a statement worth quoting.
const (
	minStatementWords  = 5
	maxStatementLength = 700  // code points; longer runs are tables that lost their lines
	minLetterShare     = 0.7  // of what is not white space
	maxDoubledShare    = 0.25 // of the words; a text layer printed twice doubles all
)

// statements returns the sentences of a passage that state something: not its
// headings, captions, references, bylines, notices and torn halves.
func statements(p voiceassist.Passage) []sentence {
	if aside(p) {
		return nil
	}
	all := splitSentences(p.Text)
	var found []sentence
	for i, s := range all {
		previous, next := neighbour(all, i, -1), neighbour(all, i, 1)
		switch {
		case !whole(s.Text), !readable(s.Text), isCaption(previous, s.Text), isNotice(s.Text):
		case isReference(s.Text), isReference(previous), isReference(next): // an entry, or the title within one
		default:
			found = append(found, s)
		}
	}
	return found
}

// neighbour returns the sentence before or behind sentence i in the same
// paragraph, "" if there is none.
func neighbour(all []sentence, i, step int) string {
	if i+step < 0 || i+step >= len(all) {
		return ""
	}
	first, second := all[min(i, i+step)], all[max(i, i+step)]
	if second.Start-first.End > 1 { // an empty line lies between
		return ""
	}
	return all[i+step].Text
}

// whole reports whether s reads as a complete sentence rather than a heading,
// a table row or the torn half of one.
func whole(s string) bool {
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(s, `"'”’»)]0123456789,–-[`))
	if !strings.ContainsRune(".!…。！", last) || tornStart.MatchString(s) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(s)
	return (opensSentence(first) || strings.ContainsRune(s, '。')) && len(strings.Fields(s)) >= minStatementWords ||
		unicode.Is(unicode.Lo, first)
}

// tornStart begins what goes on from a line elsewhere, "[14] characterised", or
// an item of a list, "8 Contraindication to aspirin".
var tornStart = regexp.MustCompile(`^(?:\[\d[\d,–-]*\]\s*\p{Ll}|\d{1,3} \p{Lu})`)

func opensSentence(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsTitle(r) || unicode.IsDigit(r) || unicode.Is(unicode.Lo, r) ||
		strings.ContainsRune(`"'“‘«([•–—-*`, r)
}

// readable reports whether a sentence is made of words, each said once, rather
// than of figures.
func readable(s string) bool {
	letters, all := 0, 0
	for _, r := range s {
		if unicode.IsSpace(r) {
			continue
		}
		all++
		if unicode.IsLetter(r) {
			letters++
		}
	}
	words, doubled := strings.Fields(s), 0
	for i := 1; i < len(words); i++ {
		if words[i] == words[i-1] {
			doubled++
		}
	}
	return float64(letters) >= minLetterShare*float64(all) && float64(doubled) < maxDoubledShare*float64(len(words)) &&
		len(tornStop.FindAllStringIndex(s, maxTornStops)) < maxTornStops &&
		utf8.RuneCountInString(s) <= maxStatementLength
}

// tornStop is a full stop within a sentence that goes on small. A few of them
// are abbreviations or come from a drawing's labels read line by line.
var tornStop = regexp.MustCompile(`\p{Ll}{4,}\. \p{Ll}{3,}`)

const maxTornStops = 2

// label begins the caption of a table or figure: "Table-3:", "Fig. 2A".
const label = `(?i:supplement\w* |additional |extended data )?(?i:table|figure|fig|box|scheme|chart|plate|panel|appendix)s?\.?[\s-]*(?:[sS]?\d+|[IVX]+)[A-Za-z]?\b`

var (
	captionLabel = regexp.MustCompile(`^` + label + `[\s.:|)–—-]*$`)
	caption      = regexp.MustCompile(`^` + label + `(?:\s*[.:|–—-]|[\s)]+[\p{Lu}\d(])`)
)

// isCaption reports whether a sentence is the caption of a table or figure, or
// goes on after its number. "Table 2 shows the doses." is not.
func isCaption(previous, s string) bool {
	return caption.MatchString(s) || captionLabel.MatchString(previous)
}

var (
	// person is a name as reference lists set it: "Kusindarta DL,", "Ruij, R.,",
	// "M. Khatami,".
	person = regexp.MustCompile(`\p{Lu}[\p{L}'’-]+,?\s+(?:\p{Lu}\.?[ -]?){1,3}(?:,|;|:|\.|&|\band\b|\bet al|\(|$)|` +
		`\b(?:\p{Lu}\.[ -]?){1,3} ?\p{Lu}[\p{L}'’-]+(?:,|;| and\b| et al)`)
	// firstPerson is one at the beginning, after the entry's number.
	firstPerson = regexp.MustCompile(`^[\[(]?\d{0,3}[.)\]]*\s*(?:\p{L}{1,3} )?(?:` + person.String() + `)`)
	// volume is where an entry says in what it stands: "2013;12(3):45–67",
	// "11(2): 135-140", "vol. 7, no. 3, pp. 33–44".
	volume = regexp.MustCompile(`(?:19|20)\d\d[a-z]?[;,]\s*\d+|\d+\s*\(\d+[^)]{0,8}\)\s*[:,]\s*[eE]?\d+|\b\d+\s*:\s*\d+\s*[-–]\s*\d+|` +
		`\bpp?\.\s*\d+\s*[-–]|\bvol\.\s*\d+,`)
	year    = regexp.MustCompile(`\((?:19|20)\d\d[a-z]?\)`)
	yearOut = regexp.MustCompile(`^\(?(?:19|20)\d\d[a-z]?\)[.:,]?\s`)
)

// minPersons is how many names in the form of references make a list of
// authors.
const minPersons = 3

// isReference reports whether a sentence is an entry of a list of references,
// or the half of one that begins or ends it.
func isReference(s string) bool {
	persons := len(person.FindAllStringIndex(s, minPersons))
	inVolume, ofYear := volume.MatchString(s), year.MatchString(s)
	switch {
	case persons >= minPersons, yearOut.MatchString(s), inVolume && (persons > 0 || ofYear):
		return true
	case inVolume && len(strings.Fields(s)) <= maxVolumeWords:
		return true
	}
	return firstPerson.MatchString(s) && (persons > 1 || ofYear || inVolume)
}

// maxVolumeWords is the longest end of an entry that stands alone: "Eur J Plant
// Pathol. 2007;119:329–39.".
const maxVolumeWords = 12

var notice = regexp.MustCompile(`(?i)©|\(c\) ?(?:19|20)\d\d|copyright|creative commons|all rights reserved|licensee|open.access article|` +
	`how to cite|cite this article|@\w|\bdoi\b|\borcid\b|corresponding author|correspondence to|^\W*(?:key ?words|abbreviations?)\b|^received\b|^accepted\b|^published\b|` +
	`publisher.s note|peer.review|contributed equally|downloaded from|conflicts? of interest|competing interest|` +
	`(?:department|faculty|school|institute|division|college|university)\b.{0,80},.{0,80}\b(?:university|hospital|institute|college|school)\b`)

// isNotice reports whether a sentence is about the publication: rights,
// addresses, dates, keywords, interests.
func isNotice(s string) bool { return notice.MatchString(s) }

// asides are the sections that state nothing about their document's subject.
var asides = regexp.MustCompile(`(?i)^[\W\d]*(?:references?(?: list| cited)?|bibliography|(?:literature|works) cited|acknowledge?ments?|` +
	`(?:authors?\W{0,2}s?\W{0,2} )?(?:contributions?|contributors?|details|information|affiliations?)(?: statement)?|` +
	`funding(?: (?:statement|information|sources?|support))?|financial (?:support|disclosure).*|sponsors?(?:hip)?|(?:declarations?|statements?) of .*interests?|(?:competing|conflicts? of|potential).*interests?|` +
	`disclosures?|declarations?|abbreviations?|(?:data|availability of data).*availability.*|availability of data.*|ethic(?:s|al).*(?:approval|statement|consent).*|` +
	`consent (?:for|to) .*|supp(?:lementary|orting) (?:materials?|information|data).*|additional files?|publisher.s note|key ?words|` +
	`copyright.*|open access|how to cite.*|orcid.*|footnotes)\W*$`)

// minEntryShare is how many of a passage's sentences are references when it is
// part of a list of them; the others are their titles.
const minEntryShare = 0.4

// aside reports whether a passage belongs to a part of its document that states
// nothing: by the name of its section, or because it is a list of references.
func aside(p voiceassist.Passage) bool {
	if asides.MatchString(p.Section) {
		return true
	}
	entries, all := 0, 0
	for _, s := range splitSentences(p.Text) {
		all++
		if isReference(s.Text) {
			entries++
		}
	}
	return entries > 1 && float64(entries) >= minEntryShare*float64(all)
}

// substance returns the hits without those that are asides, in order, or all
// when there are no others.
func substance(hits []voiceassist.Hit) []voiceassist.Hit {
	var some []voiceassist.Hit
	for _, hit := range hits {
		if !aside(hit.Passage) {
			some = append(some, hit)
		}
	}
	if len(some) == 0 {
		return hits
	}
	return some
}
