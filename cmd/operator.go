package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/voiceassist/backend/embedded"
)

// operatorFile is what `up` leaves in DATA_DIR while it runs, readable by its
// owner only, for commands on the same machine.
const operatorFile = "operator.json"

// operatorAccess is what operatorFile says.
type operatorAccess struct {
	URL          string `json:"url"`          // where the API answers
	AccessToken  string `json:"access_token"` // of a session of an administrator
	RefreshToken string `json:"refresh_token"`
	DatabaseURL  string `json:"database_url"`
	RedisURL     string `json:"redis_url"`
	QdrantURL    string `json:"qdrant_url"`
	BlobURL      string `json:"blob_url"`
}

func readOperatorAccess(dir string) (o operatorAccess, err error) {
	b, err := os.ReadFile(filepath.Join(dir, operatorFile))
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(b, &o)
}

func (o operatorAccess) write(dir string) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, operatorFile)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// admitOperator signs the machine's operator in and leaves the access in
// DATA_DIR. withdraw takes both back.
func (s *system) admitOperator(ctx context.Context) (withdraw func(context.Context) error, err error) {
	admin, err := s.ledger.FirstAdmin(ctx)
	if err != nil {
		return nil, fmt.Errorf("admit the operator: %w", err)
	}
	service, err := s.accounts(s.cfg, nil)
	if err != nil {
		return nil, err
	}
	in, err := service.SignInAs(ctx, admin)
	if err != nil {
		return nil, fmt.Errorf("admit the operator: %w", err)
	}
	access := operatorAccess{
		URL: s.url, AccessToken: in.Access, RefreshToken: in.Refresh,
		DatabaseURL: s.cfg.DatabaseURL, RedisURL: s.cfg.RedisURL, QdrantURL: s.cfg.QdrantURL, BlobURL: s.cfg.BlobURL,
	}
	if err := access.write(s.cfg.DataDir); err != nil {
		return nil, fmt.Errorf("admit the operator: %w", err)
	}
	return func(ctx context.Context) error {
		return errors.Join(
			os.Remove(filepath.Join(s.cfg.DataDir, operatorFile)),
			s.ledger.RevokeSessions(ctx, []uuid.UUID{in.SessionID}, "the system stopped"))
	}, nil
}

// reachEngines returns cfg with the URLs of all engines: its own, or those of
// the system that runs on DATA_DIR.
func reachEngines(cfg Config) (Config, error) {
	if cfg.DatabaseURL == "" && cfg.RedisURL == "" && cfg.QdrantURL == "" && cfg.BlobURL == "" {
		running, err := readOperatorAccess(cfg.DataDir)
		if err != nil {
			return cfg, fmt.Errorf("no running system was found in %s (set DATA_DIR, or DATABASE_URL and the others): %w", cfg.DataDir, err)
		}
		cfg.DatabaseURL, cfg.RedisURL, cfg.QdrantURL, cfg.BlobURL = running.DatabaseURL, running.RedisURL, running.QdrantURL, running.BlobURL
	}
	return cfg, cfg.required(NeedsScheduler...)
}

// reachLedger returns cfg with a DATABASE_URL: its own, that of the system that
// runs on DATA_DIR, or that of an embedded Postgres which it starts there and
// which release stops.
func reachLedger(ctx context.Context, cfg Config, log *slog.Logger) (_ Config, release func(), err error) {
	if cfg.DatabaseURL != "" {
		return cfg, func() {}, nil
	}
	lock, err := embedded.Lock(cfg.DataDir)
	if err != nil {
		running, readErr := readOperatorAccess(cfg.DataDir)
		cfg.DatabaseURL = running.DatabaseURL
		if readErr != nil {
			return cfg, nil, err
		}
		return cfg, func() {}, nil
	}
	pg, err := embedded.StartPostgres(ctx, postgresOptions(cfg, log))
	if err != nil {
		return cfg, nil, errors.Join(err, lock.Unlock())
	}
	cfg.DatabaseURL = pg.URL()
	return cfg, func() {
		if err := errors.Join(closeWithin(ctx, stopTimeout, pg.Stop), lock.Unlock()); err != nil {
			log.WarnContext(ctx, "embedded Postgres", slog.Any("error", err))
		}
	}, nil
}

func postgresOptions(cfg Config, log *slog.Logger) embedded.PostgresOptions {
	return embedded.PostgresOptions{DataDir: filepath.Join(cfg.DataDir, "postgres"), Ephemeral: cfg.ephemeral, Log: log}
}
