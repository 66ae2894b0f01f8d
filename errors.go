package voiceassist

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure an error is. It is itself an error, and every
// *Error unwraps to its code, so errors.Is(err, voiceassist.NotFound) works.
type Code string

// The codes, as clients see them. One table in httpapi maps them to statuses.
const (
	Invalid          Code = "VALIDATION_ERROR"       // the request is understood and wrong
	Malformed        Code = "MALFORMED"              // the request cannot be read at all; VALIDATION_ERROR on the wire
	Unauthorized     Code = "UNAUTHORIZED"           // nobody is signed in
	Forbidden        Code = "FORBIDDEN"              // somebody is, and may not
	NotFound         Code = "NOT_FOUND"              // also: a malformed id, and what belongs to somebody else
	MethodNotAllowed Code = "METHOD_NOT_ALLOWED"     //
	Conflict         Code = "CONFLICT"               // the state does not allow it, or it exists already
	Gone             Code = "GONE"                   // there was something, and it has ended
	TooLarge         Code = "PAYLOAD_TOO_LARGE"      //
	UnsupportedMedia Code = "UNSUPPORTED_MEDIA_TYPE" //
	RateLimited      Code = "RATE_LIMITED"           // RetryAfter says when to come back
	Internal         Code = "INTERNAL_ERROR"         // the message is for the log, never for the client
	Unavailable      Code = "SERVICE_UNAVAILABLE"    // something we depend on is down or not configured
)

// Error makes Code an error of its own.
func (c Code) Error() string { return string(c) }

// Error is a failure whose meaning is known.
type Error struct {
	Code       Code
	Message    string        // for the client; a sentence without internals
	Field      string        // the offending field of the request, if one is
	RetryAfter time.Duration // with RateLimited and Unavailable: when to try again; 0 if unknown
	Err        error         // the cause, for the log
}

// Errorf returns an *Error with a message for the client. A %w operand becomes
// its cause and is not part of what the client sees unless the format says so.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// FieldError is an Invalid error about one field of the request.
func FieldError(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Err != nil && e.Err.Error() != e.Message {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the code and the cause, so that errors.Is finds either.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// CodeOf returns the code of err: that of the outermost *Error or Code in its
// chain, Unavailable for a deadline, Internal for anything unknown, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if c, ok := errors.AsType[Code](err); ok {
		return c
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Internal
}
