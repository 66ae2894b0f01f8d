package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/voiceassist/backend/bench/internal/system"
)

const colleague = "colleague@example.com"

// office is a system with two administrators: who is signed in as itself loads,
// and the colleague has a PDF.
type office struct {
	*system.Up
	colleague system.Client
	dir       string
}

// startOffice starts the program on a directory of its own and signs both in.
func startOffice(ctx context.Context, bin string) (_ *office, err error) {
	dir, err := system.MakeDir()
	if err != nil {
		return nil, err
	}
	o := &office{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	o.Up, err = system.StartUp(ctx, bin, dir, "ACCESS_TOKEN_TTL=24h", "REFRESH_TOKEN_TTL=48h", "RATE_LIMIT_SESSION=off")
	if err != nil {
		return nil, err
	}
	create := exec.CommandContext(ctx, bin, "admin", "create", "-email", colleague)
	create.Env = append(os.Environ(), "DATA_DIR="+dir, "ADMIN_PASSWORD="+system.Password)
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("create the colleague: %w: %s", err, out)
	}
	if err := o.SignIn(ctx, system.Email, system.Password); err != nil {
		return nil, err
	}
	o.colleague.URL = o.URL
	return o, o.colleague.SignIn(ctx, colleague, system.Password)
}

// close ends the program in good order and removes its directory.
func (o *office) close() error {
	var err error
	if o.Up != nil {
		err = o.Stop()
	}
	return errors.Join(err, os.RemoveAll(o.dir))
}

// index uploads a file as the colleague and returns how long it takes to be
// indexed, from the first byte sent.
func (o *office) index(ctx context.Context, name string, content []byte) (time.Duration, error) {
	began := time.Now()
	up, err := o.colleague.Upload(ctx, name, "", bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	for {
		var reply struct{ Data struct{ Status string } }
		if err := o.colleague.Do(ctx, http.MethodGet, "/api/admin/kb/documents/"+up.ID, "", nil, &reply); err != nil {
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
func (o *office) reindex(ctx context.Context) error {
	var reply any
	return o.Do(ctx, http.MethodPost, "/api/admin/kb/reindex", "application/json", strings.NewReader(`{}`), &reply)
}

// awaitIdle waits until there is no job left.
func (o *office) awaitIdle(ctx context.Context) error {
	for {
		n, err := o.Metrics(ctx, "voiceassist_jobs_pending{", "voiceassist_jobs_running{")
		if err != nil || n == 0 {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
