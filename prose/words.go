package prose

import "strings"

// Words whose full stop need not end a sentence, in lower case and without it.
var (
	// abbreviations never end one.
	abbreviations = set(`e.g i.e eg ie cf viz vs v.s ca approx incl excl esp dr prof mr mrs ms st dept univ fig figs eq eqs eds
		subsp ssp var gen`)

	// doubtful words do in front of an opener only: "by Lee et al. The samples …".
	doubtful = set(`al etc resp sp spp i.v i.p s.c i.m p.o b.i.d t.i.d q.i.d a.m p.m u.s u.k ph.d m.d jr sr inc ltd corp co wt temp max avg
		std conc aq ser ed jan feb mar apr jun jul aug sep sept oct nov dec`)

	// numberTakers do unless a number follows: "the answer is no. Patients".
	numberTakers = set(`no nos n p pp vol vols art ch chap par ref refs tab sec suppl cat lot`)

	// openers are words that follow an initial or a doubtful word only when
	// that was the last of its sentence: "hepatitis C. The virus …".
	openers = set(`the a an this these that those it its they we their our in on at for from with by to after before during as
		if both all some most however although while when where since because there here he she
		moreover furthermore further additionally therefore thus hence finally then similarly
		patients participants subjects results samples data values no not only one two three`)
)

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
