package qdrant

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	voiceassist "github.com/voiceassist/backend"
)

// maxMessage bounds requests and answers, bytes; gRPC's own limit of 4 MB is
// less than a batch of dense vectors.
const maxMessage = 64 << 20

// retryPolicy repeats calls that found nobody listening, four times within
// about two seconds. Every call is idempotent.
const retryPolicy = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2.5,
	"retryableStatusCodes": ["UNAVAILABLE"]}}]}`

func clientConfig(rawURL, apiKey string) (*pb.Config, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("qdrant URL: %w", err)
	}
	if u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "grpc" {
		return nil, fmt.Errorf("qdrant URL %q: want http://host:port, https://… or grpc://…", u.Redacted())
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // the client joins host and port with a colon
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil && u.Port() != "" {
		return nil, fmt.Errorf("qdrant URL %q: port: %w", u.Redacted(), err)
	}
	return &pb.Config{
		Host:                   host,
		Port:                   int(port), // 0: the client's default, 6334
		APIKey:                 apiKey,
		UseTLS:                 u.Scheme == "https",
		SkipCompatibilityCheck: true, // it would wait a minute for a server that is down
		PoolSize:               1,
		GrpcOptions: []grpc.DialOption{
			grpc.WithDefaultServiceConfig(retryPolicy),
			grpc.WithDefaultCallOptions(
				grpc.MaxCallRecvMsgSize(maxMessage),
				grpc.MaxCallSendMsgSize(maxMessage),
				grpc.MaxRetryRPCBufferSize(maxMessage),
			),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
				MinConnectTimeout: 5 * time.Second,
			}),
		},
	}, nil
}

// classify gives an error of the client its meaning.
func classify(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("qdrant: %s: %w", doing, context.Cause(ctx))
	}
	if busy, ok := errors.AsType[*pb.QdrantResourceExhaustedError](err); ok {
		return unavailable(doing, err, time.Duration(busy.RetryAfterS)*time.Second)
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return unavailable(doing, err, 0)
	default:
		return fmt.Errorf("qdrant: %s: %w", doing, err)
	}
}

func unavailable(doing string, err error, retryAfter time.Duration) error {
	return &voiceassist.Error{
		Code:       voiceassist.Unavailable,
		Message:    "the search index is not available",
		RetryAfter: retryAfter,
		Err:        fmt.Errorf("qdrant: %s: %w", doing, err),
	}
}
