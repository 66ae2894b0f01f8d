package qdrantserver

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, "Wrong input: "+format, args...)
}

// unsupported is what Qdrant can do and this server cannot.
func unsupported(format string, args ...any) error {
	return status.Errorf(codes.Unimplemented, "the embedded server does not do this: "+format, args...)
}

func noCollection(name string) error {
	return status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", name)
}

func noAlias(name string) error {
	return status.Errorf(codes.NotFound, "Not found: Alias `%s` doesn't exist!", name)
}
