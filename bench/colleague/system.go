package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const password = "measured-and-found-good"

// system is a program that was started to be measured.
type system struct {
	cmd               *exec.Cmd
	dir, url          string
	loader, colleague string // access tokens
}

// startSystem starts the program on a directory of its own, and signs two
// administrators in.
func startSystem(ctx context.Context, bin string) (*system, error) {
	dir, err := os.MkdirTemp("", "colleague-")
	if err != nil {
		return nil, err
	}
	s := &system{dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres' own account goes through it
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	env := append(os.Environ(), "DATA_DIR="+dir, "PORT=0", "ADMIN_EMAIL=loader@example.com", "ADMIN_PASSWORD="+password,
		"ACCESS_TOKEN_TTL=24h", "REFRESH_TOKEN_TTL=48h", "RATE_LIMIT_SESSION=off", "LOG_LEVEL=ERROR")
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), bin, "up") // stopped in good order when ctx ends
	s.cmd.Env, s.cmd.Stderr = env, os.Stderr
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	create := exec.CommandContext(ctx, bin, "admin", "create", "-email", "colleague@example.com")
	create.Env = env
	if out, err := create.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("create the colleague: %w: %s", err, out), s.close())
	}
	if s.loader, err = s.signIn(ctx, "loader@example.com"); err == nil {
		s.colleague, err = s.signIn(ctx, "colleague@example.com")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// start starts the program and waits until it says where it is.
func (s *system) start() error {
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "is ready at "); ok {
			s.url = after
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if s.url == "" {
		return errors.New("the program ended before it was ready")
	}
	return nil
}

// close ends the program in good order and removes its directory.
func (s *system) close() error {
	var err error
	if s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		err = s.cmd.Wait()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *system) do(ctx context.Context, method, path, token, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+token)
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode >= 300 {
		message, _ := io.ReadAll(io.LimitReader(reply.Body, 1000))
		return fmt.Errorf("%s %s replied %s: %s", method, path, reply.Status, message)
	}
	return json.NewDecoder(reply.Body).Decode(out)
}

func (s *system) signIn(ctx context.Context, email string) (token string, err error) {
	var reply struct {
		Access string `json:"access_token"`
	}
	body := strings.NewReader(fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	err = s.do(ctx, http.MethodPost, "/api/auth/login", "", "application/json", body, &reply)
	return reply.Access, err
}

func (s *system) upload(ctx context.Context, token, name string, content []byte) (id string, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return "", err
	}
	if _, err := part.Write(content); err != nil {
		return "", err
	}
	if err := form.Close(); err != nil {
		return "", err
	}
	var reply struct{ ID string }
	err = s.do(ctx, http.MethodPost, "/api/admin/kb/documents", token, form.FormDataContentType(), &body, &reply)
	return reply.ID, err
}

// index uploads a file as the colleague and returns how long it takes to be
// indexed, from the first byte sent.
func (s *system) index(ctx context.Context, name string, content []byte) (time.Duration, error) {
	began := time.Now()
	id, err := s.upload(ctx, s.colleague, name, content)
	if err != nil {
		return 0, err
	}
	for {
		var reply struct{ Data struct{ Status string } }
		if err := s.do(ctx, http.MethodGet, "/api/admin/kb/documents/"+id, s.colleague, "", nil, &reply); err != nil {
			return 0, err
		}
		switch reply.Data.Status {
		case "indexed":
			return time.Since(began), nil
		case "failed", "cancelled":
			return 0, fmt.Errorf("%s is %s", name, reply.Data.Status)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// reindex has everything indexed anew.
func (s *system) reindex(ctx context.Context) error {
	var reply any
	return s.do(ctx, http.MethodPost, "/api/admin/kb/reindex", s.loader, "application/json", strings.NewReader(`{}`), &reply)
}

// awaitIdle waits until there is no job left.
func (s *system) awaitIdle(ctx context.Context) error {
	for {
		n, err := s.metrics(ctx, "voiceassist_jobs_pending{", "voiceassist_jobs_running{")
		if err != nil || n == 0 {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// pending returns how many jobs have not been started.
func (s *system) pending(ctx context.Context) (float64, error) {
	return s.metrics(ctx, "voiceassist_jobs_pending{")
}

// metrics returns the sum of the figures whose names begin so.
func (s *system) metrics(ctx context.Context, prefixes ...string) (sum float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	found := false
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		for _, prefix := range prefixes {
			if !strings.HasPrefix(lines.Text(), prefix) {
				continue
			}
			fields := strings.Fields(lines.Text())
			n, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				return 0, err
			}
			sum, found = sum+n, true
		}
	}
	if !found {
		return 0, fmt.Errorf("no figures %v", prefixes)
	}
	return sum, lines.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
