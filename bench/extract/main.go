// Command extract measures how fast PDF files become text, beside poppler's
// pdftotext on the same files, on the same number of cores, in the same run.
//
//	taskset -c 0 go run ./bench/extract -papers ../shared/data/papers -cpus 1 -out texts
//
// Both sides read -cpus files at once: ours in that many child processes of one
// thread each, through extract.Pool as the program does, their start included;
// pdftotext in a process for each file. Both write a text file for each. Runs
// alternate; figures are medians, by the wall clock and by processor time. A
// first run of each is not counted: it fills the caches of files and of compiled
// code. taskset, where there is one, holds all of it to so many cores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(status(serve(context.Background())))
	}
	var b bench
	flag.StringVar(&b.papers, "papers", "../shared/data/papers", "the folder with the PDF files")
	flag.StringVar(&b.out, "out", "", "where to leave our texts, X.txt for X.pdf, for score_text.py; empty: nowhere")
	flag.IntVar(&b.cpus, "cpus", 1, "how many files are read at once, by either side")
	flag.IntVar(&b.runs, "runs", 5, "how many runs of each side are counted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := b.run(ctx, os.Stdout)
	stop()
	os.Exit(status(err))
}

func status(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "extract:", err)
	return 1
}

// bench is what to measure.
type bench struct {
	papers, out string
	cpus, runs  int
}

// side is one of the two that are compared. read makes dir/X.txt of each file
// X.pdf.
type side struct {
	name string
	read func(ctx context.Context, files []string, dir string) (outcome, error)
	took []time.Duration // of each counted run, by the wall clock
	used []time.Duration // processor time of its children
	last outcome
}

// outcome is what a run came to, its time aside.
type outcome struct {
	pages, failed int
	peak          int64 // bytes of the largest child; 0 is unknown
}

func (b bench) run(ctx context.Context, w io.Writer) (err error) {
	if b.cpus < 1 || b.runs < 1 {
		return errors.New("-cpus and -runs are 1 or more")
	}
	files, err := filepath.Glob(filepath.Join(b.papers, "*.pdf"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no PDF files in %s", b.papers)
	}
	tmp, err := os.MkdirTemp("", "bench-extract-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	ours := &side{name: "pdfium", read: pool{b.cpus, filepath.Join(tmp, "cache")}.read}
	sides := []*side{ours}
	if path, err := exec.LookPath("pdftotext"); err == nil {
		sides = append(sides, &side{name: "pdftotext", read: poppler{b.cpus, path}.read})
	}
	if err := b.alternate(ctx, sides, files, tmp); err != nil {
		return err
	}
	if b.out != "" {
		if err := os.CopyFS(b.out, os.DirFS(filepath.Join(tmp, ours.name))); err != nil {
			return fmt.Errorf("leave our texts: %w", err)
		}
	}
	return b.report(w, sides, len(files))
}

// alternate runs the sides in turn, once to warm up and then as often as asked.
func (b bench) alternate(ctx context.Context, sides []*side, files []string, tmp string) error {
	for i := range 1 + b.runs {
		for _, s := range sides {
			dir := filepath.Join(tmp, s.name)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			begun, used := time.Now(), childrenTime()
			got, err := s.read(ctx, files, dir)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if i > 0 {
				s.took, s.used, s.last = append(s.took, time.Since(begun)), append(s.used, childrenTime()-used), got
			}
		}
	}
	return nil
}

func (b bench) report(w io.Writer, sides []*side, files int) error {
	pages := sides[0].last.pages
	_, err := fmt.Fprintf(w, "%d files, %d pages, %d at once; %d cores may be used; %d runs, median (slowest–fastest)\n",
		files, pages, b.cpus, runtime.NumCPU(), b.runs)
	rates := make([]float64, len(sides))
	for i, s := range sides {
		slices.Sort(s.took)
		slices.Sort(s.used)
		rate := func(d time.Duration) float64 { return float64(pages) / d.Seconds() }
		rates[i] = rate(s.took[len(s.took)/2])
		_, e := fmt.Fprintf(w, "%-10s %6.1f pages/s (%.1f–%.1f), %.1f pages per second of processor, %d files failed%s\n",
			s.name, rates[i], rate(s.took[len(s.took)-1]), rate(s.took[0]), rate(s.used[len(s.used)/2]), s.last.failed, peak(s.last.peak))
		err = errors.Join(err, e)
	}
	if len(sides) == 1 {
		_, e := fmt.Fprintln(w, "pdftotext  is not installed (package poppler-utils): nothing to compare with")
		return errors.Join(err, e)
	}
	_, e := fmt.Fprintf(w, "ratio      %6.2f\n", rates[0]/rates[1])
	return errors.Join(err, e)
}

// childrenTime is the processor time of all children that have ended. Unlike
// the wall clock it does not depend on what else the machine does.
func childrenTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func peak(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf(", at most %d MB a child", bytes/1e6)
}
