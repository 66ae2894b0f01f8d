package postgrestest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/voiceassist/backend/embedded"
	"github.com/voiceassist/backend/postgres"
)

// process holds the server of a test process. A start that failed is not tried
// again.
type process struct {
	mu     sync.Mutex
	server *server
	err    error
}

func (p *process) started(ctx context.Context) (*server, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil && p.err == nil {
		p.server, p.err = start(ctx)
	}
	return p.server, p.err
}

func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.server.stop(ctx)
}

// server makes databases as copies of a migrated template.
type server struct {
	base     url.URL // of the server, with a database that exists
	template string
	made     atomic.Int64
	own      *embedded.Postgres // nil when somebody else runs the server
}

func start(ctx context.Context) (*server, error) {
	// A name of its own keeps test processes on one server apart.
	s := &server{template: "voiceassist_test_" + strings.ToLower(rand.Text()[:10])}
	address := cmp.Or(os.Getenv("TEST_DATABASE_URL"), os.Getenv("DATABASE_URL"))
	if address == "" {
		own, err := ephemeral(ctx)
		if err != nil {
			return nil, err
		}
		s.own, address = own, own.URL()
	}
	base, err := url.Parse(address)
	if err != nil || base.Scheme == "" {
		return nil, errors.New("TEST_DATABASE_URL is not of the form postgres://user:password@host/database")
	}
	s.base = *base
	if err := s.makeTemplate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make the template: %w", err), s.stop(ctx))
	}
	return s, nil
}

func (s *server) makeTemplate(ctx context.Context) error {
	if err := s.exec(ctx, "CREATE DATABASE "+s.template); err != nil {
		return err
	}
	db, err := postgres.Open(ctx, s.url(s.template), postgres.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Migrate(ctx)
}

func (s *server) create(ctx context.Context) (string, error) {
	name := fmt.Sprintf("%s_%d", s.template, s.made.Add(1))
	return name, s.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+s.template)
}

func (s *server) drop(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.base.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// url is the connection string of one of the server's databases.
func (s *server) url(name string) string {
	u := s.base
	u.Path = "/" + name
	return u.String()
}

func (s *server) stop(ctx context.Context) error {
	if s.own != nil {
		return s.own.Stop(ctx)
	}
	return s.drop(ctx, s.template)
}
