package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Bounds of what is read of a reply, in bytes.
const (
	maxReply   = 64 << 20 // 256 vectors of 3,072 numbers are about 10 MiB
	maxRefusal = 64 << 10
)

// doer makes requests, bounds their replies and turns refusals into errors.
type doer struct{ client *http.Client }

func (d doer) Do(r *http.Request) (*http.Response, error) {
	response, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	response.Body = bounded{io.LimitReader(response.Body, maxReply), response.Body}
	return response, nil
}

type bounded struct {
	io.Reader
	io.Closer
}

// statusError is a reply that is not a success.
type statusError struct {
	status  int
	message string // the service's own, for the log
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the service replied %d %s: %s", e.status, http.StatusText(e.status), e.message)
}

// refusal returns the error that a reply stands for.
func refusal(r *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxRefusal))
	err := &statusError{status: r.StatusCode, message: messageOf(body)}
	after, told := retryAfter(r.Header, time.Now())
	switch {
	case r.StatusCode == http.StatusTooManyRequests && !told:
		return &voiceassist.Paced{After: defaultPace, Err: err}
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable && told:
		return &voiceassist.Paced{After: after, Err: err}
	}
	return err
}

func messageOf(body []byte) string {
	var reply struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &reply) == nil && reply.Error.Message != "" {
		return voiceassist.Preview(reply.Error.Message, 300)
	}
	return voiceassist.Preview(string(body), 300)
}

// How long to wait when the service is busy.
const (
	defaultPace = 5 * time.Second  // when it does not say
	maxPace     = 10 * time.Minute // whatever it says
)

// retryAfter returns when the service wants to be asked again: in milliseconds
// where it is that precise, else in seconds, else at a date, else when its
// request limit resets.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return pace(time.Duration(ms * float64(time.Millisecond))), true
	}
	after := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(after, 64); err == nil {
		return pace(time.Duration(seconds * float64(time.Second))), true
	}
	if at, err := http.ParseTime(after); err == nil {
		return pace(at.Sub(now)), true
	}
	if reset, err := time.ParseDuration(h.Get("X-Ratelimit-Reset-Requests")); err == nil {
		return pace(reset), true
	}
	return 0, false
}

func pace(d time.Duration) time.Duration { return min(max(d, 0), maxPace) }

// permanent reports whether asking the same again would end the same.
func permanent(err error) bool {
	refused, ok := errors.AsType[*statusError](err)
	return ok && refused.status < http.StatusInternalServerError && refused.status != http.StatusRequestTimeout &&
		refused.status != http.StatusConflict
}
