package layout

import "testing"

// body is enough text below a title for the middle of the page to be below it.
func (s *sheet) body(y float64) *sheet {
	for i := range 30 {
		s.draw(50, y+12*float64(i), "Sleep is a state of the mind and of the body.")
	}
	return s
}

func TestATitleIsTheLargestTypeOfTheUpperHalf(t *testing.T) {
	t.Parallel()
	const title = "Sleep and rest in the elderly"
	for name, c := range map[string]struct {
		sheet *sheet
		want  string
	}{
		"one line": {new(sheet).styled(50, 80, 16, true, title).body(120), title},
		"two lines of it": {
			new(sheet).styled(50, 80, 16, true, "Sleep and rest: a double-").styled(50, 98, 16, true, "blind trial of coffee*").body(120),
			"Sleep and rest: a double-blind trial of coffee",
		},
		"authors in a smaller size":          {new(sheet).styled(50, 80, 16, true, title).styled(50, 98, 12, false, "Ada Author and Bob Boss").body(120), title},
		"authors in the same size, not bold": {new(sheet).styled(50, 80, 16, true, title).styled(50, 98, 16, false, "Ada Author and Bob Boss").body(120), title},
		"a kind of article above it":         {new(sheet).styled(50, 64, 16, true, "R ESEAR CH AR TIC LE Open Access").styled(50, 82, 16, true, title).body(120), title},
		"a larger logo above it":             {new(sheet).styled(50, 40, 30, true, "rest").styled(50, 80, 16, true, title).body(120), title},
		"a journal's name above it":          {new(sheet).styled(50, 40, 20, true, "The European Journal of Sleep").styled(50, 80, 16, true, title).body(120), title},
		"a journal's name known by its volume": {
			new(sheet).styled(50, 40, 20, true, "Sleep and Rest Today").styled(50, 80, 16, true, title).draw(50, 20, "Sleep and Rest Today 12 (2020) 7").body(120),
			title,
		},
		"a drop cap":                           {new(sheet).styled(50, 120, 40, false, "S").draw(72, 120, "leep is a state of mind").body(140), ""},
		"a name too short, and authors":        {new(sheet).styled(50, 80, 20, true, "Sleep").styled(50, 104, 12, false, "Ada Author and Bob Boss of Resting").body(120), ""},
		"nothing but names of authors":         {new(sheet).styled(50, 80, 16, true, "Ada Author*, Bob Boss† and Others").body(120), ""},
		"a heading with a number":              {new(sheet).styled(50, 80, 16, true, "1 About sleep and rest").body(120), ""},
		"a heading in the lower half":          {new(sheet).body(120).styled(50, 600, 16, true, title), ""},
		"type that is hardly larger than text": {new(sheet).styled(50, 80, 11, true, title).body(120), ""},
		"a large text that is longer than 300": {new(sheet).styled(50, 60, 12, false, long(301)).body(120), ""},
		"a page without text":                  {new(sheet), ""},
	} {
		if got := Read(c.sheet.glyphs).Title(); got != c.want {
			t.Errorf("%s: Title() = %q, want %q", name, got, c.want)
		}
	}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "sleep "[i%6]
	}
	return string(b)
}
