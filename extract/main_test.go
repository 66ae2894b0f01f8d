package extract_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/extract/extracttest"
)

// childArg makes the test binary a child that misbehaves as the media type says.
const childArg = "misbehaving-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(misbehave())
	}
	if len(os.Args) > 1 && os.Args[1] == doomedArg {
		os.Exit(doomedParent())
	}
	goleak.VerifyTestMain(m)
}

// doomedArg makes the test binary a parent whose child never ends.
const doomedArg = "doomed-parent"

func doomedParent() int {
	p, err := extract.NewPool(extract.Options{Path: os.Args[0], Args: []string{childArg}, Size: 1})
	if err != nil {
		return 1
	}
	_, _, err = p.Extract(context.Background(), "pid", "/dev/null", voiceassist.PageRange{}, func(page voiceassist.Page) error {
		_, err := fmt.Println(page.Text)
		return err
	})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func misbehave() int {
	engines := extract.Engines()
	for name, do := range scripts {
		engines[name] = script{name, do}
	}
	engines["paged"] = extracttest.Paged{}
	if err := extract.Serve(context.Background(), engines, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type script struct {
	name string
	do   func(path string, emit func(voiceassist.Page) error) error
}

func (s script) Name() string { return s.name + "/1" }

func (s script) Extract(_ context.Context, path string, _ voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	return voiceassist.FileInfo{Title: "Scripted", Pages: 2}, s.do(path, emit)
}

// scripts are what the engines do, by media type.
var scripts = map[string]func(path string, emit func(voiceassist.Page) error) error{
	"read": func(path string, emit func(voiceassist.Page) error) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, text := range strings.Split(string(b), "\f") {
			if err := emit(voiceassist.Page{Number: i + 1, Text: text}); err != nil {
				return err
			}
		}
		return nil
	},
	"encrypted": func(string, func(voiceassist.Page) error) error {
		return &voiceassist.Failure{Reason: voiceassist.ReasonEncrypted, Message: "Locked.", Err: errors.New("standard security handler")}
	},
	"trouble": func(string, func(voiceassist.Page) error) error { return errors.New("disk on fire") },
	"exit": func(_ string, emit func(voiceassist.Page) error) error {
		_ = emit(voiceassist.Page{Number: 1, Text: "one"})
		fmt.Fprintln(os.Stderr, strings.Repeat("noise ", 2000)+"last words")
		os.Exit(3)
		return nil
	},
	"segfault": func(string, func(voiceassist.Page) error) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
	"panic": func(_ string, emit func(voiceassist.Page) error) error {
		_ = emit(voiceassist.Page{Number: 1, Text: "one"})
		panic("index out of range")
	},
	"overflow": func(string, func(voiceassist.Page) error) error { return errors.New(fmt.Sprint(descend(1))) },
	"pid": func(_ string, emit func(voiceassist.Page) error) error {
		_ = emit(voiceassist.Page{Number: 1, Text: strconv.Itoa(os.Getpid())})
		select {}
	},
	"hang": func(string, func(voiceassist.Page) error) error { select {} },
	"wait": func(string, func(voiceassist.Page) error) error { time.Sleep(time.Hour); return nil },
	"spin": func(string, func(voiceassist.Page) error) error {
		for {
		}
	},
	"balloon": func(string, func(voiceassist.Page) error) error {
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
			if len(all)%16 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	},
	"burst": func(string, func(voiceassist.Page) error) error {
		b := make([]byte, 64<<30)
		return errors.New(fmt.Sprint(len(b)))
	},
	"garbage": func(string, func(voiceassist.Page) error) error {
		fmt.Print("Segmentation fault, or so I say, again and again")
		select {}
	},
	"flood": func(_ string, emit func(voiceassist.Page) error) error {
		for i := 1; ; i++ {
			if err := emit(voiceassist.Page{Number: i, Text: "page"}); err != nil {
				return err
			}
		}
	},
	"novel": func(_ string, emit func(voiceassist.Page) error) error {
		return emit(voiceassist.Page{Number: 1, Text: strings.Repeat("long ", 1<<20)})
	},
	"skip": func(_ string, emit func(voiceassist.Page) error) error {
		return emit(voiceassist.Page{Number: 7, Text: "seven"})
	},
	"dirty": func(_ string, emit func(voiceassist.Page) error) error {
		return emit(voiceassist.Page{Number: 1, Text: "a\x00b\xffc\xed\xa0\x80d"})
	},
	"environment": func(_ string, emit func(voiceassist.Page) error) error {
		fds, _ := os.ReadDir("/proc/self/fd")
		return emit(voiceassist.Page{Number: 1, Text: strings.Join(os.Environ(), "\n") + fmt.Sprintf("\nfds=%d", len(fds))})
	},
	"nice": func(_ string, emit func(voiceassist.Page) error) error {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		return errors.Join(err, emit(voiceassist.Page{Number: 1, Text: strconv.Itoa(20 - n)})) // the kernel answers 20 less the niceness
	},
	"write": func(path string, _ func(voiceassist.Page) error) error {
		return os.WriteFile(path+".out", []byte("x"), 0o600)
	},
}

func descend(n int) int {
	var frame [1 << 16]byte
	frame[n%len(frame)] = 1
	return descend(n+1) + int(frame[0])
}
