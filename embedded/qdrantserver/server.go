// Package qdrantserver answers Qdrant's gRPC API from memory, for one machine
// and for tests.
//
// It serves what package qdrant asks of Qdrant: collections with dense vectors
// (cosine, dot product) and sparse ones (with the IDF modifier), payload
// filters and indexes, upserts, deletions, payload changes, counts, scrolls,
// aliases, and the Query API with prefetches and reciprocal rank fusion.
// Scores and orders are Qdrant's. What it does not know it refuses as
// Unimplemented; payload fields are addressed by their top-level name only.
//
// Searches are exact. Words are found through an inverted index; dense vectors
// are compared one by one. All points are in memory, about 3.5 KB for a passage
// of 200 words and 4 bytes more for each dimension, and that is the only limit
// to their number. A request is at most 64 MB. Anyone who can connect may do
// anything: listen on the loopback interface.
//
// With a directory, every mutating request is in a log before it is answered.
// The log survives the death of the process at once; it is synced to the disk
// every second and when the server closes, so a power cut loses at most what
// was answered in the last second, which reconciling with the ledger finds. A
// torn end is cut off at the next start. A log that has grown to three times
// what it says is rewritten, and a start reads nothing else: half a second of
// work for 20,000 passages.
package qdrantserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Version is the version of Qdrant whose API this is.
const Version = "1.17.1"

const (
	maxMessage   = 64 << 20 // bytes, either way
	syncInterval = time.Second
)

// Options are what a Server may be told.
type Options struct {
	Dir string       // where the log is kept; "": memory only
	Log *slog.Logger // nil: none
}

// Server is a Qdrant of one node. Its methods are safe for concurrent use.
type Server struct {
	log  *slog.Logger
	grpc *grpc.Server
	lock *os.File // nil in memory

	// writer is held by the one mutation at work. It is taken before any
	// other lock.
	writer sync.Mutex
	wal    *wal // nil in memory; what it points to is guarded by writer

	mu          sync.RWMutex // guards the maps and addr
	collections map[string]*collection
	aliases     map[string]string // alias → collection
	addr        net.Addr

	stop      chan struct{}
	running   sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// New returns a server with what its directory holds. ErrInUse means that
// another one has the directory.
func New(opts Options) (*Server, error) {
	s := &Server{
		log:         opts.Log,
		collections: make(map[string]*collection),
		aliases:     make(map[string]string),
		stop:        make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if opts.Dir != "" {
		if err := s.open(opts.Dir); err != nil {
			return nil, fmt.Errorf("qdrantserver: %w", err)
		}
		s.running.Go(func() { s.maintain(s.stop) })
	}
	s.grpc = s.newGRPC()
	return s, nil
}

func (s *Server) newGRPC() *grpc.Server {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		// Qdrant's clients ping every ten seconds; gRPC would hang up on them.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.recoverPanic),
	)
	pb.RegisterQdrantServer(server, healthService{})
	pb.RegisterCollectionsServer(server, collectionsService{server: s})
	pb.RegisterPointsServer(server, pointsService{server: s})
	return server
}

// Start serves on addr, "127.0.0.1:0" for any free port, in the background
// until Close.
func (s *Server) Start(addr string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("qdrantserver: %w", err)
	}
	s.listening(listener)
	s.running.Go(func() {
		if err := s.Serve(listener); err != nil {
			s.log.Error("index server ended", slog.Any("error", err))
		}
	})
	return nil
}

// Serve serves on the listener until Close, and closes it. It returns nil
// after Close.
func (s *Server) Serve(listener net.Listener) error {
	s.listening(listener)
	if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("qdrantserver: %w", err)
	}
	return nil
}

func (s *Server) listening(listener net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = listener.Addr()
}

// Addr is the address served, host:port; "" before Start or Serve.
func (s *Server) Addr() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.addr == nil {
		return ""
	}
	return s.addr.String()
}

// URL is what a client opens: http://host:port.
func (s *Server) URL() string { return "http://" + s.Addr() }

// Close lets the requests at work finish, for as long as ctx allows, and puts
// the log on the disk. Closing twice is closing once.
func (s *Server) Close(ctx context.Context) error {
	s.closeOnce.Do(func() { s.closeErr = s.close(ctx) })
	return s.closeErr
}

func (s *Server) close(ctx context.Context) error {
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	select {
	case <-graceful:
	case <-ctx.Done():
		s.grpc.Stop()
		<-graceful
	}
	close(s.stop)
	s.running.Wait()
	if s.wal == nil {
		return nil
	}
	return errors.Join(s.tidy(2), s.wal.file.Close(), unlockDir(s.lock))
}

func (s *Server) recoverPanic(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (response any, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.ErrorContext(ctx, "index request panicked", slog.String("method", info.FullMethod),
				slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	return handle(ctx, request)
}

type healthService struct{ pb.UnimplementedQdrantServer }

func (healthService) HealthCheck(context.Context, *pb.HealthCheckRequest) (*pb.HealthCheckReply, error) {
	return &pb.HealthCheckReply{Title: "voiceassist embedded index", Version: Version}, nil
}
