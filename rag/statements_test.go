package rag

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
)

func TestWholeTellsSentencesFromHeadings(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"The treatment lowered blood pressure in rats.":       true,
		"The treatment lowered blood pressure in rats [3].":   true,
		"The treatment lowered blood pressure in rats.12":     true,
		"“The treatment lowered blood pressure,” they wrote.": true,
		"Materials and methods":                               false,
		"lowered blood pressure in rats by a third.":          false,
		"The treatment lowered blood pressure in":             false,
		"Results.": false,
		"[14] systematically characterised the pattern of progression.": false,
		"8 Contraindication to aspirin or to metformin.":                false,
	} {
		if whole(s) != want {
			t.Errorf("whole(%q) = %v", s, !want)
		}
	}
}

// TestOnlyStatementsAreQuoted is made of sentences as the pipeline stores them,
// of open access papers.
func TestOnlyStatementsAreQuoted(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"In addition, salt stress showed substantial increase in the expression of OkHMGR.":                                           true,
		"Table 2 shows the doses that were given to the patients.":                                                                    true,
		"Zinc and copper are considered important for metabolizing glucose and lowering cholesterol [14, 15].":                        true,
		"A post-hoc analysis of a large phase III trial showed a significant reduction on relapse (64.9%) among women [9].":           true,
		"Progression-free survival was estimated according to the Revised Response Criteria for Malignant Lymphoma.20":                true,
		"Smith et al. (2010) found that garlic lowered blood pressure in patients with hypertension.":                                 true,
		"E. coli and S. aureus were inhibited by the oil of O. basilicum at 0.5%.":                                                    true,
		"High efficacy of HPV vaccine has been demonstrated against cervical intraepithelial neoplasia (CIN) grade II/III [3, 4].":    true,
		"The dose was 80 mg/m2 at day 1 in a 2:1 randomisation, from 2010 to 2012, in every centre.":                                  true,
		"Ethylene was lower in plants inoculated with bacteria (Glick, 1995; Hallmann et al., 1997; Knief et al., 2012).":             true,
		"Table-3: Performance parameters viz. body weight and feed intake of broilers under different treatments.":                    false,
		"Table 2 Effect of Ocimum sanctum and its saponin rich fraction on total calcium in vincristine-induced neuropathic pain.":    false,
		"Fig. 1 Hippocampus neurons of rats in the control group and in the treated group.":                                           false,
		"Figure 3: Kaplan-Meier curves of overall survival in both groups of patients.":                                               false,
		"Supplementary Table S2. Primers used for amplification of the genes under study.":                                            false,
		"Peinado, M., Ruij, R., Echavarri, A., Aranda-Olmedo, I. and Rubio, L. (2013) Garlic erivative PTS-O modulates microbiota.":   false,
		"Raigond P, Raigond B, Kaundal B, Singh B, Joshi A, Dutt S. Effect of zinc nanoparticles on potato plants.":                   false,
		"Din S, Akram W, Khan HAA, Hussain A, Hafeez F (2011) Citrus Waste-derived essential oils: Alternative larvicides.":           false,
		"Uma Devi, P. (2001) Radioprotective, anticarcinogenic and antioxidant properties of the Indian Holy Basil.":                  false,
		"(1998) Effect of Garlic and Neem Leaves Supplementation on the Performance of Broiler Chickens.":                             false,
		"M. Nasrollahzadeh, S. M. Sajadi, and M. Khatami, “Green synthesis of copper nanoparticles using plant extracts.”":            false,
		"Veterinary World, 11(2): 135-140 is the place of this article in print.":                                                     false,
		"How to cite this article: Kusindarta DL, Haryanto A (2018) The analysis of hippocampus neuronal density.":                    false,
		"This is an open access article distributed under the Creative Commons Attribution License.":                                  false,
		"© The Author(s) 2021 under exclusive licence to a publisher of journals.":                                                    false,
		"Department of Oncology, Faculty of Medicine, University of Somewhere, Some Town, Some Country.":                              false,
		"Keywords: aspirin, metformin, colorectal cancer, chemoprevention, aberrant crypt foci.":                                      false,
		"Received 3 March 2020; revised version in April, accepted in May by the editors.":                                            false,
		"The The isolated isolated compound, compound, phy-a, phy-a, inhibited inhibited HIV-1 HIV-1 PR PR with with an an estimate.": false,
		"Conclusion: waterlogging without inoculum plants. stressed uninoculated soil. autoclaved using conditions days.":             false,
	} {
		if got := len(statements(voiceassist.Passage{Text: s, Section: "Results"})) == 1; got != want {
			t.Errorf("%q is quoted: %v, want %v", s, got, want)
		}
	}
}

func TestTitlesWithinReferencesAreNotQuoted(t *testing.T) {
	t.Parallel()
	text := "Flooded soil holds little oxygen for the roots. Ethylene was lowered by the bacteria in all plants. " +
		"They grew taller than the others. The yield of grain was higher, too.\n\n" +
		"Grichko VP, Glick BR. Amelioration of flooding stress by ACC deaminase-containing bacteria. Plant Physiol Biochem. 2001;39:11–7."
	want := []string{
		"Flooded soil holds little oxygen for the roots.", "Ethylene was lowered by the bacteria in all plants.",
		"They grew taller than the others.", "The yield of grain was higher, too.",
	}
	var got []string
	for _, s := range statements(voiceassist.Passage{Text: text}) {
		got = append(got, s.Text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAsidesAreToldByTheirSection(t *testing.T) {
	t.Parallel()
	for section, want := range map[string]bool{
		"References": true, "REFERENCES": true, "6. References": true, "Literature cited": true, "Acknowledgements": true,
		"Acknowledgment": true, "Authors’ contributions": true, "Author contributions": true, "Funding": true, "Conflict of interest": true,
		"Declaration of competing interest": true, "Abbreviations": true, "Availability of data and materials": true,
		"Ethics approval and consent to participate": true, "Publisher’s Note": true, "Keywords": true, "Supplementary Materials": true,
		"": false, "Results": false, "Discussion": false, "Patient information": false, "Reference values": false,
		"Funding of hospitals and outcomes": false, "Contributions of genes to risk": false, "Limitations": false,
	} {
		if got := aside(voiceassist.Passage{Section: section, Text: "Aspirin helps."}); got != want {
			t.Errorf("a passage of %q is aside: %v, want %v", section, got, want)
		}
	}
}

func TestSourcesAreSubstanceWhereThereIsAny(t *testing.T) {
	t.Parallel()
	text := voiceassist.Hit{Passage: voiceassist.Passage{Text: "Aspirin helps against headache.", Section: "Results"}}
	list := voiceassist.Hit{Passage: voiceassist.Passage{Text: "Aspirin and headache.", Section: "References"}}
	if got := substance([]voiceassist.Hit{list, text}); len(got) != 1 || got[0].Passage.Section != "Results" {
		t.Errorf("the sources are %+v", got)
	}
	if got := substance([]voiceassist.Hit{list}); len(got) != 1 {
		t.Errorf("with nothing else the sources are %+v", got)
	}
}
