package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/voiceassist/backend/bench/internal/system"
	"github.com/voiceassist/backend/cmd"
)

const (
	conversations = 25
	documents     = 20
)

// bareRoute is a Fiber application with one route.
type bareRoute struct {
	url string
	app *fiber.App
	end chan error
}

// startBare starts an application that replies a JSON.
func startBare(ctx context.Context, reply []byte) (*bareRoute, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bareRoute{
		url: "http://" + ln.Addr().String() + "/",
		app: fiber.New(fiber.Config{DisableStartupMessage: true}), end: make(chan error, 1),
	}
	b.app.Get("/", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(reply)
	})
	go func() { b.end <- b.app.Listener(ln) }()
	return b, nil
}

func (b *bareRoute) stop() error { return errors.Join(b.app.Shutdown(), <-b.end) }

// whole is the whole program, in this process.
type whole struct {
	system.Client
	dir    string
	cancel context.CancelFunc
	end    chan error
}

func startWhole(ctx context.Context, b bench) (*whole, error) {
	dir, err := system.MakeDir()
	if err != nil {
		return nil, err
	}
	rate := "off"
	if b.limits {
		rate = "100000000/m"
	}
	cfg, err := cmd.ReadConfig([]string{
		"DATA_DIR=" + dir, "PORT=0", "HOST=127.0.0.1", "ADMIN_EMAIL=" + system.Email, "ADMIN_PASSWORD=" + system.Password,
		"ACCESS_TOKEN_TTL=24h", "RATE_LIMIT_SESSION=" + rate,
		"REDIS_URL=" + b.redis,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &whole{dir: dir, cancel: cancel, end: make(chan error, 1)}
	told, tell := io.Pipe()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // events are formatted, as in production
	go func() {
		s.end <- cmd.Up(ctx, cfg, tell, log)
		_ = tell.Close()
	}()
	lines := bufio.NewScanner(told)
	for s.URL == "" && lines.Scan() {
		_, s.URL, _ = strings.Cut(lines.Text(), "is ready at ")
	}
	go func() { _, _ = io.Copy(io.Discard, told) }()
	if s.URL == "" {
		return nil, errors.Join(errors.New("the system was not ready"), s.stop())
	}
	s.URL = strings.Replace(s.URL, "localhost", "127.0.0.1", 1)
	return s, nil
}

func (s *whole) stop() error {
	s.cancel()
	err := <-s.end
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// fill signs in and makes what the routes list.
func (s *whole) fill(ctx context.Context) error {
	if err := s.SignIn(ctx, system.Email, system.Password); err != nil {
		return err
	}
	for i := range conversations {
		var reply any
		title := strings.NewReader(fmt.Sprintf(`{"title":"Conversation %d"}`, i))
		if err := s.Do(ctx, http.MethodPost, "/api/conversations", "application/json", title, &reply); err != nil {
			return err
		}
	}
	for i := range documents {
		text := strings.NewReader(fmt.Sprintf("Note %d says that ibuprofen eases pain.", i))
		if _, err := s.Upload(ctx, fmt.Sprintf("note-%d.txt", i), "", text); err != nil {
			return err
		}
	}
	return nil
}
