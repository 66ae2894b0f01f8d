package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"golang.org/x/sync/errgroup"

	"github.com/voiceassist/backend/bench/internal/system"
)

// startSystem starts the program on a directory of its own and signs in.
func startSystem(ctx context.Context, bin string) (*running, error) {
	dir, err := system.MakeDir()
	if err != nil {
		return nil, err
	}
	s := &running{bin: bin, dir: dir}
	return s, s.start(ctx)
}

// running is a program that was started to be measured.
type running struct {
	*system.Up
	bin string
	dir string
}

// start starts the program and signs in once it says that it is ready.
func (s *running) start(ctx context.Context) (err error) {
	begun := time.Now()
	if s.Up, err = system.StartUp(ctx, s.bin, s.dir, "ACCESS_TOKEN_TTL=24h"); err != nil {
		return err
	}
	fmt.Printf("start       ready after %.1f s\n", time.Since(begun).Seconds())
	return s.SignIn(ctx, system.Email, system.Password)
}

// end stops the program and removes what it kept.
func (s *running) end() error {
	var err error
	if s.Up != nil {
		err = s.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *running) upload(ctx context.Context, file string) (id string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	up, err := s.Upload(ctx, filepath.Base(file), "", f)
	return up.ID, err
}

// uploadLarge sends n different files of size bytes at once. They begin as PDF
// and go on as noise: what is measured is taking them in.
func (s *running) uploadLarge(ctx context.Context, n int, size int64) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			head := fmt.Sprintf("%%PDF-1.7\n%% %d %d\n", i, time.Now().UnixNano())
			_, err := s.Upload(ctx, fmt.Sprintf("large-%d.pdf", i), "", io.MultiReader(strings.NewReader(head), io.LimitReader(noise{}, size)))
			return err
		})
	}
	return g.Wait()
}

type noise struct{}

func (noise) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i*7 + 13)
	}
	return len(p), nil
}

// fate is what became of a document.
type fate struct {
	Name      string
	Status    string
	ErrorCode string `json:"error_code"`
	Pages     int    `json:"page_count"`
	Took      time.Duration
}

// await waits until each document is indexed or has failed.
func (s *running) await(ctx context.Context, ids map[string]string) ([]fate, error) {
	var fates []fate
	begun := time.Now()
	for id, name := range ids {
		for {
			var reply struct{ Data fate }
			if err := s.Do(ctx, http.MethodGet, "/api/admin/kb/documents/"+id, "", nil, &reply); err != nil {
				return nil, err
			}
			if f := reply.Data; f.Status == "indexed" || f.Status == "failed" {
				f.Name = name
				f.Took, _ = s.jobTook(ctx, id)
				fates = append(fates, f)
				break
			}
			if time.Since(begun) > 10*time.Minute {
				return nil, fmt.Errorf("%s is still %s", name, reply.Data.Status)
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return fates, nil
}

// jobTook returns how long a document's last job took from its first start.
func (s *running) jobTook(ctx context.Context, document string) (time.Duration, error) {
	var reply struct {
		Data []struct {
			Started   time.Time `json:"started_at"`
			Completed time.Time `json:"completed_at"`
		}
	}
	err := s.Do(ctx, http.MethodGet, "/api/admin/kb/jobs?limit=1&document_id="+document, "", nil, &reply)
	if err != nil || len(reply.Data) == 0 {
		return 0, err
	}
	return reply.Data[0].Completed.Sub(reply.Data[0].Started), nil
}

// citation is what a client needs to check a quote.
type citation struct {
	DocumentID string `json:"document_id"`
	Generation int    `json:"generation"`
	Page       int    `json:"page"`
	CharStart  int    `json:"char_start"`
	CharEnd    int    `json:"char_end"`
	Quote      string `json:"quote"`
}

func (s *running) pageText(ctx context.Context, c citation) (string, error) {
	var reply struct{ Data struct{ Text string } }
	path := fmt.Sprintf("/api/kb/documents/%s/text?page=%d&generation=%d", c.DocumentID, c.Page, c.Generation)
	err := s.Do(ctx, http.MethodGet, path, "", nil, &reply)
	return reply.Data.Text, err
}

// dialect is how one generation of clients speaks on its socket.
type dialect struct {
	path  string
	start map[string]string // the first frame; nil asks at once
	ask   string            // the type of the question's frame
	last  string            // the type of the event that carries the citations
}

var (
	v1 = dialect{"/api/realtime/ws", map[string]string{"type": "session.start", "mode": "quick_consult"}, "message.send", "citation.list"}
	v2 = dialect{"/ws", nil, "message_send", "message_done"}
)

func (s *running) ask(ctx context.Context, d dialect, question string) ([]citation, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	address := "ws" + strings.TrimPrefix(s.URL, "http") + d.path + "?token=" + s.Token()
	conn, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(4 << 20)
	session := ""
	if d.start != nil {
		if err := wsjson.Write(ctx, conn, d.start); err != nil {
			return nil, err
		}
		if session, err = awaitSession(ctx, conn); err != nil {
			return nil, err
		}
	}
	frame := map[string]string{"type": d.ask, "content": question}
	if session != "" {
		frame["session_id"] = session
	}
	if err := wsjson.Write(ctx, conn, frame); err != nil {
		return nil, err
	}
	for {
		var event struct {
			Type      string
			Code      string
			Citations []citation
		}
		if err := wsjson.Read(ctx, conn, &event); err != nil {
			return nil, err
		}
		switch event.Type {
		case d.last:
			return event.Citations, nil
		case "error":
			return nil, errors.New(event.Code)
		}
	}
}

func awaitSession(ctx context.Context, conn *websocket.Conn) (string, error) {
	for {
		var event struct {
			Type      string
			SessionID string `json:"session_id"`
		}
		if err := wsjson.Read(ctx, conn, &event); err != nil {
			return "", err
		}
		if event.Type == "session.started" {
			return event.SessionID, nil
		}
	}
}

// growth returns by how much, in MB, the process's resident memory rose at
// most above what it was before f.
func (s *running) growth(ctx context.Context, f func() error) (float64, error) {
	before, err := s.statusKB("VmRSS")
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	peak := before
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return float64(peak-before) / 1024, err
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
			now, err := s.statusKB("VmRSS")
			if err != nil {
				return 0, err
			}
			peak = max(peak, now)
		}
	}
}

func (s *running) peakMB() (int, error) {
	kb, err := s.statusKB("VmHWM")
	return kb / 1024, err
}

// statusKB reads a figure of the process from /proc.
func (s *running) statusKB(name string) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(b), name+":")
	return strconv.Atoi(strings.Fields(after)[0])
}
