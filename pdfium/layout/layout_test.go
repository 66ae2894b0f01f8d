package layout

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// sheet is a page being drawn: 10-point text, 12 points from line to line,
// every character half an em wide.
type sheet struct{ glyphs []Glyph }

const em = 10.0

// draw puts a line at x, y points from the left and the top.
func (s *sheet) draw(x, y float64, text string) *sheet { return s.styled(x, y, em, false, text) }

func (s *sheet) styled(x, y, size float64, bold bool, text string) *sheet {
	for _, r := range text {
		w := size / 2
		s.glyphs = append(s.glyphs, Glyph{
			Rune: r, Left: x, Right: x + w, Top: 800 - y + size, Bottom: 800 - y - size/4, X: x, Y: 800 - y, Size: size, Bold: bold,
		})
		x += w
	}
	return s
}

// lines draws lines one below the other.
func (s *sheet) lines(x, y float64, texts ...string) *sheet {
	for i, t := range texts {
		s.draw(x, y+12*float64(i), t)
	}
	return s
}

func (s *sheet) paragraphs() []string {
	text := Read(s.glyphs).text(nil)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n\n")
}

func check(t *testing.T, s *sheet, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.paragraphs()); diff != "" {
		t.Errorf("paragraphs (-want +got):\n%s", diff)
	}
}

func TestColumnsAreReadOneAfterTheOther(t *testing.T) {
	t.Parallel()
	left := []string{"Sleep is a state of the mind and", "of the body in which awareness of", "the surroundings is lost for hours", "and most muscles are at rest while"}
	right := []string{"the brain is not. It is found in all", "animals that were looked at closely", "and takes a third of human life, so", "that its loss has many consequences."}
	want := strings.Join(left, " ") + " " + strings.Join(right, " ")
	for name, offset := range map[string]float64{"lines side by side": 0, "lines in between": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			byColumn := new(sheet).lines(50, 100, left...).lines(250, 100+offset, right...)
			check(t, byColumn, want)
			byLine := &sheet{}
			for i := range left {
				byLine.draw(50, 100+12*float64(i), left[i]).draw(250, 100+12*float64(i)+offset, right[i])
			}
			check(t, byLine, want)
		})
	}
}

func TestWhatSpansTheColumnsComesBeforeThem(t *testing.T) {
	t.Parallel()
	s := new(sheet).
		lines(250, 140, "The right column has lines enough", "for a person to see that it is one", "column and not a word or two that", "stand apart by chance.").
		lines(50, 140, "The left column has just as many of", "them, and is to be read before the", "other one although it was drawn on", "the page after it.").
		styled(120, 100, 16, true, "A title above them both")
	check(t, s, "A title above them both",
		"The left column has just as many of them, and is to be read before the other one although it was drawn on the page after it.",
		"The right column has lines enough for a person to see that it is one column and not a word or two that stand apart by chance.")
}

func TestAWideSpaceInOneLineIsNoColumn(t *testing.T) {
	t.Parallel()
	s := new(sheet).lines(50, 100, "Justified text has wide spaces where", "a long", "word does not fit into a line, which", "is no reason to tear it apart.")
	s.draw(176, 112, "unbreakable")
	check(t, s, "Justified text has wide spaces where a long unbreakable word does not fit into a line, which is no reason to tear it apart.")
}

func TestATableIsReadByRows(t *testing.T) {
	t.Parallel()
	s := &sheet{}
	for i, row := range [][]string{{"Drug", "Dose", "Effect"}, {"Aspirin", "100 mg", "good"}, {"Metformin", "500 mg", "better"}, {"Placebo", "none", "small"}} {
		for j, cell := range row {
			s.draw(50+100*float64(j), 100+12*float64(i), cell)
		}
	}
	check(t, s, "Drug Dose Effect\nAspirin 100 mg good\nMetformin 500 mg better\nPlacebo none small")
}

func TestTheLinesOfATablesCellStayTogether(t *testing.T) {
	t.Parallel()
	s := &sheet{}
	for i, row := range [][2]string{{"Reduced pain in", "No nausea was seen"}, {"Longer sleep in", "Dry mouth in some"}, {"Fewer attacks in", "Rash in one of them"}, {"Lower fever in", "None was reported"}} {
		y := 100 + 24*float64(i)
		s.lines(50, y, row[0], "most of them").lines(200, y, row[1], "for the whole time")
	}
	got := s.paragraphs()
	if len(got) != 1 || !strings.Contains(got[0], "Longer sleep in most of them Dry mouth in some for the whole time") {
		t.Errorf("paragraphs = %q, want each cell's lines together", got)
	}
}

func TestLabelsStayWithTheirLines(t *testing.T) {
	t.Parallel()
	s := new(sheet).lines(50, 100, "1.1", "1.2", "1.3", "1.4").
		lines(90, 100, "What this is about . . . . . . . .", "Who it was made for . . . . . . .", "How it is to be used . . . . . . .", "When it will be done . . . . . . .").
		lines(300, 100, "1", "2", "2", "5")
	check(t, s, "1.1 What this is about … 1", "1.2 Who it was made for … 2", "1.3 How it is to be used … 2", "1.4 When it will be done … 5")
}

func TestParagraphsStartAtAGapAnIndentAHeadingOrAListItem(t *testing.T) {
	t.Parallel()
	s := new(sheet).lines(50, 100, "The first paragraph is two lines long.", "It ends here, at the right margin.....").
		draw(65, 124, "The second starts with an indent and").draw(50, 136, "has no gap above it.").
		lines(50, 160, "The third comes after a gap, as many", "do nowadays.").
		styled(50, 184, em, true, "Methods").lines(50, 196, "The fourth has a heading in bold type", "right above it:").
		lines(50, 220, "• one thing and", "• another")
	check(t, s,
		"The first paragraph is two lines long. It ends here, at the right margin…",
		"The second starts with an indent and has no gap above it.",
		"The third comes after a gap, as many do nowadays.",
		"Methods",
		"The fourth has a heading in bold type right above it:",
		"• one thing and", "• another")
}

func TestWordsSplitAtALineEndAreJoined(t *testing.T) {
	t.Parallel()
	s := new(sheet).lines(50, 100, "Patients were ran\u0002", "domised to early treat-", "ment of COVID-", "19 or to usual care, in all para\u00ad", "graphs.")
	check(t, s, "Patients were randomised to early treatment of COVID-19 or to usual care, in all paragraphs.")
}

func TestACaptionDoesNotInterruptASentence(t *testing.T) {
	t.Parallel()
	s := new(sheet).lines(50, 100, "The sentence that is going on here is a long one and it", "does not end before the figure, but").
		styled(50, 140, 8, false, "Figure 1. Something else.").
		lines(50, 170, "goes on below it as if nothing had been in between.", "And so on.")
	check(t, s, "The sentence that is going on here is a long one and it does not end before the figure, but goes on below it as if nothing had been in between. And so on.",
		"Figure 1. Something else.")
}

func TestRaisedAndLoweredFiguresStayInTheirWord(t *testing.T) {
	t.Parallel()
	s := new(sheet).draw(50, 100, "CO").styled(60, 103, 6, false, "2").draw(63, 100, " rose by 10").styled(118, 96, 6, false, "3").draw(121, 100, " in all")
	check(t, s, "CO2 rose by 103 in all")
}

func TestThinSpacesSeparateWordsAndLetterSpacingDoesNot(t *testing.T) {
	t.Parallel()
	check(t, new(sheet).draw(50, 100, "500").draw(66.5, 100, "mg"), "500 mg")
	spaced := &sheet{}
	for i, r := range "ABSTRACT" {
		spaced.draw(50+6.5*float64(i), 100, string(r))
	}
	check(t, spaced, "ABSTRACT")
}

func TestLettersWithoutACodePointOfTheirOwnAreSpelledOut(t *testing.T) {
	t.Parallel()
	check(t, new(sheet).draw(50, 100, "eﬃcient ﬂow of 𝜇g with 𝑝 at 5²"), "efficient flow of μg with p at 5²")
	th := new(sheet).draw(50, 100, "*e").draw(90, 100, "*note")
	th.glyphs[0].Left -= 6
	check(t, th, "The *note")
}

func TestWhatCannotBeStoredIsDropped(t *testing.T) {
	t.Parallel()
	check(t, new(sheet).draw(50, 100, "a\x00b\x01c\uffff"), "abc")
	odd := new(sheet).draw(50, 100, "ok")
	odd.glyphs = append(odd.glyphs, Glyph{Rune: 0xd835, Size: 1}, Glyph{Rune: -1, Size: 1}, Glyph{Rune: 'x', Left: math.NaN(), Size: 1}, Glyph{Rune: 'y', X: math.Inf(1), Size: 1})
	check(t, odd, "ok")
}

func TestTextPrintedTwiceIsReadOnce(t *testing.T) {
	t.Parallel()
	text := []string{"A scan with its text recognised", "twice says everything two times", "unless one of them is dropped."}
	check(t, new(sheet).lines(50, 100, text...).lines(51, 101, text...), strings.Join(text, " "))
}

func TestTurnedTextComesAfterTheRest(t *testing.T) {
	t.Parallel()
	s := &sheet{}
	for i, r := range "up the margin" {
		y := 300 + 5*float64(i)
		s.glyphs = append(s.glyphs, Glyph{Rune: r, Left: 20, Right: 32, Bottom: y, Top: y + 5, X: 30, Y: y, Size: em, Angle: math.Pi / 2})
	}
	check(t, s.lines(50, 100, "Most of the page is set upright", "and is what people read."), "Most of the page is set upright and is what people read.", "up the margin")
}

func TestAPageOnItsSideIsReadAsIfItWereNot(t *testing.T) {
	t.Parallel()
	s := new(sheet).lines(50, 100, "A page on its side is turned, and", "read in the same order.")
	want := s.paragraphs()
	for i, g := range s.glyphs { // a quarter turn counter-clockwise
		s.glyphs[i] = Glyph{Rune: g.Rune, Left: -g.Top, Right: -g.Bottom, Bottom: g.Left, Top: g.Right, X: -g.Y, Y: g.X, Size: g.Size, Angle: math.Pi / 2}
	}
	check(t, s, want...)
}

func TestRightToLeftLinesKeepTheirLogicalOrder(t *testing.T) {
	t.Parallel()
	s := &sheet{}
	x := 200.0
	for _, r := range "שלום עולם" {
		s.glyphs = append(s.glyphs, Glyph{Rune: r, Left: x - 5, Right: x, Top: 710, Bottom: 698, X: x - 5, Y: 700, Size: em})
		x -= 5
	}
	check(t, s, "שלום עולם")
}

func TestScriptsWithoutSpacesAreJoinedWithoutOne(t *testing.T) {
	t.Parallel()
	check(t, new(sheet).lines(50, 100, "糖尿病患者的血糖控制目标应当", "个体化。"), "糖尿病患者的血糖控制目标应当个体化。")
}

// pagesOf runs sheets through a Document.
func pagesOf(t *testing.T, sheets ...*sheet) []string {
	t.Helper()
	var texts []string
	d := NewDocument(func(text string) error {
		texts = append(texts, text)
		return nil
	})
	for _, s := range sheets {
		if err := d.Add(Read(s.glyphs)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestRunningHeadsAndPageNumbersAreDroppedAndCaptionsAreNot(t *testing.T) {
	t.Parallel()
	var sheets []*sheet
	var want []string
	for _, p := range []struct{ number, text string }{{"8", "Sleep is healthy."}, {"9", "Coffee is not."}, {"10", ""}, {"11", "Tea is in between."}} {
		head := "Journal of Rest 12 (2020)"
		if p.number == "9" || p.number == "11" {
			head = "Smith et al."
		}
		s := new(sheet).draw(50, 30, head).draw(50, 100, p.text).
			draw(50, 700, "Figure "+p.number+". Curves.").draw(300, 760, p.number)
		sheets = append(sheets, s)
		text := "Figure " + p.number + ". Curves."
		if p.text != "" {
			text = p.text + "\n\n" + text
		}
		want = append(want, text)
	}
	if diff := cmp.Diff(want, pagesOf(t, sheets...)); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func TestEveryPageIsEmittedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	var sheets []*sheet
	var want []string
	for i := range 9 {
		text := "Page " + strings.Repeat("i", i+1)
		sheets, want = append(sheets, new(sheet).draw(50, 100, text)), append(want, text)
		if diff := cmp.Diff(want, pagesOf(t, sheets...)); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
	}
}

func TestACompoundKeepsItsHyphenWhereTheDocumentHasItWithOneOnly(t *testing.T) {
	t.Parallel()
	split := func() *sheet {
		return new(sheet).lines(50, 100, "This is (well-", "known), and it is re‐", "sistant, as all know.")
	}
	for name, c := range map[string]struct{ other, want string }{
		"nowhere else":      {"Nothing of the kind.", "This is (wellknown), and it is resistant, as all know."},
		"with a hyphen":     {"Well‑known facts.", "This is (well-known), and it is resistant, as all know."},
		"with and without":  {"Well-known and wellknown facts.", "This is (wellknown), and it is resistant, as all know."},
		"only as two words": {"Well known facts.", "This is (wellknown), and it is resistant, as all know."},
	} {
		other := new(sheet).draw(50, 100, c.other)
		if got := pagesOf(t, other, split())[1]; got != c.want {
			t.Errorf("%s, before: %q, want %q", name, got, c.want)
		}
		if got := pagesOf(t, split(), other)[0]; got != c.want {
			t.Errorf("%s, after: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(uint64(1), 40, "Any text.\x02 with-\nhyphens 糖 שלום ﬁ")
	f.Add(uint64(2), 3000, "ab c")
	f.Fuzz(func(t *testing.T, seed uint64, n int, text string) {
		runes := []rune(text)
		if len(runes) == 0 || n < 0 || n > 5000 {
			return
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		glyphs := make([]Glyph, n)
		for i := range glyphs {
			x, y, size := rnd.Float64()*600, rnd.Float64()*800, 1+rnd.Float64()*20
			glyphs[i] = Glyph{
				Rune: runes[rnd.IntN(len(runes))], Left: x, Right: x + rnd.Float64()*20 - 2, Bottom: y, Top: y + size,
				X: x, Y: y, Size: size, Angle: rnd.Float64()*40 - 20, Bold: rnd.IntN(2) == 0,
			}
		}
		page := Read(glyphs)
		if title := page.Title(); !utf8.ValidString(title) {
			t.Errorf("title is not valid UTF-8: %q", title)
		}
		got := page.text(vocabularyOf([]*Page{page}))
		if !utf8.ValidString(got) {
			t.Errorf("text is not valid UTF-8: %q", got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
			t.Errorf("text has a control character at %d: %q", i, got)
		}
		for p := range strings.SplitSeq(got, "\n\n") {
			if got != "" && strings.TrimSpace(p) == "" {
				t.Errorf("text has an empty paragraph: %q", got)
			}
		}
	})
}
