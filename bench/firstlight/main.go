// Command firstlight shows the main job on real input and prints its figures:
// it starts a program of its own (`voiceassist up`, empty, on a free port),
// loads real papers over HTTP, asks about them on both chat sockets and checks
// every quote against the stored page, uploads damaged and odd files, and
// measures the memory that large uploads cost.
//
//	go run ./bench/firstlight -bin bin/voiceassist
//
// The data is found through SHARED_DATA (default ../shared/data).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

// flagBin is the program to measure.
var flagBin string

func main() {
	flag.StringVar(&flagBin, "bin", "bin/voiceassist", "the program to measure")
	only := flag.String("only", "papers,nasty,memory,kill", "which parts to run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "firstlight:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, parts []string) (err error) {
	data, err := system.SharedData("../shared/data")
	if err != nil {
		return err
	}
	s, err := startSystem(ctx, flagBin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	for _, part := range []struct {
		name string
		run  func(context.Context, *running, string) error
	}{{"papers", papers}, {"nasty", nasty}, {"memory", memory}, {"kill", kill}} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		if err := part.run(ctx, s, data); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// questions are in plain words, not in those of the titles, each with the
// paper that answers it.
var questions = []struct{ paper, text string }{
	{"PMC1397864", "Does turmeric protect the heart after blood flow is blocked and restored?"},
	{"PMC2832770", "Can holy basil ease nerve pain caused by chemotherapy in rats?"},
	{"PMC5301171", "Do chickens grow better when garlic powder is added to their feed?"},
	{"PMC5745208", "How are copper nanoparticles made with plants and do they kill bacteria?"},
	{"PMC5758638", "Do oils from citrus seeds kill mosquito larvae?"},
	{"PMC6150305", "Which compound of Ocimum labiatum inhibits the HIV protease?"},
	{"PMC7599108", "Can aspirin together with metformin prevent bowel cancer?"},
	{"PMC7899845", "Does ear acupuncture reduce vomiting from cisplatin?"},
	{"PMC7908724", "Could virtual reality prepare breast cancer patients for radiotherapy?"},
	{"PMC8078272", "Do drinkable nutrition supplements help patients with cancer of the oesophagus during radiotherapy?"},
}

var offTopic = []string{
	"How do I bake a chocolate cake?",
	"How much income tax do I have to pay in Germany?",
	"Which football club won the Champions League in 2014?",
}

// papers loads the papers and asks about them.
func papers(ctx context.Context, s *running, data string) error {
	files, err := filepath.Glob(filepath.Join(data, "papers", "*.pdf"))
	if err != nil {
		return err
	}
	begun := time.Now()
	ids := make(map[string]string) // paper by document
	for _, file := range files {
		id, err := s.upload(ctx, file)
		if err != nil {
			return fmt.Errorf("upload %s: %w", file, err)
		}
		ids[id] = filepath.Base(file)
	}
	fates, err := s.await(ctx, ids)
	if err != nil {
		return err
	}
	pages := 0
	for _, f := range fates {
		pages += f.Pages
	}
	took := time.Since(begun)
	fmt.Printf("papers      %d uploaded, %s; %d pages in %.1f s, %.0f pages/s\n",
		len(files), tally(fates), pages, took.Seconds(), float64(pages)/took.Seconds())
	for _, socket := range []dialect{v2, v1} {
		if err := askAll(ctx, s, socket, ids); err != nil {
			return err
		}
	}
	return nil
}

func askAll(ctx context.Context, s *running, d dialect, ids map[string]string) error {
	right, quotes, proved, silent := 0, 0, 0, 0
	for _, q := range questions {
		citations, err := s.ask(ctx, d, q.text)
		if err != nil {
			return fmt.Errorf("ask on %s: %w", d.path, err)
		}
		hit := false
		for _, c := range citations {
			quotes++
			hit = hit || strings.Contains(ids[c.DocumentID], q.paper)
			text, err := s.pageText(ctx, c)
			if err != nil {
				return err
			}
			if runes := []rune(text); c.CharEnd <= len(runes) && string(runes[c.CharStart:c.CharEnd]) == c.Quote {
				proved++
			}
		}
		if hit {
			right++
		} else {
			fmt.Printf("            the right paper is not cited: %s\n", q.text)
		}
	}
	for _, q := range offTopic {
		citations, err := s.ask(ctx, d, q)
		if err != nil {
			return fmt.Errorf("ask on %s: %w", d.path, err)
		}
		if len(citations) == 0 {
			silent++
		}
	}
	fmt.Printf("%-16s %d of %d questions cite the right paper; %d of %d quotes proved; %d of %d off-topic ones cite nothing\n",
		d.path, right, len(questions), proved, quotes, silent, len(offTopic))
	return nil
}

// nasty uploads the damaged and the odd files and waits for the fate of each.
func nasty(ctx context.Context, s *running, data string) error {
	for _, folder := range []string{"pdf-nasty", "pdf-odd"} {
		files, err := filepath.Glob(filepath.Join(data, folder, "*.pdf"))
		if err != nil {
			return err
		}
		begun := time.Now()
		ids, refused := make(map[string]string), make(map[string]int)
		for _, file := range files {
			id, err := s.upload(ctx, file)
			if r, ok := errors.AsType[*system.Refusal](err); ok {
				refused[r.Code]++
				continue
			}
			if err != nil {
				return fmt.Errorf("upload %s: %w", file, err)
			}
			ids[id] = filepath.Base(file)
		}
		fates, err := s.await(ctx, ids)
		if err != nil {
			return err
		}
		var slowest fate
		for _, f := range fates {
			if f.Took > slowest.Took {
				slowest = f
			}
		}
		fmt.Printf("%-11s %d uploaded in %.0f s: refused %v, %s; slowest %s (%s)\n",
			folder, len(files), time.Since(begun).Seconds(), refused, tally(fates), slowest.Took.Round(time.Millisecond), slowest.Name)
	}
	parent, err := s.peakMB()
	if err != nil {
		return err
	}
	child, err := s.Metrics(ctx, "voiceassist_reader_peak_resident_bytes ")
	if err != nil {
		return err
	}
	fmt.Printf("memory      peak of the process %d MB, of the largest reader %d MB\n", parent, int(child)>>20)
	return nil
}

func tally(fates []fate) string {
	counts := make(map[string]int)
	for _, f := range fates {
		counts[strings.TrimSpace(f.Status+" "+f.ErrorCode)]++
	}
	var parts []string
	for name, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// memory measures what large uploads cost.
func memory(ctx context.Context, s *running, _ string) error {
	for _, n := range []int{1, 20} {
		grown, err := s.growth(ctx, func() error { return s.uploadLarge(ctx, n, 45<<20) })
		if err != nil {
			return err
		}
		fmt.Printf("memory      %d upload(s) of 45 MB at once: the process grew by %.0f MB\n", n, grown)
	}
	return nil
}
