package rag

import (
	"math"
	"slices"
	"strings"

	"github.com/voiceassist/backend/bm25"
)

// idfs are inverse document frequencies by stem.
type idfs map[string]float64

// mass is how much the stems tell, together.
func (f idfs) mass(stems []string) float64 {
	sum := 0.0
	for _, stem := range stems {
		sum += f[stem]
	}
	return sum
}

// stemSet returns the different stems of text.
func stemSet(text string) map[string]bool {
	set := make(map[string]bool)
	for _, term := range bm25.Terms(text) {
		set[term.Stem] = true
	}
	return set
}

// contentStems returns the different stems of a question that say what it is
// about, in order.
func contentStems(question string) []string {
	var stems []string
	for _, term := range bm25.Terms(question) {
		if !vagueStems[term.Stem] && !slices.Contains(stems, term.Stem) {
			stems = append(stems, term.Stem)
		}
	}
	return stems
}

// covered returns the stems that the set has.
func covered(stems []string, set map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(stems), func(stem string) bool { return !set[stem] })
}

// coverage is the share of what stems tell that the set has, 0–1: by IDF
// mass, so that the rare word that names the subject counts more than the
// common one beside it.
func coverage(stems []string, idf idfs, set map[string]bool) float64 {
	total := idf.mass(stems)
	if total == 0 || math.IsInf(total, 0) {
		return 0
	}
	return idf.mass(covered(stems, set)) / total
}

// vagueStems are of words that shape a question without saying what it is
// about: question words, auxiliaries, general verbs, adverbs and nouns. Any
// library holds them, so finding them proves nothing.
var vagueStems = stemSet(`one two three four five six seven eight nine ten worth worthwhile raise what which who whom whose when where why how whether
	do does did doing done has have having had can could may might must shall should would am been being were
	i me my we us our you your he him his she her hers its them theirs those such than then
	about after again all also although always among another any anyone anything around because before below besides best better
	between both came come compare compared did different difference each either else especially even ever every exactly few find
	finding found first from further gave get gets getting give given gives go goes going good got happen happened happens help
	helped helps here him i'd if instead itself just keep keeps kind know known last least less let like likely long look looks
	lot made main mainly make makes making many matter maybe mean means more most much need needed needs never new next nor now
	often once one only or other others out over own part people perhaps please possible put rather really reason same say
	says see seem seems seen several shown show shows side since some someone something sort still take taken takes tell than
	thing things think through too try turn two type types under until up upon use used uses using usually very want wants
	way ways well went whatever while within without work works yet explain describe list define say answer question
	paper papers article articles study studies author authors document documents library research researchers literature
	evidence according report reported reports measure measured affect affects effect effects result results
	actually typically currently recent recently today important able big small high low`)

func wordSet(list string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}
