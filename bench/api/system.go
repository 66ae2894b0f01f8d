package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/voiceassist/backend/cmd"
)

const (
	conversations = 25
	documents     = 20
	email         = "admin@example.com"
	password      = "measured-and-found-good"
)

// bareRoute is a Fiber application with one route.
type bareRoute struct {
	url string
	app *fiber.App
	end chan error
}

func startBare(ctx context.Context) (*bareRoute, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bareRoute{
		url: "http://" + ln.Addr().String() + "/",
		app: fiber.New(fiber.Config{DisableStartupMessage: true}), end: make(chan error, 1),
	}
	b.app.Get("/", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) })
	go func() { b.end <- b.app.Listener(ln) }()
	return b, nil
}

func (b *bareRoute) stop() error { return errors.Join(b.app.Shutdown(), <-b.end) }

// system is the whole program, in this process.
type system struct {
	dir    string
	url    string
	token  string
	cancel context.CancelFunc
	end    chan error
}

func startSystem(ctx context.Context, b bench) (*system, error) {
	dir, err := os.MkdirTemp("", "bench-api-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres' own account goes through it
		return nil, err
	}
	rate := "off"
	if b.limits {
		rate = "100000000/m"
	}
	cfg, err := cmd.ReadConfig([]string{
		"DATA_DIR=" + dir, "PORT=0", "HOST=127.0.0.1", "ADMIN_EMAIL=" + email, "ADMIN_PASSWORD=" + password,
		"ACCESS_TOKEN_TTL=24h", "RATE_LIMIT_SESSION=" + rate,
		"REDIS_URL=" + b.redis,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &system{dir: dir, cancel: cancel, end: make(chan error, 1)}
	told, tell := io.Pipe()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // events are formatted, as in production
	go func() {
		s.end <- cmd.Up(ctx, cfg, tell, log)
		_ = tell.Close()
	}()
	lines := bufio.NewScanner(told)
	for s.url == "" && lines.Scan() {
		_, s.url, _ = strings.Cut(lines.Text(), "is ready at ")
	}
	go func() { _, _ = io.Copy(io.Discard, told) }()
	if s.url == "" {
		return nil, errors.Join(errors.New("the system was not ready"), s.stop())
	}
	s.url = strings.Replace(s.url, "localhost", "127.0.0.1", 1)
	return s, nil
}

func (s *system) stop() error {
	s.cancel()
	err := <-s.end
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// fill signs in and makes what the routes list.
func (s *system) fill(ctx context.Context) error {
	var reply struct {
		Access string `json:"access_token"`
		Total  int    `json:"total"`
	}
	if err := s.send(ctx, "/api/auth/login", "application/json", fmt.Appendf(nil, `{"email":%q,"password":%q}`, email, password), &reply); err != nil {
		return err
	}
	s.token = reply.Access
	for i := range conversations {
		if err := s.send(ctx, "/api/conversations", "application/json", fmt.Appendf(nil, `{"title":"Conversation %d"}`, i), nil); err != nil {
			return err
		}
	}
	for i := range documents {
		if err := s.upload(ctx, fmt.Sprintf("note-%d.txt", i), fmt.Sprintf("Note %d says that ibuprofen eases pain.", i)); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) upload(ctx context.Context, name, text string) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = io.WriteString(file, text)
	}
	if err := errors.Join(err, form.Close()); err != nil {
		return err
	}
	return s.send(ctx, "/api/admin/kb/documents", form.FormDataContentType(), body.Bytes(), nil)
}

// send posts a body and reads the reply into out, unless that is nil.
func (s *system) send(ctx context.Context, path, contentType string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+s.token)
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	if reply.StatusCode >= 300 {
		return fmt.Errorf("POST %s: %s: %s", path, reply.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
