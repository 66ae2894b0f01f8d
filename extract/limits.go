package extract

import (
	"cmp"
	"fmt"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Limits bound what one document may cost. A document that overruns one is a
// too_complex Failure and its child is replaced. Zero fields are the defaults.
type Limits struct {
	// Timeout is how long reading one document may take, without the time that
	// the caller's emit takes. Default 120 s.
	Timeout time.Duration
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
	// MaxOutput is how much text a document may have, in bytes. Default 64 MiB.
	MaxOutput int64
	// MaxDocuments is how many documents a child reads before it is replaced,
	// so that what leaks in it stays small. Default 50.
	MaxDocuments int
}

func (l Limits) withDefaults() Limits {
	l.Timeout = cmp.Or(l.Timeout, 120*time.Second)
	l.CPUTime = cmp.Or(l.CPUTime, l.Timeout)
	l.Memory = cmp.Or(l.Memory, 1<<30)
	l.AddressSpace = cmp.Or(l.AddressSpace, 4<<30)
	l.MaxPages = cmp.Or(l.MaxPages, 10_000)
	l.MaxOutput = cmp.Or(l.MaxOutput, 64<<20)
	l.MaxDocuments = cmp.Or(l.MaxDocuments, 50)
	return l
}

func tooComplex(format string, args ...any) error {
	return &voiceassist.Failure{
		Reason:  voiceassist.ReasonTooComplex,
		Message: "The file is too complex to read: " + fmt.Sprintf(format, args...) + ".",
	}
}
