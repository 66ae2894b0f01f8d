package extract

import (
	"cmp"
	"fmt"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Limits bound what reading one document, or one range of its pages, may cost.
// Whatever overruns one is a too_complex Failure and its child is replaced. Zero
// fields are the defaults.
type Limits struct {
	// Timeout is how long the reading may take, without the time that the
	// caller's emit takes. Default 120 s.
	Timeout time.Duration
	// PageTimeout is how long the child may be without giving the next page, or
	// the end after the last, without the time of emit. Default 20 s.
	PageTimeout time.Duration
	// CPUTime is how much processor time it may take. Default: Timeout.
	CPUTime time.Duration
	// Memory is the resident memory a child may have, in bytes, looked at ten
	// times a second. Default 1 GiB.
	Memory int64
	// AddressSpace is the address space a child may have, in bytes. It stops
	// what grows faster than Memory is looked at. Default 4 GiB: the Go runtime
	// and PDFium reserve 1.7 GB and use 39 MB of it before the first document.
	AddressSpace int64
	// MaxPages is how many pages a document may have. Default 10,000.
	MaxPages int
	// MaxOutput is how much text a document may have, in bytes, and one page.
	// Default 64 MiB.
	MaxOutput int64
	// MaxDocuments is how many documents a child reads before it is replaced,
	// so that what leaks in it stays small. Those that this package's own engines
	// read do not count: nothing of them is left, and starting PDFium costs more
	// than reading a hundred. Default 50.
	MaxDocuments int
}

func (l Limits) withDefaults() Limits {
	l.Timeout = cmp.Or(l.Timeout, 120*time.Second)
	l.PageTimeout = cmp.Or(l.PageTimeout, 20*time.Second)
	l.CPUTime = cmp.Or(l.CPUTime, l.Timeout)
	l.Memory = cmp.Or(l.Memory, 1<<30)
	l.AddressSpace = cmp.Or(l.AddressSpace, 4<<30)
	l.MaxPages = cmp.Or(l.MaxPages, 10_000)
	l.MaxOutput = cmp.Or(l.MaxOutput, 64<<20)
	l.MaxDocuments = cmp.Or(l.MaxDocuments, 50)
	return l
}

// Overrun is a too_complex Failure that a page may be to blame for: it says what
// the child overran while it read. Limits of the document as a whole, its pages
// and its text, are no Overrun.
type Overrun struct {
	Fault   voiceassist.PageFault // of the page, if it is one page's
	Failure *voiceassist.Failure
}

func (o *Overrun) Error() string { return o.Failure.Error() }
func (o *Overrun) Unwrap() error { return o.Failure }

func overrun(fault voiceassist.PageFault, format string, args ...any) error {
	return &Overrun{Fault: fault, Failure: tooComplex(format, args...)}
}

func tooManyPages(l Limits) error { return tooComplex("it has more than %d pages", l.MaxPages) }

func tooComplex(format string, args ...any) *voiceassist.Failure {
	return &voiceassist.Failure{
		Reason:  voiceassist.ReasonTooComplex,
		Message: "The file is too complex to read: " + fmt.Sprintf(format, args...) + ".",
	}
}
