package httpapi

import "strings"

// flatPrefix mounts the flat profile.
const flatPrefix = "/v1"

// aliases are prefixes under which clients know routes that we have elsewhere,
// longest first. A prefix ends at a slash or at the end of the path. They are
// applied one after another until none fits, so an alias may lead to an alias.
var aliases = []struct{ from, to string }{
	{"/api/attachments/messages", "/api/messages"},
	{"/api/export/sessions", "/api/sessions"},
	{"/api/admin/audit-logs", "/api/admin/panel/audit-logs"},
	{"/api/admin/metrics", "/api/admin/panel/metrics"},
	{"/api/asyncapi.json", "/asyncapi.json"},
	{"/api/openapi.json", "/openapi.json"},
	{"/api/realtime/ws", "/ws"},
	{"/api/admin/users", "/api/admin/panel/users"},
	{"/conversations", "/api/conversations"},
	{"/api/metrics", "/metrics"},
	{"/api/health", "/health"},
	{"/api/redoc", "/redoc"},
	{"/api/ready", "/ready"},
	{"/api/live", "/live"},
	{"/api/docs", "/docs"},
	{"/api/api", "/api"},
	{"/api/ws", "/ws"},
	{"/shared", "/api/shared"},
	{"/admin", "/api/admin"},
	{"/kb", "/api/kb"},
}

// rewrite returns the path under which a request is routed and whether it is
// for the flat profile.
func rewrite(path string) (routed string, flat bool) {
	if rest, ok := cutSegments(path, flatPrefix); ok {
		path, flat = rest, true
	}
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" && !strings.HasPrefix(trimmed, jobsUI) {
		path = trimmed
	}
	for again := true; again; {
		path, again = applyAlias(path)
	}
	if path == "" {
		path = "/"
	}
	return path, flat
}

func applyAlias(path string) (string, bool) {
	for _, a := range aliases {
		if rest, ok := cutSegments(path, a.from); ok {
			return a.to + rest, true
		}
	}
	return path, false
}

// cutSegments is strings.CutPrefix for whole segments of a path.
func cutSegments(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return path, false
	}
	return rest, true
}
