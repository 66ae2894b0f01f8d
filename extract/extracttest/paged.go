// Package extracttest has an engine for made-up files whose pages misbehave, so
// that tests can lose real child processes on purpose.
package extracttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// What a page, or a whole file when it begins with Open, can be told to do to
// its reader, in a text that begins with one of these.
const (
	Open    = "!open "   // before another: as soon as the file is opened
	Crash   = "!crash"   // ends the process
	Panic   = "!panic"   // panics
	Hang    = "!hang"    // sleeps
	Balloon = "!balloon" // takes more and more memory
	Flood   = "!flood"   // emits 16 MiB of text
	Trouble = "!trouble" // fails, and might not the next time
	sep     = "\f"       // between pages
)

// File is a made-up file with the pages.
func File(pages ...string) string { return strings.Join(pages, sep) }

// Paged reads made-up files. Like an engine for PDF it looks at the pages around
// a range, and a text comes so many pages late.
type Paged struct{}

var _ voiceassist.TextEngine = Paged{}

// Name implements voiceassist.TextEngine.
func (Paged) Name() string { return "paged/1" }

// Extract implements voiceassist.TextEngine.
func (Paged) Extract(_ context.Context, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	texts := strings.Split(string(b), sep)
	if what, ok := strings.CutPrefix(texts[0], Open); ok {
		if _, err := misbehave(what); err != nil {
			return voiceassist.FileInfo{}, err
		}
	}
	info := voiceassist.FileInfo{Title: "Made up", Pages: len(texts)}
	return info, Late(pages, len(texts), func(n int) (string, error) { return misbehave(texts[n-1]) }, emit)
}

// Late emits the pages of a range of a file with n as an engine does that looks
// at the pages around each: load gets them all, in order.
func Late(pages voiceassist.PageRange, n int, load func(n int) (string, error), emit func(voiceassist.Page) error) error {
	const around = voiceassist.PageReach
	first, last := pages.Of(n)
	from, to := first, last
	if !pages.Alone() && first <= last {
		from, to = max(1, first-around), min(n, last+around)
	}
	texts := map[int]string{}
	give := func(page int) error {
		if page < from || !pages.Has(page) {
			return nil
		}
		return emit(voiceassist.Page{Number: page, Text: texts[page]})
	}
	for page := from; page <= to; page++ {
		var err error
		if texts[page], err = load(page); err != nil {
			return err
		}
		if err := give(page - around); err != nil {
			return err
		}
	}
	for page := max(from, to-around+1); page <= to; page++ {
		if err := give(page); err != nil {
			return err
		}
	}
	return nil
}

// misbehave does what the text says and returns it when that has an end.
func misbehave(text string) (string, error) {
	what, _, _ := strings.Cut(text, " ")
	switch what {
	case Crash:
		fmt.Fprintln(os.Stderr, "told to crash")
		os.Exit(3)
	case Panic:
		panic("told to panic")
	case Hang:
		time.Sleep(time.Hour)
	case Balloon:
		balloon()
	case Flood:
		return strings.Repeat("long ", 16<<20/5), nil
	case Trouble:
		return "", errors.New("told to fail")
	}
	return text, nil
}

// balloon grows by 16 MiB a millisecond.
func balloon() {
	var all [][]byte
	for {
		b := make([]byte, 16<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		time.Sleep(time.Millisecond * time.Duration(min(1, len(all))))
	}
}
