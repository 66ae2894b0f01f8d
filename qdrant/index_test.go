package qdrant_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/qdrant"
)

func TestOpenRefusesWhatIsNoURLOfAServer(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost", "localhost:6334", "ftp://localhost", "http://", "http://host:99999", "http://[::1"} {
		if x, err := qdrant.Open(url, qdrant.Options{}); err == nil {
			t.Errorf("Open(%q) succeeded", url)
			_ = x.Close()
		}
	}
	for _, url := range []string{"http://localhost:6334", "https://qdrant.example.org", "grpc://[::1]:7000"} {
		x, err := qdrant.Open(url, qdrant.Options{})
		if err != nil {
			t.Errorf("Open(%q): %v", url, err)
			continue
		}
		_ = x.Close()
	}
}

func TestCollectionNameTellsProfilesApart(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]string{
		"":                            qdrant.DefaultCollection,
		"text-embedding-3-small/1536": qdrant.DefaultCollection + "_text-embedding-3-small_1536",
		"../Ü x":                      qdrant.DefaultCollection + "_..___x",
	} {
		if got := qdrant.CollectionName(profile); got != want {
			t.Errorf("CollectionName(%q) = %q, want %q", profile, got, want)
		}
	}
}

func TestIndexIsUnavailableWhenNobodyListens(t *testing.T) {
	t.Parallel()
	x := open(t, "http://"+freeAddr(t), qdrant.Options{})
	_, err := x.Search(t.Context(), qdrant.Query{Text: "fever", Limit: 1})
	known, ok := errors.AsType[*voiceassist.Error](err)
	if !ok || known.Code != voiceassist.Unavailable {
		t.Fatalf("Search = %v, want an Unavailable error", err)
	}
	if strings.ContainsAny(known.Message, ":0123456789") || known.Err == nil {
		t.Errorf("Message %q with cause %v, want a sentence without internals and the cause", known.Message, known.Err)
	}
}

func TestIndexComesBackWithTheServer(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), freeAddr(t)
	x := open(t, "http://"+addr, qdrant.Options{})
	for range 3 {
		server, err := qdrantserver.New(qdrantserver.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(addr); err != nil {
			t.Fatal(err)
		}
		if err := x.Ensure(t.Context()); err != nil {
			t.Errorf("Ensure: %v", err)
		}
		if version, err := x.Health(t.Context()); err != nil || version != qdrantserver.Version {
			t.Errorf("Health() = %q, %v, want %q", version, err, qdrantserver.Version)
		}
		closeServer(t, server)
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	x := open(t, startServer(t).URL(), qdrant.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the user hung up")
	cancel(reason)
	for name, err := range map[string]error{
		"Ensure":   x.Ensure(ctx),
		"Delete":   x.Delete(ctx, uuid.New()),
		"Activate": x.Activate(ctx, uuid.New(), 1),
		"Upsert":   x.Upsert(ctx, []voiceassist.Point{{Text: "fever"}}, true),
	} {
		if !errors.Is(err, reason) {
			t.Errorf("%s = %v, want the reason of its context", name, err)
		}
	}
}

func TestUpsertRefusesVectorsOfAnotherLength(t *testing.T) {
	t.Parallel()
	x := open(t, startServer(t).URL(), qdrant.Options{Dim: 3})
	if err := x.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := x.Upsert(t.Context(), []voiceassist.Point{{ID: uuid.New(), Dense: []float32{1, 2}}}, true)
	if err == nil {
		t.Error("Upsert of two numbers into three dimensions succeeded")
	}
}

func TestBusyServersSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	x := open(t, startStub(t, func(stream grpc.ServerStream) error {
		stream.SetTrailer(metadata.Pairs("retry-after", "7"))
		return status.Error(codes.ResourceExhausted, "too many requests")
	}), qdrant.Options{})
	err := x.Delete(t.Context(), uuid.New())
	known, ok := errors.AsType[*voiceassist.Error](err)
	if !ok || known.Code != voiceassist.Unavailable || known.RetryAfter != 7*time.Second {
		t.Errorf("Delete = %v, want Unavailable for 7 s", err)
	}
}

func TestRequestsCarryTheKey(t *testing.T) {
	t.Parallel()
	keys := make(chan []string, 1)
	x := open(t, startStub(t, func(stream grpc.ServerStream) error {
		sent, _ := metadata.FromIncomingContext(stream.Context())
		keys <- sent.Get("api-key")
		return status.Error(codes.Internal, "no more to see")
	}), qdrant.Options{APIKey: "secret"})
	if _, err := x.Health(t.Context()); voiceassist.CodeOf(err) != voiceassist.Internal {
		t.Errorf("Health = %v, want an Internal error", err)
	}
	if got := <-keys; len(got) != 1 || got[0] != "secret" {
		t.Errorf("api-key = %q, want the key", got)
	}
}

// startStub serves every method with handle.
func startStub(t *testing.T, handle func(grpc.ServerStream) error) (url string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		return handle(stream)
	}))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return "http://" + listener.Addr().String()
}

func open(t *testing.T, url string, opts qdrant.Options) *qdrant.Index {
	t.Helper()
	x, err := qdrant.Open(url, opts)
	if err != nil {
		t.Fatalf("Open(%q): %v", url, err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return x
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
