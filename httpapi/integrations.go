package httpapi

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	voiceassist "github.com/voiceassist/backend"
)

// Calendars and files of a Nextcloud. There is no engine for them yet: the
// routes check what they are sent as they will have to, and say what to set.

// noNextcloud is Unavailable and says so of what.
func noNextcloud(what string) error {
	return voiceassist.Errorf(voiceassist.Unavailable, "%s are not configured: set NEXTCLOUD_URL, NEXTCLOUD_USER and NEXTCLOUD_PASSWORD", what)
}

// eventBody is an appointment.
type eventBody struct {
	UID         string   `json:"uid"`
	Summary     string   `json:"summary"`
	Description string   `json:"description"`
	Start       string   `json:"start" format:"date-time"`
	End         string   `json:"end" format:"date-time"`
	AllDay      bool     `json:"all_day"`
	Location    string   `json:"location"`
	Organizer   string   `json:"organizer"`
	Attendees   []string `json:"attendees"`
	ETag        string   `json:"etag"`
}

type eventsBody struct {
	Events []eventBody `json:"events"`
	Count  int         `json:"count"`
}

func (eventsBody) named() string { return "events" }

type eventsInput struct {
	StartDate  string `query:"start_date" doc:"RFC 3339, a date or a time"`
	EndDate    string `query:"end_date" doc:"not before start_date"`
	CalendarID string `query:"calendar_id" maxLength:"255" doc:"the default calendar without it"`
}

func (s *Server) listEvents(_ context.Context, in *eventsInput) (eventsBody, error) {
	if err := checkSpan("start_date", in.StartDate, "end_date", in.EndDate); err != nil {
		return eventsBody{}, err
	}
	return eventsBody{}, noNextcloud("Calendars")
}

// eventFields are what is said of an appointment.
type eventFields struct {
	Summary     string   `json:"summary,omitempty" maxLength:"500"`
	Description string   `json:"description,omitempty" maxLength:"20000"`
	Start       string   `json:"start,omitempty" doc:"RFC 3339, a date or a time"`
	End         string   `json:"end,omitempty" doc:"not before start"`
	AllDay      bool     `json:"all_day,omitempty"`
	Location    string   `json:"location,omitempty" maxLength:"500"`
	Attendees   []string `json:"attendees,omitempty" maxItems:"200" doc:"e-mail addresses"`
	CalendarID  string   `json:"calendar_id,omitempty" maxLength:"255"`
}

func (e eventFields) check() error {
	for i, address := range e.Attendees {
		if _, err := voiceassist.NormalizeEmail(address); err != nil {
			return voiceassist.FieldError("attendees", "attendee %d is not a valid address", i+1)
		}
	}
	return checkSpan("start", e.Start, "end", e.End)
}

type createEventInput struct{ Body eventFields }

type eventWrittenBody struct {
	EventUID string `json:"event_uid"`
	Status   string `json:"status" enum:"created,updated,deleted"`
}

func (s *Server) createEvent(_ context.Context, in *createEventInput) (eventWrittenBody, error) {
	for name, value := range map[string]string{"summary": in.Body.Summary, "start": in.Body.Start, "end": in.Body.End} {
		if strings.TrimSpace(value) == "" {
			return eventWrittenBody{}, voiceassist.FieldError(name, "%s is required", name)
		}
	}
	if err := in.Body.check(); err != nil {
		return eventWrittenBody{}, err
	}
	return eventWrittenBody{}, noNextcloud("Calendars")
}

type updateEventInput struct {
	UID  string `path:"uid" maxLength:"255"`
	Body eventFields
}

func (s *Server) updateEvent(_ context.Context, in *updateEventInput) (eventWrittenBody, error) {
	if err := in.Body.check(); err != nil {
		return eventWrittenBody{}, err
	}
	return eventWrittenBody{}, noNextcloud("Calendars")
}

type deleteEventInput struct {
	UID string `path:"uid" maxLength:"255"`
}

func (s *Server) deleteEvent(context.Context, *deleteEventInput) (eventWrittenBody, error) {
	return eventWrittenBody{}, noNextcloud("Calendars")
}

// checkSpan checks two times of which either may be missing.
func checkSpan(startName, start, endName, end string) error {
	from, err := parseTime(startName, start)
	if err != nil {
		return err
	}
	until, err := parseTime(endName, end)
	if err != nil {
		return err
	}
	if !from.IsZero() && !until.IsZero() && until.Before(from) {
		return voiceassist.FieldError(endName, "%s must not be before %s", endName, startName)
	}
	return nil
}

// parseTime reads a date or a time, with or without its zone; "" is the zero
// time.
func parseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 0 {
			return t, nil
		}
	}
	return time.Time{}, voiceassist.FieldError(name, "%s must be a date or a time like 2025-11-27T10:00:00Z", name)
}

// remoteFileBody is a file that could be indexed, or why it could not.
type remoteFileBody struct {
	Path     string `json:"path"`
	Name     string `json:"name" example:"guideline.pdf"`
	Size     int64  `json:"size"`
	MimeType string `json:"mime_type"`
	Modified string `json:"modified" format:"date-time"`
	ETag     string `json:"etag"`
	Status   string `json:"status" enum:"new,indexed,changed,unsupported"`
	Reason   string `json:"reason"`
}

type discoveredBody struct {
	Files       []remoteFileBody `json:"files"`
	Directories []string         `json:"directories"`
	Count       int              `json:"count"`
	JobID       *string          `json:"job_id" doc:"of the walk through a large tree"`
}

func (discoveredBody) named() string { return "files" }

type discoverInput struct {
	Path      string `query:"path" doc:"/ by default"`
	Recursive bool   `query:"recursive" doc:"folders inside it, too"`
}

func (s *Server) discoverFiles(_ context.Context, in *discoverInput) (discoveredBody, error) {
	if err := checkRemotePath("path", in.Path); err != nil {
		return discoveredBody{}, err
	}
	return discoveredBody{}, noNextcloud("Files of a Nextcloud")
}

// maxRemotePaths is how many files one request may name.
const maxRemotePaths = 1000

type indexFilesInput struct {
	Body struct {
		Paths      []string `json:"paths,omitempty" maxItems:"1000"`
		FilePath   string   `json:"file_path,omitempty" doc:"instead of paths"`
		SourceType string   `json:"source_type,omitempty" maxLength:"500"`
	}
}

// skippedBody is a file that is not indexed.
type skippedBody struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

type indexFilesBody struct {
	JobID    *string       `json:"job_id"`
	JobIDs   []string      `json:"job_ids"`
	BatchID  *string       `json:"batch_id"`
	Accepted int           `json:"accepted"`
	Skipped  []skippedBody `json:"skipped"`
}

func (s *Server) indexFiles(_ context.Context, in *indexFilesInput) (indexFilesBody, error) {
	paths := slices.Clone(in.Body.Paths)
	if in.Body.FilePath != "" {
		paths = append(paths, in.Body.FilePath)
	}
	if len(paths) == 0 {
		return indexFilesBody{}, voiceassist.FieldError("paths", "paths, or file_path, are required")
	}
	if len(paths) > maxRemotePaths {
		return indexFilesBody{}, voiceassist.FieldError("paths", "paths must be at most %d", maxRemotePaths)
	}
	for _, path := range paths {
		if err := cmp.Or(requirePath(path), checkRemotePath("paths", path)); err != nil {
			return indexFilesBody{}, err
		}
	}
	return indexFilesBody{}, noNextcloud("Files of a Nextcloud")
}

func requirePath(path string) error {
	if strings.Trim(path, "/ ") == "" {
		return voiceassist.FieldError("paths", "a path must name a file")
	}
	return nil
}

type scanFilesInput struct {
	Body *struct {
		Path       string `json:"path,omitempty" doc:"/ by default"`
		Recursive  *bool  `json:"recursive,omitempty" doc:"true by default"`
		SourceType string `json:"source_type,omitempty" maxLength:"500"`
	}
}

func (s *Server) scanFiles(_ context.Context, in *scanFilesInput) (indexFilesBody, error) {
	if in.Body != nil {
		if err := checkRemotePath("path", in.Body.Path); err != nil {
			return indexFilesBody{}, err
		}
	}
	return indexFilesBody{}, noNextcloud("Files of a Nextcloud")
}

// maxRemotePath is the longest path, in bytes.
const maxRemotePath = 4096

// checkRemotePath refuses paths that lead out of where they begin, and those
// that are no text.
func checkRemotePath(name, path string) error {
	if len(path) > maxRemotePath {
		return voiceassist.FieldError(name, "a path must be at most %d bytes long", maxRemotePath)
	}
	if !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		return voiceassist.FieldError(name, "a path must be text without control characters")
	}
	if slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), "..") {
		return voiceassist.FieldError(name, "a path must not contain ..")
	}
	return nil
}
