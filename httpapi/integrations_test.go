package httpapi_test

import (
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestAMissingNextcloudSaysWhatToSet(t *testing.T) {
	t.Parallel()
	s := start(t)
	user, viewer, admin := s.signIn(voiceassist.RoleUser).Access, s.signIn(voiceassist.RoleViewer).Access, s.signIn(voiceassist.RoleAdmin).Access
	for _, c := range []struct {
		as, method, path, body string
		want                   int
	}{
		{user, "GET", "calendar/events", "", 503},
		{user, "GET", "calendar/events?start_date=2025-11-01&end_date=2025-11-30T10:00:00Z&calendar_id=work", "", 503},
		{user, "GET", "calendar/events?start_date=2025-11-02&end_date=2025-11-01", "", 422},
		{user, "GET", "calendar/events?start_date=yesterday", "", 422},
		{user, "GET", "calendar/events?end_date=2025-02-30", "", 422},
		{user, "POST", "calendar/events", `{"summary":"Round","start":"2025-11-27T10:00:00Z","end":"2025-11-27T11:00:00Z","allDay":false,"attendees":["a@example.org"]}`, 503},
		{user, "POST", "calendar/events", `{"summary":"Round","start":"2025-11-27T10:00:00Z","end":"2025-11-27T09:00:00Z"}`, 422},
		{user, "POST", "calendar/events", `{"summary":"Round","start":"2025-11-27T10:00:00Z"}`, 422},
		{user, "POST", "calendar/events", `{"summary":" ","start":"2025-11-27","end":"2025-11-27"}`, 422},
		{user, "POST", "calendar/events", `{"summary":"Round","start":"2025-11-27","end":"2025-11-27","attendees":["nobody"]}`, 422},
		{user, "POST", "calendar/events", `{`, 400},
		{user, "PUT", "calendar/events/abc-1", `{"location":"Room 2"}`, 503},
		{user, "PUT", "calendar/events/abc-1", `{"start":"soon"}`, 422},
		{user, "DELETE", "calendar/events/abc-1", "", 503},
		{"", "GET", "calendar/events", "", 401},
		{viewer, "GET", "files/discover?path=/papers&recursive=true", "", 503},
		{viewer, "GET", "files/discover", "", 503},
		{viewer, "GET", "files/discover?path=/papers/../secrets", "", 422},
		{viewer, "GET", "files/discover?path=a%00b", "", 422},
		{viewer, "GET", "files/discover?recursive=perhaps", "", 422},
		{user, "GET", "files/discover", "", 403},
		{admin, "POST", "files/index", `{"paths":["/a.pdf","/b..c.pdf"],"source_type":"paper"}`, 503},
		{admin, "POST", "files/index", `{"filePath":"/a.pdf"}`, 503},
		{admin, "POST", "files/index", `{"paths":[]}`, 422},
		{admin, "POST", "files/index", `{"paths":["/a.pdf","/"]}`, 422},
		{admin, "POST", "files/index", `{"paths":["..\\a.pdf"]}`, 422},
		{admin, "POST", "files/index", `{"paths":["` + strings.Repeat("a", 5000) + `"]}`, 422},
		{viewer, "POST", "files/index", `{"paths":["/a.pdf"]}`, 403},
		{admin, "POST", "files/scan-and-index", "", 503},
		{admin, "POST", "files/scan-and-index", `{"path":"/papers","recursive":false}`, 503},
		{admin, "POST", "files/scan-and-index", `{"path":"../papers"}`, 422},
		{viewer, "POST", "files/scan-and-index", "", 403},
	} {
		r := s.do(c.method, "/api/integrations/"+c.path, c.body, as(c.as))
		if r.status != c.want {
			t.Errorf("%s %s %s: status %d, want %d: %s", c.method, c.path, c.body, r.status, c.want, r.text)
		}
		if message, _ := r.at("error", "message").(string); c.want == 503 && !strings.Contains(message, "NEXTCLOUD_URL") {
			t.Errorf("%s %s: %s", c.method, c.path, r.text)
		}
	}
}
