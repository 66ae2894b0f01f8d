package qdrant_test

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/seamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIndexOnTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	seamtest.Index(t, startServer(t).URL())
}

func TestIndexOnQdrant(t *testing.T) {
	t.Parallel()
	url := os.Getenv("QDRANT_URL")
	if url == "" {
		t.Skip("QDRANT_URL is not set: not tested against a real Qdrant")
	}
	seamtest.Index(t, url)
}

func startServer(t *testing.T) *qdrantserver.Server {
	t.Helper()
	server, err := qdrantserver.New(qdrantserver.Options{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { closeServer(t, server) })
	return server
}

func closeServer(t *testing.T, server *qdrantserver.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := server.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}
