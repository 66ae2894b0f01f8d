package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/machine"
)

// services are what admins are told the system is made of.
func (e *engines) services() []httpapi.Service {
	models := httpapi.Service{Name: "models"}
	if e.models != nil {
		models.Probe = func(ctx context.Context) (httpapi.Condition, error) { return httpapi.Condition{}, e.models.Check(ctx) }
	}
	embedding := httpapi.Service{Name: "embedding"}
	if e.embedder != nil {
		embedding.Probe = e.probeEmbedding
	}
	return []httpapi.Service{
		{Name: "postgres", Required: true, Probe: versionOf(e.ledger.Version)},
		{Name: "redis", Required: true, Probe: versionOf(e.redis.Version)},
		{Name: "qdrant", Required: true, Probe: versionOf(e.index.Health)},
		{Name: "blobs", Required: true, Probe: e.probeBlobs(".probe/" + uuid.NewString())},
		{Name: "workers", Probe: e.probeWorkers},
		{Name: "schedulers", Probe: e.probeSchedulers},
		models,
		embedding,
		{Name: "nextcloud"},
	}
}

func versionOf(ask func(context.Context) (string, error)) func(context.Context) (httpapi.Condition, error) {
	return func(ctx context.Context) (httpapi.Condition, error) {
		version, err := ask(ctx)
		return httpapi.Condition{Version: version}, err
	}
}

// probeBlobs writes, reads and removes a blob under a key of its own, which
// finds full and read-only stores too.
func (e *engines) probeBlobs(key string) func(context.Context) (httpapi.Condition, error) {
	return func(ctx context.Context) (c httpapi.Condition, err error) {
		want := []byte(key)
		if err := e.blobs.WriteAll(ctx, key, want, nil); err != nil {
			return c, blobTrouble("take files", err)
		}
		got, err := e.blobs.ReadAll(ctx, key)
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("it returned other bytes than were written")
		}
		if err != nil {
			return c, blobTrouble("give files back", err)
		}
		if err := e.blobs.Delete(ctx, key); err != nil {
			return c, blobTrouble("remove files", err)
		}
		return c, nil
	}
}

func blobTrouble(what string, err error) error {
	return &voiceassist.Error{Code: voiceassist.Unavailable, Message: "the file store does not " + what, Err: err}
}

func (e *engines) probeWorkers(ctx context.Context) (httpapi.Condition, error) {
	w, err := e.queue.Workers(ctx)
	if err == nil && w.Processes == 0 {
		err = voiceassist.Errorf(voiceassist.Unavailable, "no worker is alive: documents wait")
	}
	return httpapi.Condition{Message: fmt.Sprintf("%d alive, %d of %d slots busy", w.Processes, w.Busy, w.Slots)}, err
}

func (e *engines) probeSchedulers(ctx context.Context) (httpapi.Condition, error) {
	n, err := e.redis.Alive(ctx, schedulerKind)
	if err == nil && n == 0 {
		err = voiceassist.Errorf(voiceassist.Unavailable, "no scheduler is alive: nobody gives the workers their jobs")
	}
	return httpapi.Condition{Message: fmt.Sprintf("%d alive", n)}, err
}

// places are where this machine's disks hold what is ours.
func places(cfg Config) []machine.Place {
	var list []machine.Place
	if cfg.embedded {
		list = append(list, machine.Place{Name: "data", Path: cfg.DataDir})
	}
	if u, err := url.Parse(cfg.BlobURL); err == nil && u.Scheme == "file" {
		list = append(list, machine.Place{Name: "blobs", Path: u.Path})
	}
	return list
}
