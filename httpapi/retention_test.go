package httpapi_test

import (
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestRetentionIsSetByAdministrators(t *testing.T) {
	t.Parallel()
	s := start(t)
	const path = "/api/admin/system/retention"
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	if r := s.want(200, s.do("GET", path, "", as(viewer.Tokens.Access))); r.at("conversations_days") != 0.0 || r.at("updatedAt") != nil {
		t.Errorf("unset is %s", r.text)
	}
	s.want(403, s.do("PUT", path, `{"files_days":7}`, as(viewer.Tokens.Access)))
	s.want(403, s.do("GET", path, "", as(s.stranger())))
	for _, body := range []string{`{"files_days":-1}`, `{"files_days":36501}`, `{"files_days":"7"}`, `{"files_days":7.5}`} {
		s.want(422, s.do("PUT", path, body, as(admin.Tokens.Access)))
	}
	set := s.want(200, s.do("PUT", path, `{"conversationsDays":30,"files_days":7,"audit_days":null}`, as(admin.Tokens.Access)))
	got := s.want(200, s.do("GET", path, "", as(viewer.Tokens.Access)))
	for _, r := range []response{set, got} {
		if r.at("conversationsDays") != 30.0 || r.at("files_days") != 7.0 || r.at("audit_days") != 0.0 || r.at("updated_at") == nil {
			t.Errorf("set is %s", r.text)
		}
	}
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = 'settings.retention_changed' AND user_id = $1 AND details->>'files_days' = '7'`, admin.User.ID); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}
